/** How long the stages of the way took lately, in one line: p50 and p99 of each that anything passed. */
import type { NodeStatus } from './admin-documents.ts';

/** What people call the end of each stage, in the order of the way. */
const ENDS: Readonly<Record<string, string>> = {
  received_to_stored: 'stored',
  stored_to_matched: 'matched',
  matched_to_committed: 'committed',
  committed_to_sent: 'sent',
  sent_to_accepted: 'accepted',
  received_to_accepted: 'end to end',
};

/** Undefined when nothing passed, or the node is an older one. */
export function latencyText({ latency }: NodeStatus): string | undefined {
  const stages = latency?.stages ?? {};
  const texts = Object.entries(ENDS).flatMap(([stage, end]) => {
    const { count = 0, p50_ms: p50 = null, p99_ms: p99 = null } = stages[stage] ?? {};
    return count === 0 || p50 === null || p99 === null
      ? []
      : [`${end} ${milliseconds(p50)}/${milliseconds(p99)}`];
  });
  return texts.length === 0 ? undefined : `${texts.join(' · ')} ms (p50/p99)`;
}

function milliseconds(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString('en-US');
}
