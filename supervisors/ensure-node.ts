/**
 * A node for a command that needs one: the one that runs here, or one started for the command and stopped after it.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunningNode } from '../gateways/cli/context.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/errors.ts';
import type { StaticConfig } from './static-config.ts';

export interface EnsureOptions {
  config: StaticConfig;
  dataDir: string;
  adminUrl: string;
  ingestUrl: string;
  /** Aborted by Ctrl-C: a node that is being started is stopped again. */
  signal: AbortSignal;
}

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const OUTPUT_CHARS_KEPT = 4_000;

/** Rejects with `E_START_FAILED` and what the node said, or `E_INTERRUPTED`; nothing is left running then. */
export async function ensureNode(options: EnsureOptions): Promise<RunningNode> {
  const { adminUrl, ingestUrl, signal } = options;
  if (await isReady(options.config)) {
    return { adminUrl, ingestUrl, ...(await readKeys(options.dataDir)), stop: async () => undefined };
  }
  const child = spawn(process.execPath, [fileURLToPath(new URL('./mutt.ts', import.meta.url)), 'start'], {
    // A group of its own: Ctrl-C ends the command first, which then stops the node.
    detached: true,
    // Over the channel nothing is said: when it closes, the command was killed, and the node stops by itself (mutt.ts).
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS_KEPT);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  let isAsked = false;
  const askToStop = (): void => {
    // Once: a node that is asked again leaves at once, and its private servers behind.
    if (!isAsked) isAsked = child.kill('SIGTERM');
  };
  // The command may be left at once, by a second Ctrl-C: nobody would know of the node then.
  process.once('exit', askToStop);
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => keep(Buffer.from(error.message)));
    child.once('close', () => {
      hasEnded = true;
      process.off('exit', askToStop);
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    if (!hasEnded) askToStop();
    await ended;
  };

  const deadlineMs = systemClock.monotonicMs() + START_TIMEOUT_MS;
  try {
    while (!(await isReady(options.config))) {
      if (signal.aborted) throw new CodedError('E_INTERRUPTED', 'interrupted', { kind: 'transient' });
      if (hasEnded || systemClock.monotonicMs() > deadlineMs) {
        throw new CodedError('E_START_FAILED', `no node could be started:\n${output.trim()}`, {
          mend: 'Run `npm start` and read what it says.',
        });
      }
      await sleep(systemClock, POLL_MS, signal);
    }
    return { adminUrl, ingestUrl, ...(await readKeys(options.dataDir)), stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

async function isReady(config: StaticConfig): Promise<boolean> {
  try {
    const url = `http://${config.healthHost}:${config.healthPort}/ready`;
    const reply = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await reply.arrayBuffer();
    return reply.status === 200;
  } catch {
    return false;
  }
}

async function readKeys(dataDir: string): Promise<{ ingestKey: string; adminKey: string }> {
  const read = async (name: string): Promise<string> =>
    (await readFile(join(dataDir, 'keys', `${name}.key`), 'utf8')).trim();
  return { ingestKey: await read('ingest'), adminKey: await read('admin') };
}
