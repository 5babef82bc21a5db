/**
 * What became of a replay, as figures and as text.
 */
import type { Accounting } from './accounting.ts';
import type { BatchOutcome, RejectReason } from './batch-sender.ts';
import { count, counted, duration, printable } from './terminal-text.ts';
import type { Palette } from './terminal-text.ts';

/** First reject reasons that are kept: enough to see what is wrong, however many there are. */
export const REASONS_MAX = 10;
const LABEL_COLUMNS = 12;
const FIGURE_COLUMNS = 12;

export interface ReplaySummary {
  files: number;
  /** Events found in the files so far: lines that are not blank. */
  events: number;
  /** Given to the server, answered or not. */
  sent: number;
  accepted: number;
  /** By the server, or here because the line is too long to be sent. */
  rejected: number;
  /** Sent and never answered: whether they were stored is not known. */
  unanswered: number;
  /** In a terminal state or rejected; null when the ledger was not asked. */
  accounted: number | null;
  ledger: Accounting | null;
  /** The first ones, each code and message once. */
  reasons: RejectReason[];
  elapsed_ms: number;
  interrupted: boolean;
}

export function emptySummary(files: number): ReplaySummary {
  return {
    files,
    events: 0,
    sent: 0,
    accepted: 0,
    rejected: 0,
    unanswered: 0,
    accounted: null,
    ledger: null,
    reasons: [],
    elapsed_ms: 0,
    interrupted: false,
  };
}

export function addOutcome(summary: ReplaySummary, outcome: BatchOutcome): void {
  summary.sent += outcome.accepted + outcome.rejected + outcome.unanswered;
  summary.accepted += outcome.accepted;
  summary.rejected += outcome.rejected;
  summary.unanswered += outcome.unanswered;
  for (const reason of outcome.reasons) addReason(summary, reason);
}

export function addReason(summary: ReplaySummary, reason: RejectReason): void {
  if (summary.reasons.length >= REASONS_MAX) return;
  const isKnown = summary.reasons.some(
    ({ code, message }) => code === reason.code && message === reason.message,
  );
  if (!isKnown) summary.reasons.push(reason);
}

/** Everything that was in the files is accepted, and in a terminal state if the ledger was asked. */
export function isAllGood(summary: ReplaySummary): boolean {
  return (
    !summary.interrupted &&
    summary.accepted === summary.events &&
    summary.unanswered === 0 &&
    (summary.accounted === null || summary.accounted === summary.events)
  );
}

/** Read, and given to no server: the run ended before. */
function notSent({ events, accepted, rejected, unanswered }: ReplaySummary): number {
  return Math.max(0, events - accepted - rejected - unanswered);
}

export function describeSummary(summary: ReplaySummary, paint: Palette): string[] {
  const perSecond = summary.elapsed_ms > 0 ? (summary.sent * 1_000) / summary.elapsed_ms : 0;
  const line = (label: string, figure: number, note = ''): string =>
    `${label.padEnd(LABEL_COLUMNS)}${count(figure).padStart(FIGURE_COLUMNS)}${note === '' ? '' : `  ${note}`}`;
  const lines = [
    line(
      'sent',
      summary.sent,
      `of ${counted(summary.events, 'event')} in ${counted(summary.files, 'file')}, ` +
        `${duration(summary.elapsed_ms)} (${count(perSecond)}/s)`,
    ),
    line('accepted', summary.accepted),
    line('rejected', summary.rejected),
  ];
  if (notSent(summary) > 0)
    lines.push(line('not sent', notSent(summary), paint.yellow('the run ended before')));
  if (summary.unanswered > 0)
    lines.push(line('unanswered', summary.unanswered, paint.yellow('their fate is not known')));
  lines.push(...describeAccounting(summary, paint, line));
  if (summary.reasons.length > 0) {
    lines.push('', 'First reasons:');
    for (const { code, message, file, line: number } of summary.reasons) {
      lines.push(`  ${file === undefined ? '' : `${printable(file)}:${number}: `}${code}: ${message}`);
    }
  }
  if (summary.interrupted) lines.push('', paint.yellow('Interrupted: this is the state so far.'));
  return lines;
}

function describeAccounting(
  summary: ReplaySummary,
  paint: Palette,
  line: (label: string, figure: number, note?: string) => string,
): string[] {
  const { accounted, ledger } = summary;
  if (accounted === null || ledger === null) return ['accounted      not asked'];
  const missing = summary.accepted + summary.rejected - accounted;
  const isWhole = notSent(summary) === 0 && summary.unanswered === 0;
  const verdict =
    missing === 0
      ? paint.green(isWhole ? 'every one' : 'every one that was answered')
      : paint.red(`${counted(missing, 'event')} missing`);
  const lines = [line('accounted', accounted, verdict)];
  const states = Object.entries(ledger.terminal).map(([state, figure]) => `${state} ${count(figure)}`);
  if (summary.rejected > 0) states.push(`rejected ${count(summary.rejected)}`);
  if (states.length > 0) lines.push(`  ${states.join(' · ')}`);
  if (ledger.in_flight > 0) lines.push(`  still in flight on the node: ${count(ledger.in_flight)}`);
  if (ledger.others > 0) {
    lines.push(
      paint.dim(
        `  ${counted(ledger.others, 'event')} of other senders came meanwhile and are in these figures`,
      ),
    );
  }
  if (ledger.lost > 0) lines.push(paint.red(`  the node reports ${counted(ledger.lost, 'event')} lost`));
  if (!ledger.balanced) lines.push(paint.red('  the ledger does not balance'));
  return lines;
}
