/**
 * A process in which mocha runs specs, file after file, as its parent (spec-lane.ts) names them: a spec that takes its
 * process down is a failure of the run and not its end.
 *
 * Invariant: it answers once for each file, after the file's last hook, with the counts and all that mocha had to say;
 * and it ends by itself when it is told to and nothing is left open.
 */
import { format } from 'node:util';
import Mocha from 'mocha';

export type ToMochaChild = { type: 'run'; file: string } | { type: 'end' };
export interface FileOutcome {
  passed: number;
  failed: number;
  output: string;
  /** From loading it to the end of its last hook. */
  ms: number;
}

const TIMEOUT_MS = 10_000;
const SLOW_MS = 1_000;
/** Files after which there was more open than before, with what: one of them may be to blame when something stays open. */
const suspects: string[] = [];

async function runFile(file: string): Promise<FileOutcome> {
  const startedMs = performance.now();
  const openBefore = process.getActiveResourcesInfo();
  const lines: string[] = [];
  // Held back, or the lines of two files that run at once would mix.
  Mocha.reporters.Base.consoleLog = (...said: unknown[]) => lines.push(format(...said));
  const mocha = new Mocha({
    reporter: 'spec',
    timeout: TIMEOUT_MS,
    slow: SLOW_MS,
    forbidOnly: true,
    forbidPending: true,
    color: process.stdout.isTTY,
  });
  mocha.addFile(file);
  await mocha.loadFilesAsync();
  return new Promise((resolve) => {
    const runner = mocha.run((failed) => {
      // Its listeners on the process would be there for the next file too.
      runner.dispose();
      const added = withoutEach(process.getActiveResourcesInfo(), openBefore);
      if (added.length > 0) suspects.push(`${file} (${added.join(', ')})`);
      resolve({
        passed: runner.stats?.passes ?? 0,
        failed,
        output: lines.join('\n'),
        ms: performance.now() - startedMs,
      });
    });
  });
}

function withoutEach(from: readonly string[], gone: readonly string[]): string[] {
  const left = [...from];
  for (const each of gone) {
    const at = left.indexOf(each);
    if (at >= 0) left.splice(at, 1);
  }
  return left;
}

// A rejection that nobody handled fails the spec that runs, as an exception does.
process.on('unhandledRejection', (reason) => {
  throw reason;
});
// The parent has waited for the end for long enough.
process.on('SIGUSR2', () => {
  console.log(`\nStill open: ${process.getActiveResourcesInfo().join(', ')}`);
  if (suspects.length > 0)
    console.log(`Files after which more was open than before them: ${suspects.join('; ')}`);
  process.exit(1);
});

process.on('message', (message: ToMochaChild) => {
  if (message.type === 'end') process.disconnect();
  else void runFile(message.file).then((outcome) => process.send?.(outcome));
});
