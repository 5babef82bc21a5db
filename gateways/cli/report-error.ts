/**
 * Tells a person what went wrong, why, and how to mend it; and tells the shell by the exit code.
 */
import { codeOf, messageOf } from '../../runtime/errors.ts';
import type { FieldFault } from './admin-documents.ts';
import type { CliIo } from './context.ts';
import { EXIT } from './context.ts';
import { printable } from './terminal-text.ts';

const UNREACHABLE_CODES = new Set([
  'E_UNREACHABLE',
  'E_CONNECTION_BROKEN',
  'E_REPLY_LATE',
  'E_REPLY_INVALID',
  // It answers that it cannot now.
  'E_BACKTEST_RUNNING',
]);
const NOT_GOOD_CODES = new Set(['E_RULES_INVALID', 'E_RULE_INVALID']);
/** The node has understood a change and does not make it: its values, its version or something else are against it. */
const REFUSED_STATUSES = new Set([400, 409, 412, 422, 428]);

/** Writes the error to stderr; gives the exit code that belongs to it. */
export function reportError(io: Pick<CliIo, 'stderr'>, thrown: unknown): number {
  const code = codeOf(thrown);
  if (code === 'E_INTERRUPTED') return EXIT.interrupted;
  // Line by line: our own messages may have several, and a stranger's must not add any.
  const [first = '', ...rest] = messageOf(thrown).split('\n').map(printable);
  io.stderr.write(`mutt: ${first} (${printable(code)})\n${rest.map((line) => `${line}\n`).join('')}`);
  const details = detailsOf(thrown);
  const said = messageOf(thrown);
  for (const fault of details.faults.filter(({ why }) => !said.includes(why)))
    io.stderr.write(`  ${describeFault(fault)}\n`);
  const mend = (thrown as { mend?: unknown } | null)?.mend;
  if (typeof mend === 'string') io.stderr.write(`  ${printable(mend)}\n`);
  if (UNREACHABLE_CODES.has(code) || details.status >= 500 || details.status === 429) return EXIT.unreachable;
  const isRefused = details.isChange && REFUSED_STATUSES.has(details.status);
  return isRefused || NOT_GOOD_CODES.has(code) ? EXIT.notGood : EXIT.usage;
}

function describeFault({ field, why, mend }: FieldFault): string {
  return `${field === '' ? '' : `${field}: `}${why}${mend === undefined ? '' : `. ${mend}`}`;
}

/** What a node answered with, as far as it was one. */
function detailsOf(thrown: unknown): { status: number; isChange: boolean; faults: FieldFault[] } {
  const details = (thrown as { details?: Record<string, unknown> } | null)?.details ?? {};
  const status = typeof details['status'] === 'number' ? details['status'] : 0;
  const faults = status > 0 && Array.isArray(details['faults']) ? (details['faults'] as FieldFault[]) : [];
  return { status, isChange: details['isChange'] === true, faults };
}
