/**
 * Tells a person what went wrong, why, and how to mend it; and tells the shell by the exit code.
 */
import { codeOf, messageOf } from '../../runtime/errors.ts';
import type { CliIo } from './context.ts';
import { EXIT } from './context.ts';
import { printable } from './terminal-text.ts';

const UNREACHABLE_CODES = new Set([
  'E_UNREACHABLE',
  'E_CONNECTION_BROKEN',
  'E_REPLY_LATE',
  'E_REPLY_INVALID',
]);
const NOT_GOOD_CODES = new Set(['E_RULES_INVALID', 'E_RULE_INVALID']);

/** Writes the error to stderr; gives the exit code that belongs to it. */
export function reportError(io: CliIo, thrown: unknown): number {
  const code = codeOf(thrown);
  if (code === 'E_INTERRUPTED') return EXIT.interrupted;
  // Line by line: our own messages may have several, and a stranger's must not add any.
  const [first = '', ...rest] = messageOf(thrown).split('\n').map(printable);
  io.stderr.write(`mutt: ${first} (${printable(code)})\n${rest.map((line) => `${line}\n`).join('')}`);
  const mend = (thrown as { mend?: unknown } | null)?.mend;
  if (typeof mend === 'string') io.stderr.write(`  ${printable(mend)}\n`);
  if (UNREACHABLE_CODES.has(code) || statusOf(thrown) >= 500) return EXIT.unreachable;
  return NOT_GOOD_CODES.has(code) ? EXIT.notGood : EXIT.usage;
}

/** The HTTP status a node answered with, or 0. */
function statusOf(thrown: unknown): number {
  const details = (thrown as { details?: Record<string, unknown> } | null)?.details;
  return typeof details?.['status'] === 'number' ? details['status'] : 0;
}
