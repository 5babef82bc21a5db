/**
 * `mutt start`: opens the data directory, checks the ports, runs a node until it is told to stop.
 */
import { createServer } from 'node:net';
import { join, relative } from 'node:path';
import { effectiveSettings } from '../actors/settings.ts';
import type { CliIo } from '../gateways/cli/context.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/errors.ts';
import { describeExit } from '../runtime/exit-reason.ts';
import { openLog } from '../runtime/telemetry/log.ts';
import { inDataDirectory, openDataDirectory } from './data-directory.ts';
import { endLeftovers } from './leftovers.ts';
import { keepLogSmall } from './log-file.ts';
import { makeDirectory } from './make-directory.mjs';
import { MuttNode } from './node.ts';
import { openNodeKeys } from './node-keys.ts';
import type { NodeKeys } from './node-keys.ts';
import { STATIC_VARIABLES, ingestTlsFiles, portUrl } from './static-config.ts';
import type { StaticConfig } from './static-config.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface StartOptions {
  config: StaticConfig;
  dataDir: string;
  version: string;
  io: CliIo;
  /** Aborted by Ctrl-C, SIGTERM or SIGHUP. */
  signal: AbortSignal;
}

/** A process that is just ending keeps its ports until it is quite gone. */
const PORT_WAIT_MS = 1_500;
const PORT_POLL_MS = 50;
const PORT_NAMES = ['ingest', 'health', 'admin'] as const;
type PortName = (typeof PORT_NAMES)[number];
const CLIENT_CERTIFICATE = ' --tls-cert-file client.crt --tls-key-file client.key';

