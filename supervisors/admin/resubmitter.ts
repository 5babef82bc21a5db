/**
 * Sends rejects once more, and quarantined events: judged here as the ingest port judges, appended to the same mailbox, so
 * that the ledger counts them as accepted. What is said of rejects here holds for both.
 *
 * Events go to Redis and the mark to PostgreSQL, which no transaction holds together. So a resubmission is written down
 * with its frames first, then sent under a writer id of its own, then marked. Whoever finds it unfinished (a repeated
 * request, or this node after a crash) sends the same frames again, and Redis knows them. Invariants: a reject is never
 * lost, and its events are stored once as long as an unfinished resubmission is found within `WRITER_MEMORY_MS`.
 *
 * Frames that were written down cannot be divided, and Redis knows them by their lane. So all of them go to the overflow
 * lane, which takes the events of any host and keeps them in order with those before and after.
 */
import { createHash, randomBytes, randomFillSync } from 'node:crypto';
import { originEntry, senderOf } from '../../actors/ingest/origin.ts';
import { framesOf, hostsOf, judgeReject } from '../../actors/ingest/resubmission.ts';
import type { RecordFault, UsableBody } from '../../actors/ingest/resubmission.ts';
import { INGEST_LANE, OVERFLOW_LANE } from '../../actors/ingest/ingest-actor.ts';
import { uuidV7Maker } from '../../actors/ingest/uuid-v7.ts';
import type { ResubmittedReject } from '../../gateways/admin/admin-port.ts';
import type { ResubmittedDocument } from '../../gateways/admin/failure-documents.ts';
import type { ChangeAuthor } from '../../gateways/postgres/configuration-change.ts';
import type {
  Claim,
  FoundFailure,
  PostgresRejectOperations,
  WholeReject,
} from '../../gateways/postgres/reject-operations.ts';
import type { PostgresWitnessStore } from '../../gateways/postgres/witness-store.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { AppendResult, Bounds, DurableStore } from '../../runtime/durable/durable-store.ts';
import { codeOf, kindOf, messageOf } from '../../runtime/errors.ts';
import type { Log } from '../../runtime/telemetry/log.ts';

export interface ResubmitterOptions {
  operations: PostgresRejectOperations;
  witness: Pick<PostgresWitnessStore, 'list' | 'report'>;
  /** Remembers writers for `WRITER_MEMORY_MS`. Opened at the first use; rejects when Redis is away. */
  store: () => Promise<Pick<DurableStore, 'append'>>;
  storeName: string;
  partitions: number;
  /** Of the overflow mailbox. */
  bounds: () => Bounds;
  clock: Clock;
  log: Pick<Log, 'warn'>;
}

/** Longer than a node is out of order before somebody gives it up. */
export const WRITER_MEMORY_MS = 90 * 86_400_000;
/** Bodies of one resubmission, but for a single larger one: what is in memory at a time. */
const GROUP_BYTES_MAX = 1024 * 1024;
const WRITER_ID_BYTES = 16;
/** Younger ones are in the hands of whoever made them. */
const UNFINISHED_AFTER_MS = 5_000;
const UNFINISHED_AT_ONCE = 20;

interface Candidate {
  id: string;
  edited: Buffer | undefined;
  bytes: number;
}
interface Usable {
  reject: WholeReject;
  edited: Buffer | undefined;
  judged: UsableBody;
}
type Completed = { isDone: true } | { isDone: false; why: string };
type Outcome = Omit<ResubmittedDocument, 'id'>;

export class Resubmitter {
  readonly #options: ResubmitterOptions;
  readonly #newFrameId: () => Buffer;
  /** One at a time, so that what is in memory is bounded. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ResubmitterOptions) {
    this.#options = options;
    this.#newFrameId = uuidV7Maker(options.clock, (bytes) => randomFillSync(bytes));
  }

  /** One outcome for each, in their order. Errors: E_DATABASE_AWAY; what was done until then stays done. */
  async resubmit(
    rejects: readonly ResubmittedReject[],
    author: ChangeAuthor,
  ): Promise<ResubmittedDocument[]> {
    const found = await this.#options.operations.find(rejects.map(({ id }) => id));
    const outcomes = new Map<string, Outcome>();
    const candidates: Candidate[] = [];
    for (const { id, body } of rejects) {
      const failure = found.get(id);
      const outcome = await this.#outcomeUnlessParked(failure);
      if (outcome === undefined)
        candidates.push({ id, edited: body, bytes: body?.length ?? failure?.bodyBytes ?? 0 });
      else outcomes.set(id, outcome);
    }
    for (const group of groupsOf(candidates)) {
      await this.#inTurn(() => this.#resubmitGroup(group, author, outcomes));
    }
    return rejects.map(({ id }) => ({ id, ...(outcomes.get(id) ?? busy()) }));
  }

