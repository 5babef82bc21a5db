/**
 * Answers "where did my events go?" from the ledger: reads it before and after, and waits until what was sent has reached
 * a terminal state.
 *
 * Others may be sending too, so their events are in the same figures: what is unaccounted is counted against everything
 * the node had accepted by then, never guessed.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { codeOf } from '../../runtime/errors.ts';
import { TERMINAL_STATES } from '../../actors/event.ts';
import type { TerminalState } from '../../actors/event.ts';
import type { AdminClient } from './admin-client.ts';
import type { Ledger } from './admin-documents.ts';

export interface Accounting {
  /** Accepted events that are in a terminal state, as far as the ledger tells. */
  settled: number;
  /** What has been added to each terminal state since the beginning. */
  terminal: Partial<Record<TerminalState, number>>;
  in_flight: number;
  /** Events of other senders meanwhile. */
  others: number;
  lost: number;
  balanced: boolean;
}

const POLL_MS = 200;

/** The sum over all terminal states. */
export function terminalSum(ledger: Ledger): number {
  return TERMINAL_STATES.reduce((sum, state) => sum + (ledger.terminal[state] ?? 0), 0);
}

/**
 * Waits until every event the node has accepted by now is in a terminal state, at most `timeoutMs`. A ledger that cannot
 * be read for a moment is asked again; rejects only when it never could be.
 */
export async function account(
  admin: AdminClient,
  before: Ledger,
  accepted: number,
  options: { clock: Clock; signal: AbortSignal; timeoutMs: number; onPoll?: (ledger: Ledger) => void },
): Promise<Accounting> {
  const { clock, signal, timeoutMs } = options;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  // Figures of several processes reach the ledger one after the other: it may lag behind what we were told.
  let target = before.accepted + before.replayed + accepted;
  let last: Ledger | undefined;
  for (;;) {
    try {
      const ledger = await admin.ledger();
      if (last === undefined) target = Math.max(target, ledger.accepted + ledger.replayed);
      last = ledger;
      options.onPoll?.(ledger);
      if (terminalSum(ledger) >= target) break;
    } catch (thrown) {
      if (codeOf(thrown) === 'E_KEY_REFUSED' || clock.monotonicMs() >= deadlineMs) throw thrown;
    }
    if (clock.monotonicMs() >= deadlineMs || signal.aborted) break;
    await sleep(clock, POLL_MS, signal);
  }
  last ??= await admin.ledger();
  const missing = Math.max(0, target - terminalSum(last));
  const terminal: Accounting['terminal'] = {};
  for (const state of TERMINAL_STATES) {
    const added = (last.terminal[state] ?? 0) - (before.terminal[state] ?? 0);
    if (added !== 0) terminal[state] = added;
  }
  return {
    settled: Math.max(0, accepted - missing),
    terminal,
    in_flight: last.in_flight,
    others: Math.max(0, last.accepted + last.replayed - before.accepted - before.replayed - accepted),
    lost: Math.max(0, last.lost - before.lost),
    balanced: last.balanced,
  };
}
