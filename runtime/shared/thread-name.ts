/** The name by which the operating system shows a thread (`top -H`, `perf`). */
import { writeFileSync } from 'node:fs';

/** The kernel keeps this many. */
const NAME_CHARS_MAX = 15;

/**
 * Names the thread that calls it. Of a longer name the end is shown, which tells threads apart. Only Linux has it, and
 * nothing depends on it.
 */
export function nameThread(name: string): void {
  try {
    writeFileSync('/proc/thread-self/comm', name.slice(-NAME_CHARS_MAX));
  } catch {
    // Another system, or a /proc that may not be written.
  }
}