  /** What `resubmit` would say of it. Errors: E_DATABASE_AWAY. */
  async judge({ id, body }: ResubmittedReject): Promise<ResubmittedDocument> {
    const { operations } = this.#options;
    const failure = (await operations.find([id])).get(id);
    const standing = standingOf(failure);
    if (standing !== undefined) return { id, ...standing };
    return this.#inTurn(async () => {
      const [reject] = await operations.read([id]);
      if (reject === undefined) return { id, ...busy() };
      const judged = judgeReject(reject, body, this.#options.clock.wallMs());
      return {
        id,
        ...('faults' in judged
          ? unusable(judged.faults)
          : outcomeOf('usable', { events: judged.records.length })),
      };
    });
  }

  /** Finishes what was left unfinished. Never rejects; resolves to how many are unfinished still. */
  async finishOld(): Promise<number> {
    const { operations, storeName } = this.#options;
    let open = 0;
    try {
      for (const id of await operations.unfinished(storeName, UNFINISHED_AFTER_MS, UNFINISHED_AT_ONCE)) {
        const { isDone } = await this.#inTurn(() => this.#complete(id));
        if (!isDone) open += 1;
      }
    } catch (thrown) {
      this.#tell(thrown);
    }
    return open;
  }

  async #outcomeUnlessParked(failure: FoundFailure | undefined): Promise<Outcome | undefined> {
    const { storeName } = this.#options;
    const { resubmissionId, store } = failure ?? {};
    const isOurs = typeof resubmissionId === 'string' && store === storeName;
    if (!isOurs) return standingOf(failure);
    // Somebody asked before, and it is not finished: this request does what is left of it.
    const completed = await this.#inTurn(() => this.#complete(resubmissionId));
    return completed.isDone
      ? outcomeOf('already_resubmitted')
      : outcomeOf('pending', { detail: completed.why });
  }

  async #resubmitGroup(
    group: readonly Candidate[],
    author: ChangeAuthor,
    outcomes: Map<string, Outcome>,
  ): Promise<void> {
    const { operations, clock, storeName, partitions } = this.#options;
    const nowMs = clock.wallMs();
    const whole = new Map((await operations.read(group.map(({ id }) => id))).map((each) => [each.id, each]));
    const usable: Usable[] = [];
    for (const { id, edited } of group) {
      const reject = whole.get(id);
      if (reject === undefined) continue;
      const judged = judgeReject(reject, edited, nowMs);
      if ('faults' in judged) outcomes.set(id, unusable(judged.faults));
      else usable.push({ reject, edited, judged });
    }
    if (usable.length === 0) return;
    const resubmissionId = randomBytes(WRITER_ID_BYTES).toString('hex');
    const claimed = await operations.claim(
      {
        resubmissionId,
        store: storeName,
        rejects: usable.map(auditOf),
        framesOf: (ids) =>
          framesOf(
            usable
              .filter(({ reject }) => ids.has(reject.id))
              .map(({ reject, judged }) => ({
                ...judged,
                correlationId: reject.correlationId,
                origin: originOf(reject),
              })),
            { partitions, nowMs, newFrameId: this.#newFrameId },
          ),
      },
      author,
    );
    if (claimed.size === 0) return;
    const completed = await this.#complete(resubmissionId);
    for (const { reject, judged } of usable) {
      if (!claimed.has(reject.id)) continue;
      const events = judged.records.length;
      outcomes.set(
        reject.id,
        completed.isDone
          ? outcomeOf('resubmitted', { events })
          : outcomeOf('pending', { events, detail: completed.why }),
      );
    }
  }

  /** Sends what is written down, and marks it. Any number of times, by any number of callers. Never rejects. */
  async #complete(resubmissionId: string): Promise<Completed> {
    const { operations, witness, storeName } = this.#options;
    try {
      const frames = await operations.frames(resubmissionId, storeName);
      if (frames.length === 0) return { isDone: true };
      const known = new Map((await witness.list()).map(({ partition, sequence }) => [partition, sequence]));
      const store = await this.#options.store();
      const results = await store.append(
        frames.map(({ partition, sequence, events, frame }) => ({
          partition,
          lane: OVERFLOW_LANE,
          writerId: resubmissionId,
          sequence,
          count: events,
          payload: frame,
          bounds: this.#options.bounds(),
          witnessed: known.get(partition) ?? 0,
          diversion: { expressLane: INGEST_LANE, keys: hostsOf(frame) },
        })),
      );
      const why = results.map(whyNotStored).find((each) => each !== undefined);
      if (why !== undefined) return { isDone: false, why };
      await this.#witness(frames, results);
      await operations.finish(resubmissionId);
      return { isDone: true };
    } catch (thrown) {
      this.#tell(thrown);
      return { isDone: false, why: `${codeOf(thrown)}: ${messageOf(thrown)}` };
    }
  }

  /** Answered for from now on, as every acknowledgement. */
  async #witness(frames: readonly { partition: number }[], results: readonly AppendResult[]): Promise<void> {
    const reportedAtMs = this.#options.clock.wallMs();
    await this.#options.witness.report(
      results.flatMap((result, index) => {
        const partition = frames[index]?.partition;
        const isKnown = result.status === 'stored' || result.status === 'repeat';
        return partition === undefined || !isKnown
          ? []
          : [{ partition, sequence: result.accepted, reportedAtMs }];
      }),
    );
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  #tell(thrown: unknown): void {
    if (kindOf(thrown) === 'transient') return;
    this.#options.log.warn(
      { code: codeOf(thrown), message: messageOf(thrown) },
      'a resubmission is unfinished',
    );
  }
}

