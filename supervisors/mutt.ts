/**
 * The `mutt` command. Reads the environment, wires the commands to this product, turns every failure into an exit code
 * and a message that says how to mend it.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildProgram } from '../gateways/cli/program.ts';
import type { RunningNode } from '../gateways/cli/context.ts';
import { reportError } from '../gateways/cli/report-error.ts';
import { systemClock } from '../runtime/clock.ts';
import { dataDirectoryPath } from './data-directory.ts';
import { ensureNode } from './ensure-node.ts';
import { runStart } from './start.ts';
import { portUrl, readStaticConfig } from './static-config.ts';

const packageFile = new URL('../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };

/** A terminal, a service manager and a parent may each deliver the same request to stop: within this time it is one. */
const SAME_REQUEST_MS = 1_000;
const EXIT_INTERRUPTED = 130;

const interrupted = new AbortController();
let interruptedAtMs = 0;
function interrupt(): void {
  if (interrupted.signal.aborted) return;
  interruptedAtMs = systemClock.monotonicMs();
  interrupted.abort();
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted && systemClock.monotonicMs() - interruptedAtMs > SAME_REQUEST_MS) {
      // Asked again: leave at once. Children end with this process; private servers are adopted by the next start.
      process.exit(EXIT_INTERRUPTED);
    }
    interrupt();
  });
}
// A terminal that closes says so several times, and nobody is left to ask again: it never means "at once".
process.on('SIGHUP', interrupt);
// A command that started this node for itself alone holds the other end: when that closes, nobody would stop it.
process.once('disconnect', interrupt);
if (process.connected === false) interrupt();
process.channel?.unref();

// `mutt rules list | head` closes the pipe early: whoever wanted to read has read enough. A terminal that has closed
// answers EIO, and what is being finished must still be finished.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  });
}

const io = {
  stdout: process.stdout,
  stderr: process.stderr,
  isTTY: process.stdout.isTTY,
  get columns() {
    return process.stdout.columns ?? 80;
  },
};

async function main(): Promise<number> {
  const config = readStaticConfig(process.env);
  const dataDir = config.dataDir ?? dataDirectoryPath();
  const readKey = async (name: string): Promise<string> =>
    (await readFile(join(dataDir, 'keys', `${name}.key`), 'utf8')).trim();
  const addresses = {
    adminUrl: portUrl(config, 'admin'),
    ingestUrl: portUrl(config, 'ingest'),
  };
  const program = buildProgram({
    io,
    clock: systemClock,
    signal: interrupted.signal,
    ...addresses,
    readIngestKey: () => readKey('ingest'),
    readAdminKey: () => readKey('admin'),
    env: process.env,
    version,
    ensureNode: (): Promise<RunningNode> =>
      ensureNode({ config, dataDir, ...addresses, signal: interrupted.signal }),
    commands: [
      {
        name: 'start',
        description: 'run a node here until Ctrl-C',
        examples: ['npm start', 'REDIS_URL=redis://… DATABASE_URL=postgres://… mutt start'],
        run: () => runStart({ config, dataDir, version, io, signal: interrupted.signal }),
      },
    ],
  });
  return program.run(process.argv.slice(2));
}

try {
  process.exitCode = await main();
} catch (thrown) {
  process.exitCode = reportError(io, thrown);
}
// What an interrupted start has left half open, as a connection that is never answered, must not hold the process.
if (interrupted.signal.aborted) process.exit();
