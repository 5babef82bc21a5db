/**
 * What a command has checked, for a person or as JSON, and the exit code that follows.
 */
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson } from './table.ts';
import { fit, paletteFor, printable } from './terminal-text.ts';

export interface Check {
  /** What was looked at: `data directory`. */
  name: string;
  /** `warn`: it works, and should be mended all the same. */
  verdict: 'ok' | 'warn' | 'fail';
  /** What was found. */
  found: string;
  /** What to do; given for everything but `ok`. */
  mend?: string;
}

const VERDICT_COLUMNS = 4;
const INDENT = ' '.repeat(VERDICT_COLUMNS + 2);

export function ok(name: string, found: string): Check {
  return { name, verdict: 'ok', found };
}

export function warn(name: string, found: string, mend: string): Check {
  return { name, verdict: 'warn', found, mend };
}

export function fail(name: string, found: string, mend: string): Check {
  return { name, verdict: 'fail', found, mend };
}

/** Shows the checks; gives 1 when one failed. */
export function reportChecks(
  context: Pick<CliContext, 'io' | 'env'>,
  checks: readonly Check[],
  options: { json: boolean },
): number {
  const { stdout } = context.io;
  const failed = checks.filter(({ verdict }) => verdict === 'fail').length;
  if (options.json) {
    writeJson(context, { ok: failed === 0, checks });
    return failed === 0 ? EXIT.ok : EXIT.notGood;
  }
  const paint = paletteFor(context);
  const paints = { ok: paint.green, warn: paint.yellow, fail: paint.boldRed };
  const nameColumns = Math.max(...checks.map(({ name }) => name.length));
  for (const { name, verdict, found, mend } of checks) {
    const head = paints[verdict](fit(verdict, VERDICT_COLUMNS));
    stdout.write(`${head}  ${fit(name, nameColumns)}  ${printable(found)}\n`);
    if (mend !== undefined) stdout.write(`${INDENT}${' '.repeat(nameColumns)}  -> ${printable(mend)}\n`);
  }
  const warned = checks.filter(({ verdict }) => verdict === 'warn').length;
  stdout.write(`${checks.length} checks: ${failed} failed, ${warned} to look at\n`);
  return failed === 0 ? EXIT.ok : EXIT.notGood;
}