function groupsOf(candidates: readonly Candidate[]): Candidate[][] {
  const groups: Candidate[][] = [];
  let bytes = Infinity;
  for (const candidate of candidates) {
    if (bytes + candidate.bytes > GROUP_BYTES_MAX) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(candidate);
    bytes += candidate.bytes;
  }
  return groups;
}

/** What can be said without doing anything; undefined for a reject that is parked. */
function standingOf(failure: FoundFailure | undefined): Outcome | undefined {
  if (failure === undefined) return outcomeOf('unknown');
  if (failure.kind === 'dead_letter') return outcomeOf('read_only');
  if (failure.state === 'resubmitted') return outcomeOf('already_resubmitted');
  return failure.state === 'parked' ? undefined : busy();
}

function outcomeOf(
  outcome: Outcome['outcome'],
  { events = 0, detail = null }: { events?: number; detail?: string | null } = {},
): Outcome {
  return { outcome, events, errors: [], detail };
}

function busy(): Outcome {
  return outcomeOf('busy', { detail: 'another request, or another node, is resubmitting it' });
}

function unusable(faults: readonly RecordFault[]): Outcome {
  return { outcome: 'unusable', events: 0, errors: [...faults], detail: null };
}

/** The bodies themselves are not for a record that is kept for ever. */
function auditOf({ reject, edited, judged }: Usable): Claim['rejects'][number] {
  const { id, kind, keyName, code, body } = reject;
  return {
    id,
    kind,
    oldValues: { state: 'parked', key_name: keyName, code, ...digestOf(body) },
    newValues: {
      state: 'resubmitting',
      key_name: keyName,
      code,
      ...digestOf(edited ?? body),
      is_edited: edited !== undefined,
      events: judged.records.length,
    },
  };
}

function digestOf(body: Buffer): { body_bytes: number; body_sha256: string } {
  return { body_bytes: body.length, body_sha256: createHash('sha256').update(body).digest('hex') };
}

function whyNotStored(result: AppendResult): string | undefined {
  switch (result.status) {
    case 'stored':
    case 'repeat':
    // Its events bear no marks, so this is never said.
    case 'duplicate':
      return undefined;
    case 'full':
      return `the overflow mailbox is full (${result.reason})`;
    case 'gap':
      return 'an earlier part of it is not stored yet';
    case 'rerouted':
      return 'its hosts have another mailbox';
    case 'older':
      return 'Redis came back older than it was, and is being reconciled';
    case 'error':
      return `${result.error.code}: ${result.error.message}`;
  }
}

/** The address it first came from is not kept of a reject. */
function originOf({ keyName, sender }: WholeReject): string {
  return originEntry(keyName, senderOf({ address: '', program: sender, protocol: 'resubmission' }));
}
