/**
 * Shows on a terminal that something takes long, and for how long it has. Elsewhere, and for what is quick, nothing.
 */
import type { CliContext } from './context.ts';
import { Repainter } from './repainter.ts';
import { cut, duration } from './terminal-text.ts';

/** What is done sooner needs no word. */
const QUIET_MS = 1_000;
const REDRAW_MS = 1_000;

export async function waiting<T>(
  context: Pick<CliContext, 'io' | 'clock'>,
  what: string,
  work: Promise<T>,
): Promise<T> {
  const { io, clock } = context;
  if (!io.isTTY) return work;
  const startedAtMs = clock.monotonicMs();
  const repainter = new Repainter(io.stderr);
  let cancel = clock.after(QUIET_MS, function again() {
    repainter.draw([cut(`${what}… ${duration(clock.monotonicMs() - startedAtMs)}`, io.columns - 1)]);
    cancel = clock.after(REDRAW_MS, again);
  });
  try {
    return await work;
  } finally {
    cancel();
    repainter.end({ erase: true });
  }
}
