/**
 * The partitions with their mailboxes: who reads each, how much waits in it since when, what holds it back, and how long
 * it will take.
 */
import { DEAD_LANE, alertLane, destinationOf, isRetrySet } from '../../actors/forward/messages.ts';
import { INGEST_LANE, INPUT_LANES } from '../../actors/ingest/ingest-actor.ts';
import type { LedgerPort, PartitionsPort } from '../../gateways/admin/admin-port.ts';
import type {
  LedgerDocument,
  MailboxDocument,
  PauseDocument,
  SetAsideDocument,
} from '../../gateways/admin/documents.ts';
import { START } from '../../runtime/durable/durable-store.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import type { PartitionOwner } from '../partition-owners.ts';
import type { Books } from './books.ts';
import { mailboxDepths } from './ledger-samples.ts';
import { firstSetAside } from './set-aside.ts';

export interface PartitionsPortOptions {
  store: DurableStore;
  books: Pick<Books, 'etaSeconds'>;
  ledger: LedgerPort;
  owners: () => Promise<PartitionOwner[]>;
  /** Names of those there are now. */
  destinations: () => string[];
}

type PartitionBooks = LedgerDocument['partitions'][number];

export function partitionsPort(options: PartitionsPortOptions): PartitionsPort {
  const { store, books, ledger } = options;
  return {
    list: async () => {
      const [{ partitions }, owners] = await Promise.all([ledger.read(), options.owners()]);
      const oldest = await oldestEntries(store, partitions);
      const known = options.destinations().map(alertLane).sort();
      const ownerOf = new Map(owners.map((owner) => [`${owner.partition} ${owner.role}`, owner]));
      const setAside = await setAsideOf(store, partitions);
      return partitions.map((book) => {
        const { partition } = book;
        const depths = mailboxDepths(book);
        const mailboxes = mailboxesOf(depths, known).map((mailbox): MailboxDocument => {
          const owner = ownerOf.get(`${partition} ${roleOf(mailbox)}`);
          const depth = depths.get(mailbox) ?? 0;
          const paused = pauseOf(owner, mailbox, known);
          return {
            mailbox,
            worker: owner?.worker ?? null,
            depth,
            outbox: book.outbox[mailbox]?.alerts ?? 0,
            oldest_at: oldest.get(`${partition} ${mailbox}`) ?? null,
            set_aside: setAside.get(`${partition} ${mailbox}`) ?? [],
            paused,
            eta_seconds: paused === null || depth === 0 ? books.etaSeconds(partition, mailbox, depth) : null,
          };
        });
        const ingest = mailboxes.find(({ mailbox }) => mailbox === INGEST_LANE);
        const inputs = mailboxes.filter(({ mailbox }) => INPUT_LANES.includes(mailbox));
        const etas = inputs.map(({ eta_seconds }) => eta_seconds);
        return {
          ...book,
          match_worker: ownerOf.get(`${partition} match`)?.worker ?? null,
          forward_worker: ownerOf.get(`${partition} forward`)?.worker ?? null,
          oldest_at: inputs.flatMap(({ oldest_at }) => oldest_at ?? []).sort()[0] ?? null,
          paused: ingest?.paused ?? null,
          eta_seconds: etas.includes(null) ? null : Math.max(...(etas as number[])),
          mailboxes,
        };
      });
    },
  };
}

/** In the order in which a message passes through them; that of a destination which was removed while something waits. */
function mailboxesOf(depths: ReadonlyMap<string, number>, known: readonly string[]): string[] {
  const left = [...depths]
    .filter(([mailbox, depth]) => depth > 0 && roleOf(mailbox) === 'forward' && !known.includes(mailbox))
    .map(([mailbox]) => mailbox);
  return [...INPUT_LANES, ...known, ...left.sort(), DEAD_LANE];
}

function roleOf(mailbox: string): PartitionOwner['role'] {
  if (INPUT_LANES.includes(mailbox)) return 'match';
  return mailbox === DEAD_LANE ? 'remediation' : 'forward';
}

function pauseOf(
  owner: PartitionOwner | undefined,
  mailbox: string,
  known: readonly string[],
): PauseDocument | null {
  if (owner === undefined) {
    return { reason: 'no_owner', detail: 'No thread of this node has this partition.', since: null };
  }
  const found = owner.pauses.find((pause) => pause.mailbox === null || pause.mailbox === mailbox);
  if (found !== undefined) {
    const { mailbox: _, ...pause } = found;
    return pause;
  }
  if (roleOf(mailbox) !== 'forward' || known.includes(mailbox)) return null;
  return {
    reason: 'destination_removed',
    detail: 'There is no destination of this name any more: its alerts wait until there is one again.',
    since: null,
  };
}

/** Alerts that are tried again later, by partition and mailbox: the first of each. */
async function setAsideOf(
  store: DurableStore,
  books: readonly PartitionBooks[],
): Promise<Map<string, SetAsideDocument[]>> {
  const places = books.flatMap(({ partition, delayed }) =>
    Object.entries(delayed)
      .filter(([set, members]) => members > 0 && isRetrySet(set))
      .map(([set]) => ({ partition, destination: destinationOf(set) })),
  );
  const found = new Map<string, SetAsideDocument[]>();
  for (const { partition, destination } of places) {
    const first = await firstSetAside(store, partition, destination);
    found.set(`${partition} ${alertLane(destination)}`, first);
  }
  return found;
}

/** When the first entry of each mailbox that holds any was stored, by partition and mailbox. */
async function oldestEntries(
  store: DurableStore,
  books: readonly PartitionBooks[],
): Promise<Map<string, string>> {
  const heads = books.flatMap(({ partition, lanes }) =>
    Object.entries(lanes)
      .filter(([, { entries }]) => entries > 0)
      .map(([lane]) => ({ partition, lane, afterId: START })),
  );
  if (heads.length === 0) return new Map();
  const entries = await store.read(heads, { entriesMax: 1, blockMs: 0 });
  return new Map(
    entries.map(({ partition, lane, storedAtMs }) => [
      `${partition} ${lane}`,
      new Date(storedAtMs).toISOString(),
    ]),
  );
}
