/**
 * Replays of dead letters as PostgreSQL remembers them: what is to be done, batches that are under way, and what became
 * of them. Only the owner of a partition calls what changes its letters; it may have lost it meanwhile, so every
 * statement changes what is still as it was. It sees the letters of one Redis: partitions of the same number in another
 * have other owners, and other events. What people ask for is in letter-operations.ts.
 */
import type {
  BatchLetter,
  LetterCount,
  LetterEnd,
  LetterReleaseStore,
  LetterWork,
  ReplayPace,
} from '../../actors/ports.ts';
import type { Connection } from './connection.ts';

interface WorkRow {
  kind: LetterWork['kind'];
  partition: number;
  destination: string | null;
  operation_id: string | null;
  batch_id: string | null;
  is_armed: boolean;
  per_second: number | null;
}
interface CountRow {
  is_automatic: boolean;
  letters: number;
}

/** Errors of all: those of Connection. */
export class PostgresLetterReleases implements LetterReleaseStore {
  readonly #connection: Connection;
  readonly #store: string;

  /** `store` names the Redis. */
  constructor(connection: Connection, store: string) {
    this.#connection = connection;
    this.#store = store;
  }

  async adopt(partitions: readonly number[]): Promise<void> {
    await this.#connection.rows('adopt_letters', [this.#store, [...partitions]]);
  }

  async work(
    partitions: readonly number[],
    destinations: readonly string[],
    reasons: readonly string[],
  ): Promise<LetterWork[]> {
    const rows = await this.#connection.rows<WorkRow>('list_letter_work', [
      [...partitions],
      [...destinations],
      [...reasons],
      this.#store,
    ]);
    return rows.map(toWork);
  }

  async claimQueued(
    { operationId, partition, destination }: Extract<LetterWork, { kind: 'replay' }>,
    limit: number,
    batchId: string,
  ): Promise<number> {
    const values = [partition, operationId, destination, limit, batchId, this.#store];
    return (await this.#connection.rows('claim_queued_letters', values)).length;
  }

  async claimDue(
    { partition, destination }: Extract<LetterWork, { kind: 'retry' }>,
    reasons: readonly string[],
    limit: number,
    batchId: string,
  ): Promise<number> {
    const values = [partition, destination, [...reasons], limit, batchId, this.#store];
    return (await this.#connection.rows('claim_due_letters', values)).length;
  }

  async claimDiscarded(partition: number, limit: number, batchId: string): Promise<number> {
    return (await this.#connection.rows('claim_discarded_letters', [partition, limit, batchId, this.#store]))
      .length;
  }

  async arm(batchId: string): Promise<boolean> {
    return (await this.#connection.rows('arm_letter_batch', [batchId])).length > 0;
  }

  async lettersOf(batchId: string): Promise<BatchLetter[]> {
    const rows = await this.#connection.rows<{
      alert_id: string;
      destination: string;
      alert: BatchLetter['alert'];
      batch_end: LetterEnd;
      replays: number;
      first_failed_ms: number;
      reason: string;
    }>('list_batch_letters', [batchId]);
    return rows.map((row) => ({
      alertId: row.alert_id,
      destination: row.destination,
      alert: row.alert,
      end: row.batch_end,
      replays: row.replays,
      firstFailedAtMs: row.first_failed_ms,
      reason: row.reason,
    }));
  }

  async finish(batchId: string): Promise<(LetterCount & { end: LetterEnd })[]> {
    const rows = await this.#connection.rows<CountRow & { batch_end: LetterEnd }>('finish_letter_batch', [
      batchId,
    ]);
    return rows.map((row) => ({ ...countOf(row), end: row.batch_end }));
  }

  async noteDelivered(
    partitions: readonly number[],
    destinations: readonly string[],
  ): Promise<(LetterCount & { destination: string; outcome: 'delivered' | 'superseded' })[]> {
    const rows = await this.#connection.rows<
      CountRow & { destination: string; outcome: 'delivered' | 'superseded' }
    >('note_delivered_letters', [[...partitions], [...destinations], this.#store]);
    return rows.map((row) => ({ ...countOf(row), destination: row.destination, outcome: row.outcome }));
  }

  lost(
    partitions: readonly number[],
    ageMsMin: number,
  ): Promise<{ partition: number; destination: string }[]> {
    return this.#connection.rows('list_lost_letters', [[...partitions], ageMsMin, this.#store]);
  }

  async endLost(
    { partition, destination }: { partition: number; destination: string },
    ageMsMin: number,
  ): Promise<number> {
    return (await this.#connection.rows('end_lost_letters', [partition, destination, ageMsMin, this.#store]))
      .length;
  }

  async plan(
    partitions: readonly number[],
    reasons: readonly string[],
    limits: { baseMs: number; delayMsMax: number; replaysMax: number; lettersMax: number },
  ): Promise<{ destination: string; isGivenUp: boolean; letters: number }[]> {
    const { baseMs, delayMsMax, replaysMax, lettersMax } = limits;
    const rows = await this.#connection.rows<{ destination: string; is_given_up: boolean; letters: number }>(
      'plan_letter_retries',
      [[...partitions], [...reasons], baseMs, delayMsMax, replaysMax, lettersMax, this.#store],
    );
    return rows.map((row) => ({
      destination: row.destination,
      isGivenUp: row.is_given_up,
      letters: row.letters,
    }));
  }

  async takeTokens(pace: ReplayPace, wanted: number, destination: string): Promise<number> {
    const { name, onTheirWayMax, perSecond } = pace;
    const values = [name, wanted, destination, onTheirWayMax, perSecond, this.#store];
    return (await this.#connection.row<{ taken: number }>('take_replay_tokens', values)).taken;
  }

  async giveBackTokens(pace: string, tokens: number): Promise<void> {
    await this.#connection.rows('give_back_replay_tokens', [pace, tokens]);
  }

  async adapt(
    pace: string,
    isGrowing: boolean,
    { perSecondMin, perSecondMax }: { perSecondMin: number; perSecondMax: number },
  ): Promise<void> {
    await this.#connection.rows('adapt_replay_pace', [pace, isGrowing, perSecondMin, perSecondMax]);
  }

  async closeOperations(): Promise<void> {
    await this.#connection.rows('close_replay_operations');
  }
}

function toWork(row: WorkRow): LetterWork {
  const { kind, partition, destination, operation_id: operationId, batch_id: id, is_armed: isArmed } = row;
  switch (kind) {
    case 'batch':
      return { kind, partition, batch: { id: id ?? '', partition, isArmed } };
    case 'discard':
      return { kind, partition };
    case 'replay':
      return {
        kind,
        partition,
        destination: destination ?? '',
        operationId: operationId ?? '',
        perSecond: row.per_second ?? 1,
      };
    case 'retry':
      return { kind, partition, destination: destination ?? '' };
  }
}

function countOf(row: CountRow): LetterCount {
  return { letters: row.letters, isAutomatic: row.is_automatic };
}
