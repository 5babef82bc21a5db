/**
 * Who has each partition on this node, and what holds it back: from the tree, the leases, and what the threads say.
 *
 * One reason at a time, the one that has to go first: a thread that does not run waits for nothing else. Reads only.
 */
import type { LaneTrouble } from '../actors/forward/lane-trouble.ts';
import type { LaneReport } from '../actors/forward/lane-watch.ts';
import { alertLane } from '../actors/forward/messages.ts';
import type { PauseDocument, PauseReason } from '../gateways/admin/documents.ts';
import { LEASED_ROLES } from './ground.ts';
import type { LeasedRole } from './ground.ts';
import type { Custody } from './partition-leases.ts';
import type { ThreadReports } from './thread-reports.ts';
import type { PartitionWait } from './threads/partition-waits.ts';
import type { TreeDocument } from './tree-document.ts';

export interface PartitionOwner {
  role: LeasedRole;
  partition: number;
  worker: string;
  pauses: Pause[];
}

/** Of one mailbox of the partition, or of all that the worker reads: null. */
export interface Pause extends PauseDocument {
  mailbox: string | null;
}

interface Pool {
  readonly shares: readonly { worker: string; partitions: readonly number[] }[];
  custodyOf(partition: number): Custody;
}

export function partitionOwners(
  tree: TreeDocument,
  pools: Readonly<Record<LeasedRole, Pool>>,
  reports: ThreadReports,
  held: readonly Pause[] = [],
): PartitionOwner[] {
  return LEASED_ROLES.flatMap((role) =>
    pools[role].shares.flatMap(({ worker, partitions }) => {
      const thread = partOf(tree, worker);
      const lanes = reports.lanesOf(worker).map(laneOf);
      return partitions.map((partition) => {
        const hold = holdOf(worker, thread, pools[role].custodyOf(partition));
        const waits = reports.waitsOf(worker).filter((wait) => wait.partition === partition);
        const pauses =
          hold === undefined ? [...held, ...waits.map(waitOf), ...lanes] : [{ mailbox: null, ...hold }];
        return { role, partition, worker, pauses };
      });
    }),
  );
}

/** Why the owner does nothing at all. */
function holdOf(
  worker: string,
  thread: TreeDocument | undefined,
  { slot, leaseLeftMs }: Custody,
): PauseDocument | undefined {
  const down = thread === undefined ? undefined : notRunning(thread);
  if (thread === undefined) {
    return {
      reason: 'worker_down',
      detail: `${worker} is not there: it is about to be started.`,
      since: null,
    };
  }
  if (leaseLeftMs <= 0) return leaseLost(down?.since ?? null);
  if (down !== undefined) {
    const why = down.exits?.at(-1)?.reason;
    return {
      reason: 'worker_down',
      detail: `${worker} does not run now (${down.status})${why === undefined ? '' : `; it ended last with: ${why}`}.`,
      since: down.since ?? null,
    };
  }
  if (slot === worker) return undefined;
  return {
    reason: 'handing_over',
    detail: `${worker} gets this partition as soon as ${slot ?? 'its last owner'} has finished what it has in hand.`,
    since: null,
  };
}

function leaseLost(since: string | null): PauseDocument {
  return {
    reason: 'lease_lost',
    detail:
      'The lease of this partition has run out, or another node has it: nothing is begun until it is held again.',
    since,
  };
}

/** The thread itself, or the part of it that does not run. */
function notRunning(thread: TreeDocument): TreeDocument | undefined {
  return [thread, ...(thread.children ?? [])].find(({ status }) => status !== 'running');
}

function partOf(tree: TreeDocument, id: string): TreeDocument | undefined {
  if (tree.id === id) return tree;
  for (const child of tree.children ?? []) {
    const found = partOf(child, id);
    if (found !== undefined) return found;
  }
  return undefined;
}

function waitOf({ mailbox, code, message, full, since }: PartitionWait): Pause {
  if (code === 'E_LANE_FULL') {
    const detail = `What follows has no room in the mailbox ${full ?? '(unknown)'}: it waits until there is some.`;
    return { mailbox, reason: 'mailbox_full', detail, since };
  }
  if (code === 'E_SPILL_FULL') {
    const detail = `What follows has no room in the mailbox ${full ?? '(unknown)'}, and the outbox is full too: it waits until there is some.`;
    return { mailbox, reason: 'mailbox_full', detail, since };
  }
  if (code === 'E_LEASE_UNCERTAIN') return { mailbox, ...leaseLost(since) };
  if (code.startsWith('E_DATABASE_')) return { mailbox, reason: 'database_away', detail: message, since };
  if (code.startsWith('E_STORE_')) return { mailbox, reason: 'store_away', detail: message, since };
  // Its message may hold words of the event.
  const detail = `What comes next cannot be handled (${code}) and is tried again, alone, until it is set aside.`;
  return { mailbox, reason: 'message_fails', detail, since };
}

const TROUBLES: Record<LaneTrouble, { reason: PauseReason; says: (name: string, error: string) => string }> =
  {
    failing: {
      reason: 'destination_failing',
      says: (name, error) =>
        `The last deliveries to ${name} have all failed (${error}): each is tried again, ever later.`,
    },
    down: {
      reason: 'destination_down',
      says: (name, error) =>
        `${name} takes nothing (${error}): one alert at a time is tried until it takes one.`,
    },
    unauthorized: {
      reason: 'destination_unauthorized',
      says: (name, error) =>
        `${name} refuses the credential (${error}): one alert at a time is tried until it is mended.`,
    },
    secret_unreadable: {
      reason: 'secret_unreadable',
      says: (name, error) => `The credential of ${name} cannot be read here (${error}).`,
    },
  };

function laneOf({ name, state, last_error, since }: LaneReport): Pause {
  const { reason, says } = TROUBLES[state];
  return { mailbox: alertLane(name), reason, detail: says(name, last_error), since };
}
