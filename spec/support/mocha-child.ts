/**
 * The process in which mocha runs the specs it is given. `spec/run.ts` starts it, so that a spec which takes its
 * process down is a failure of the run and not its end.
 *
 * Invariant: it sends its count exactly once, after the last hook, and ends by itself when nothing is left open.
 */
import Mocha from 'mocha';

const TIMEOUT_MS = 10_000;
const SLOW_MS = 1_000;

const mocha = new Mocha({
  reporter: 'spec',
  timeout: TIMEOUT_MS,
  slow: SLOW_MS,
  forbidOnly: true,
  forbidPending: true,
  color: process.stdout.isTTY,
});
for (const file of process.argv.slice(2)) mocha.addFile(file);

// A rejection that nobody handled fails the spec that runs, as an exception does.
process.on('unhandledRejection', (reason) => {
  throw reason;
});
// The parent has waited for the end for long enough.
process.on('SIGUSR2', () => {
  console.log(`\nStill open: ${process.getActiveResourcesInfo().join(', ')}`);
  process.exit(1);
});

await mocha.loadFilesAsync();
const runner = mocha.run((failed) => {
  const passed = runner.stats?.passes ?? 0;
  process.exitCode = failed === 0 ? 0 : 1;
  process.send?.({ passed, failed }, () => process.disconnect());
});
