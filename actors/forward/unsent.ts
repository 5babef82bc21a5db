/** Alerts that end without being sent. */
import type { TerminalState } from '../event.ts';
import type { UnsentReason } from '../ports.ts';

/** How its event ends when this was its last alert. */
export function endedAs(reason: UnsentReason): Extract<TerminalState, 'suppressed' | 'superseded'> {
  return reason === 'superseded' ? 'superseded' : 'suppressed';
}
