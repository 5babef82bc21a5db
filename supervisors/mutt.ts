/**
 * The `mutt` command. Reads the environment, wires the commands to this product, turns every failure into an exit code
 * and a message that says how to mend it.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildProgram } from '../gateways/cli/program.ts';
import { trustOnly } from '../gateways/cli/client-tls.ts';
import type { CliContext } from '../gateways/cli/context.ts';
import { processIo } from '../gateways/cli/process-io.ts';
import { reportError } from '../gateways/cli/report-error.ts';
import { systemClock } from '../runtime/clock.ts';
import { machineCommands } from './commands.ts';
import { dataDirectoryPath } from './data-directory.ts';
import { ensureNode } from './ensure-node.ts';
import { ingestTlsFiles, portUrl, readStaticConfig } from './static-config.ts';
import type { StaticConfig } from './static-config.ts';

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

const io = processIo(process);

async function main(): Promise<number> {
  const dataDir = dataDirectoryPath();
  // Read when a command needs it: help, completion and the checks work with an environment that cannot be used.
  let read: StaticConfig | undefined;
  const config = (): StaticConfig => (read ??= readStaticConfig(process.env));
  const readKey = async (name: string): Promise<string> =>
    (await readFile(join(dataDir, 'keys', `${name}.key`), 'utf8')).trim();
  const context: CliContext = {
    io,
    clock: systemClock,
    signal: interrupted.signal,
    get adminUrl() {
      return portUrl(config(), 'admin');
    },
    get ingestUrl() {
      return portUrl(config(), 'ingest');
    },
    get ingestTls() {
      const files = ingestTlsFiles(config());
      return files === undefined ? undefined : trustOnly(files.certificateFile);
    },
    readIngestKey: () => readKey('ingest'),
    readAdminKey: () => readKey('admin'),
    env: process.env,
  };
  const product = {
    version,
    ensureNode: () => {
      const { adminUrl, ingestUrl } = context;
      return ensureNode({ config: config(), dataDir, adminUrl, ingestUrl, signal: interrupted.signal });
    },
    commands: machineCommands({ context, config, dataDir, version }),
  };
  // Assigned, not spread: a spread would ask for the addresses at once.
  const program = buildProgram(Object.assign(context, product));
  return program.run(process.argv.slice(2));
}

try {
  process.exitCode = await main();
} catch (thrown) {
  process.exitCode = reportError(io, thrown);
}
// What an interrupted start has left half open, as a connection that is never answered, must not hold the process.
if (interrupted.signal.aborted) process.exit();