/** Gives the exit code: 0 after a stop that was asked for, 1 when the node gave up. Interrupted before it could take events: E_INTERRUPTED. */
export async function runStart(options: StartOptions): Promise<number> {
  const { config, io, signal, version } = options;
  const directory = openDataDirectory({ path: options.dataDir });
  const dataDir = directory.path;
  try {
    const ended = await unlessAborted(endLeftovers(dataDir), signal);
    await unlessAborted(requireFreePorts(config), signal);
    const logFile = config.logTo === 'stdout' ? undefined : join(dataDir, 'log', 'mutt.log');
    const log = inDataDirectory(dataDir, () => {
      makeDirectory(join(dataDir, 'log'), 0o700);
      const { 'log.level': level } = effectiveSettings({}, config.settings);
      return openLog({ level, file: logFile, source: 'supervisor' });
    });
    if (ended.length > 0) log.warn({ pids: ended }, 'ended what a killed supervisor left behind');
    const stopTrimming = logFile === undefined ? () => undefined : keepLogSmall(logFile);
    const keys = inDataDirectory(dataDir, () => openNodeKeys(dataDir));
    const isQuiet = config.logTo === 'stdout';
    const say = (text: string): void => void (isQuiet || io.stdout.write(text));

    const node = new MuttNode({
      config,
      dataDir,
      keys,
      log,
      version,
      onProgress: (part) => {
        if (io.isTTY) say(`\r\x1b[2Kstarting: ${part}`);
      },
    });
    if (io.isTTY) say('starting');
    const clearLine = (): void => void (io.isTTY && say('\r\x1b[2K'));
    try {
      await unlessAborted(node.start(), signal);
    } catch (thrown) {
      clearLine();
      if (signal.aborted) {
        say('stopping before everything has started\n');
        await node.stop();
        stopTrimming();
        say('stopped\n');
        // It was ready for whoever asked: what it took is finished, so that this is a stop like any other.
        if (node.mayHaveServed) return 0;
      }
      throw thrown;
    }
    clearLine();
    say(greeting(config, dataDir, keys, version));
    const outcome = await Promise.race([node.exited, aborted(signal)]);
    if (outcome !== undefined) {
      log.fatal({ reason: describeExit(outcome) }, 'the node gave up');
      io.stderr.write(`mutt: the node gave up: ${describeExit(outcome)}\n  Read ${logFile ?? 'the log'}.\n`);
    } else {
      say(
        '\nstopping; what was taken is being finished (to leave at once: wait a second, then Ctrl-C again)\n',
      );
    }
    await node.stop();
    stopTrimming();
    say('stopped\n');
    return outcome === undefined ? 0 : 1;
  } finally {
    directory.release();
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

/** SO_REUSEPORT would let a stranger's server and ours share a port, each getting half of the requests. */
async function requireFreePorts(config: StaticConfig): Promise<void> {
  for (const key of PORT_NAMES) {
    const host = config[`${key}Host`];
    const port = config[`${key}Port`];
    const deadlineMs = systemClock.monotonicMs() + PORT_WAIT_MS;
    for (let code = await tryPort(host, port); code !== undefined; code = await tryPort(host, port)) {
      if (code !== 'EADDRINUSE' || systemClock.monotonicMs() > deadlineMs) {
        throw cannotListen(key, host, port, code);
      }
      await sleep(systemClock, PORT_POLL_MS);
    }
  }
}

function cannotListen(key: PortName, host: string, port: number, code: string): CodedError {
  const hostVariable = STATIC_VARIABLES[`${key}Host`].name;
  const portVariable = STATIC_VARIABLES[`${key}Port`].name;
  const details = { host, port, reason: code };
  if (code === 'EADDRINUSE') {
    return new CodedError('E_PORT_IN_USE', `the ${key} port ${host}:${port} is in use`, {
      mend: `Stop the program that uses it, or choose another port with ${portVariable}.`,
      details,
    });
  }
  const addressMend = `Set ${hostVariable} to one: 127.0.0.1 to be reached from this machine alone, 0.0.0.0 from everywhere.`;
  const reasons: Record<string, [why: string, mend: string]> = {
    EADDRNOTAVAIL: [`${host} is no address of this machine`, addressMend],
    ENOTFOUND: [`the name ${host} stands for no address`, addressMend],
    EAI_AGAIN: [`the name ${host} cannot be looked up now`, addressMend],
    EACCES: ['this user may not use the port', `Choose one above 1023 with ${portVariable}.`],
  };
  const [why, mend] = reasons[code] ?? [code, `Correct ${hostVariable} or ${portVariable}.`];
  return new CodedError('E_LISTEN_REFUSED', `cannot listen on the ${key} port ${host}:${port}: ${why}`, {
    mend,
    details,
  });
}

/** What keeps us from listening there; undefined when nothing does. */
export function tryPort(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
}

function greeting(config: StaticConfig, dataDir: string, keys: NodeKeys, version: string): string {
  const ingest = `${portUrl(config, 'ingest')}/api/v2/ingest`;
  const key = (name: keyof NodeKeys['files']): string => quoted(shortPath(keys.files[name]));
  const event = {
    hostname: 'core-rtr-01',
    message: '%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down',
    timestamp: 'NOW',
  };
  // The shell fills the time in, so that the line can be pasted at any time.
  const body = JSON.stringify(event).replace('NOW', `'"$(date -u +%FT%TZ)"'`);
  const tls = ingestTlsFiles(config);
  // By the address alone curl does not trust a certificate that is for a name.
  const tryIt =
    tls === undefined
      ? [
          `  curl -s ${ingest} -H "X-API-KEY: $(cat ${key('ingest')})" \\`,
          `    -H 'Content-Type: application/json' -d '${body}'`,
        ]
      : [`  echo '${body}' | npx mutt send${tls.clientCaFile === undefined ? '' : CLIENT_CERTIFICATE}`];
  return [
    `MUTT ${version} is ready.`,
    '',
    `POST events to  ${ingest}`,
    'Try it:',
    ...tryIt,
    '  npx mutt status        shows what became of it',
    '  npx mutt demo          plays a whole network',
    '',
    `Admin API       ${portUrl(config, 'admin')}   key: cat ${key('admin')}`,
    `Data and logs   ${quoted(shortPath(dataDir))}${newKeys(keys)}`,
    'Stop            Ctrl-C',
    '',
  ].join('\n');
}

function newKeys({ made, files }: NodeKeys): string {
  if (made.length === 0) return '';
  return made.length === Object.keys(files).length
    ? ' (new; keys made)'
    : ` (made anew: the ${made.join(' and ')} key)`;
}

/** Relative when it is below the present directory. */
function shortPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' || short.startsWith('..') ? path : short;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
