/**
 * Runs the Lua scripts of `scripts/` by their hash, and by their source when the server has forgotten them.
 *
 * A server forgets scripts at SCRIPT FLUSH, at a restart and at a fail-over, also between two commands of a pipeline;
 * NOSCRIPT says that nothing was executed, so sending the source instead is always safe.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';

export type ScriptName =
  | 'acquire'
  | 'append'
  | 'commit'
  | 'due'
  | 'measure'
  | 'pace'
  | 'raise'
  | 'release'
  | 'renew'
  | 'spill'
  | 'strike';

export type Argument = string | number | Buffer;

export interface ScriptCall {
  script: ScriptName;
  keys: readonly string[];
  args: readonly Argument[];
}

/** How many replicas must have what the calls wrote, and how long to wait for them. */
export interface ReplicaWait {
  replicas: number;
  timeoutMs: number;
}

/** One call's outcome: binary-safe (strings arrive as Buffers). Confirmed: the replicas asked for have it, if any were. */
export type ScriptReply = { reply: unknown; isConfirmed: boolean } | { error: Error };

interface Script {
  source: string;
  sha1: string;
}

const scripts = new Map<ScriptName, Script>();

function scriptOf(name: ScriptName): Script {
  let script = scripts.get(name);
  if (script === undefined) {
    const source = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
    script = { source, sha1: createHash('sha1').update(source).digest('hex') };
    scripts.set(name, script);
  }
  return script;
}

/**
 * Runs the calls in one pipeline, in order, and with `wait` asks the replicas once for all of them. Never rejects: each
 * call has its own outcome.
 */
export async function runScripts(
  connection: Redis,
  calls: readonly ScriptCall[],
  wait?: ReplicaWait,
): Promise<ScriptReply[]> {
  const replies = await send(connection, calls, 'EVALSHA', wait);
  const forgotten = [...replies.keys()].filter((index) => isForgotten(replies[index]));
  if (forgotten.length === 0) return replies;
  const again = await send(
    connection,
    forgotten.map((index) => calls[index] as ScriptCall),
    'EVAL',
    wait,
  );
  for (const [position, index] of forgotten.entries()) replies[index] = again[position] as ScriptReply;
  return replies;
}

async function send(
  connection: Redis,
  calls: readonly ScriptCall[],
  command: 'EVAL' | 'EVALSHA',
  wait: ReplicaWait | undefined,
): Promise<ScriptReply[]> {
  const pipeline = connection.pipeline();
  for (const call of calls) {
    const script = scriptOf(call.script);
    const text = command === 'EVAL' ? script.source : script.sha1;
    pipeline.callBuffer(command, [text, call.keys.length, ...call.keys, ...call.args]);
  }
  if (wait !== undefined) pipeline.wait(wait.replicas, wait.timeoutMs);
  try {
    const outcomes = (await pipeline.exec()) ?? [];
    const [waitError, replicas] = outcomes[calls.length] ?? [];
    const isConfirmed = wait === undefined || (waitError === null && Number(replicas) >= wait.replicas);
    return calls.map((_, index) => {
      const [error, reply] = outcomes[index] ?? [new Error('the connection gave no reply'), undefined];
      return error === null ? { reply, isConfirmed } : { error };
    });
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    return calls.map(() => ({ error }));
  }
}

function isForgotten(reply: ScriptReply | undefined): boolean {
  return reply !== undefined && 'error' in reply && reply.error.message.startsWith('NOSCRIPT');
}
