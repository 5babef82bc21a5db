/**
 * Waits until a change is in force: until every worker of the node runs the version it has made.
 */
import { sleep } from '../../runtime/clock.ts';
import { codeOf, kindOf } from '../../runtime/errors.ts';
import type { AdminClient } from './admin-client.ts';
import type {
  EffectiveConfiguration,
  NodeStatus,
  Pool,
  SettingDocument,
  TreeNode,
  WorkerVersion,
} from './admin-documents.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { printable } from './terminal-text.ts';
import { waiting } from './waiting.ts';

/** Every worker has a new version within this, or something is wrong. */
const APPLIED_WITHIN_MS = 5_000;
/** Threads and processes take a moment to start, and those that end finish what they do. */
const RESIZED_WITHIN_MS = 60_000;
const POLL_MS = 50;
/** What has not happened by now takes longer, and is asked for less often. */
const SOON_MS = 1_000;
const POLL_LATER_MS = 250;
const POOL_KEY = /^pool\.(.+)\.size$/;
const NODE_ITSELF = 'the node itself';

export interface Applied {
  /** How long was waited at most. */
  withinMs: number;
  /** Workers that do not run this version, nor a later one, and pools that are not of their size; empty when all is done. */
  behind: string[];
  /** Since the change was sent. */
  tookMs: number;
}

/** Until every worker runs this version. `sinceMs` is when the change was sent (monotonic). */
export function waitUntilApplied(
  context: CliContext,
  admin: AdminClient,
  version: number,
  sinceMs: number,
): Promise<Applied> {
  return poll(context, { sinceMs, withinMs: APPLIED_WITHIN_MS }, async () => {
    const { snapshot } = await admin.status(context.signal);
    if (snapshot === undefined || snapshot.version < version) return [NODE_ITSELF];
    return behindOf(snapshot.applied ?? [], version);
  });
}

/**
 * Until the node has this value of a setting in effect, and every worker the version that brought it. For the size of a
 * pool: until the pool has it.
 */
export async function waitUntilInEffect(
  context: CliContext,
  admin: AdminClient,
  setting: Pick<SettingDocument, 'key' | 'value'>,
  sinceMs: number,
): Promise<Applied> {
  const { key, value } = setting;
  const { signal } = context;
  const pool = POOL_KEY.exec(key)?.[1];
  const look = async (): Promise<string[]> => {
    const effective = await admin.read<EffectiveConfiguration>('/api/v2/config/effective', {}, signal);
    if (effective.settings[key] !== value) return [NODE_ITSELF];
    const behind = behindOf(effective.workers, effective.snapshot_version);
    if (pool === undefined || behind.length > 0) return behind;
    return resizing(await admin.status(signal), pool);
  };
  if (pool === undefined) return poll(context, { sinceMs, withinMs: APPLIED_WITHIN_MS }, look);
  const change = poll(context, { sinceMs, withinMs: RESIZED_WITHIN_MS }, look);
  return waiting(context, `the pool ${pool} gets its size`, change);
}

/** The pool, unless it has its size and all of it runs. */
function resizing({ pools = [], actors }: NodeStatus, name: string): string[] {
  const pool = pools.find((each) => each.pool === name);
  if (pool === undefined || actors === undefined) return [];
  if (!isOfItsSize(pool)) return [poolText(pool)];
  const part = new RegExp(`^${name}-\\d+$`);
  const running = partsOf(actors).filter(({ id, status }) => part.test(id) && status === 'running').length;
  return running === pool.target ? [] : [`${name} ${running} of ${pool.target}: starting`];
}

function partsOf(node: TreeNode): TreeNode[] {
  return [node, ...(node.children ?? []).flatMap(partsOf)];
}

export function isOfItsSize({ size, target }: Pool): boolean {
  return size === target;
}

/** `match 2`, or `match 1 of 4: …`. */
export function poolText(pool: Pool): string {
  if (isOfItsSize(pool)) return `${pool.pool} ${pool.size}`;
  const why = pool.problem ?? 'on its way';
  return `${pool.pool} ${pool.size} of ${pool.target}: ${why}`;
}

function behindOf(workers: readonly WorkerVersion[], version: number): string[] {
  return workers.filter((each) => each.version < version).map(({ worker }) => worker);
}

async function poll(
  context: CliContext,
  { sinceMs, withinMs }: { sinceMs: number; withinMs: number },
  look: () => Promise<string[]>,
): Promise<Applied> {
  const { clock, signal } = context;
  const startedAtMs = clock.monotonicMs();
  for (;;) {
    const behind = await look().catch((thrown: unknown) => {
      // It may be restarting, or find that we ask too often.
      if (kindOf(thrown) !== 'transient' || codeOf(thrown) === 'E_INTERRUPTED') throw thrown;
      return [NODE_ITSELF];
    });
    const nowMs = clock.monotonicMs();
    const isOver = nowMs - startedAtMs >= withinMs || signal.aborted;
    if (behind.length === 0 || isOver) return { behind, tookMs: Math.round(nowMs - sinceMs), withinMs };
    await sleep(clock, nowMs - startedAtMs < SOON_MS ? POLL_MS : POLL_LATER_MS, signal);
  }
}

/** Names the workers that are behind on stderr, if any; gives the exit code. */
export function tellBehind(context: CliContext, { behind, withinMs }: Applied): number {
  if (behind.length === 0) return EXIT.ok;
  context.io.stderr.write(
    `mutt: stored, but not in force after ${withinMs / 1_000} s on: ${behind.map(printable).join(', ')}\n` +
      '  They take it as soon as they can: look at `mutt status`.\n',
  );
  return EXIT.notGood;
}
