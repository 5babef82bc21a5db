/**
 * The durable mailbox in one process's memory: the same behaviour as `redis-store.ts`, proven by the same contract
 * suite, without its durability. For specs and trials.
 *
 * Invariant: every method decides and writes within one turn of the event loop, as a Redis script does.
 */
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { CodedError } from '../errors.ts';
import type {
  AppendRequest,
  AppendResult,
  CommitRequest,
  CommitResult,
  DurableStore,
  Entry,
  LanePosition,
  RenewResult,
  StrikeRecord,
  Token,
} from './durable-store.ts';
import { STRIKES_KEPT } from './durable-store.ts';
import { fairShare } from './lane-reader.ts';
import { lanesIn, readLedger, setsIn } from './ledger.ts';
import { generationChanged, storeAway } from './store-errors.ts';
import { bookSpills, goesOn, lookAtSpills } from './memory-spills.ts';
import { fullLane, inMap, keyOf, MemoryPartition, writerOf } from './memory-partition.ts';
import {
  addKeyCounts,
  checkAppend,
  checkCommit,
  checkEntryId,
  checkLane,
  checkLease,
  checkPartition,
  compareIds,
  countOf,
  cutStrike,
  encodeKeyCounts,
  ID_JUMP,
  strikeField,
  WRITER_TTL_MS,
} from './store-names.ts';

export interface MemoryStoreOptions {
  clock?: Clock;
  writerTtlMs?: number;
}

export function createMemoryStore(options: MemoryStoreOptions = {}): DurableStore {
  const clock = options.clock ?? systemClock;
  const writerTtlMs = options.writerTtlMs ?? WRITER_TTL_MS;
  const partitions = new Map<number, MemoryPartition>();
  const waiting = new Set<() => void>();
  let isClosed = false;

  const partitionOf = (number: number): MemoryPartition => {
    if (isClosed) throw storeAway('it is closed', 'no');
    checkPartition(number);
    return inMap(partitions, number, () => new MemoryPartition());
  };
  const wake = (): void => {
    for (const look of [...waiting]) look();
  };

  function appendOne(request: AppendRequest): AppendResult {
    checkAppend(request);
    const { lane, sequence, count, payload, bounds } = request;
    const state = partitionOf(request.partition);
    const accepted = state.number('accepted');
    const offset = state.number('offset');
    if (accepted + offset < (request.witnessed ?? 0)) return { status: 'older', accepted: accepted + offset };

    const nowMs = clock.wallMs();
    const marks = state.marks.judge(request.marks ?? [], nowMs);
    const reused = marks.reused.length === 0 ? {} : { reused: marks.reused };
    const writer = writerOf(state, request.writerId, nowMs);
    const { last, id: lastId } = writer?.lanes.get(lane) ?? { last: 0, id: '' };
    if (sequence <= last) {
      return {
        status: 'repeat',
        accepted: accepted + offset,
        ...(sequence === last ? { position: lastId } : {}),
        ...reused,
      };
    }
    if (sequence > last + 1) return { status: 'gap', last };
    if (marks.duplicates.length > 0) {
      return { status: 'duplicate', accepted: accepted + offset, duplicates: marks.duplicates, ...reused };
    }

    const stream = state.stream(lane);
    const head = stream[0];
    const messages = head === undefined ? 0 : state.number(`lane:${lane}:messages`);
    const { diversion } = request;
    if (diversion !== undefined && 'version' in diversion) {
      const { keys, version, fairMessages } = diversion;
      const isCounted = head !== undefined && fairMessages > 0 && keys !== undefined;
      const isCrowded = messages + count > fairMessages;
      if (
        version !== state.number('diversion') ||
        (isCounted && state.divert(keys, count, fairMessages, isCrowded, nowMs))
      ) {
        const diverted = [...state.diverted.keys()].map(Number);
        return { status: 'rerouted', version: state.number('diversion'), keys: diverted };
      }
    }
    const overflow =
      diversion !== undefined && 'expressLane' in diversion
        ? {
            keys: encodeKeyCounts(diversion.keys),
            after: state.number(`lane:${diversion.expressLane}:sequence`),
          }
        : undefined;
    if (head !== undefined) {
      const size = payload.length + (overflow?.keys.length ?? 0);
      if (stream.length + 1 > bounds.entriesMax) return { status: 'full', reason: 'entries' };
      if (state.number(`lane:${lane}:bytes`) + size > bounds.bytesMax) {
        return { status: 'full', reason: 'bytes' };
      }
      if (messages + count > (bounds.messagesMax ?? Infinity)) return { status: 'full', reason: 'messages' };
      if (nowMs - head.storedAtMs > (bounds.ageMsMax ?? Infinity)) return { status: 'full', reason: 'age' };
    }
    const id = state.push(request.partition, lane, count, payload, nowMs, overflow);
    if (diversion !== undefined && 'expressLane' in diversion) state.note(diversion.keys);
    state.put('accepted', accepted + count);
    const kept = writer ?? { lanes: new Map<string, { last: number; id: string }>(), expiresAtMs: 0 };
    kept.lanes.set(lane, { last: sequence, id });
    kept.expiresAtMs = nowMs + writerTtlMs;
    state.writers.delete(request.writerId);
    state.writers.set(request.writerId, kept);
    if (request.markWindow !== undefined) state.marks.add(marks.contents, request.markWindow, nowMs);
    wake();
    return {
      status: 'stored',
      accepted: accepted + count + offset,
      position: id,
      ...reused,
      ...(diversion !== undefined && 'version' in diversion ? { waiting: messages + count } : {}),
    };
  }

  function commit(request: CommitRequest): CommitResult {
    checkCommit(request);
    const state = partitionOf(request.partition);
    if (request.generation !== undefined && request.generation !== 1) throw generationChanged();
    const { token } = request;
    const current = currentOwner(state, token);
    if (current !== `${token.nonce}:${token.epoch}`) return { status: 'fenced', current };

    if (!goesOn(state, request)) return { status: 'repeat' };
    const full = fullLane(state, request);
    if (full !== undefined) return { status: 'full', lane: full };
    const inputs = request.inputs ?? [];
    const removals = (request.removeDelayed ?? []).map(({ set, payload }) => ({ set, key: keyOf(payload) }));
    const [firstInput] = inputs;
    const [firstRemoval] = removals;
    if (firstInput !== undefined) {
      if (!state.stream(firstInput.lane).some(({ id }) => id === firstInput.id)) return { status: 'repeat' };
    } else if (firstRemoval !== undefined && !state.set(firstRemoval.set).has(firstRemoval.key)) {
      return { status: 'repeat' };
    }

    let anomalies = 0;
    const returned = new Map<string, number>();
    let isOverflowEmpty = false;
    for (const { lane, id, bytes, keys } of inputs) {
      const stream = state.stream(lane);
      const index = stream.findIndex((entry) => entry.id === id);
      if (index < 0) anomalies += 1;
      else stream.splice(index, 1);
      state.strikes.delete(strikeField(lane, id));
      state.add(`lane:${lane}:messages`, -countOf(id));
      state.add(`lane:${lane}:bytes`, -bytes);
      state.add(`lane:${lane}:entriesOut`, 1);
      if (keys !== undefined) {
        addKeyCounts(returned, keys);
        isOverflowEmpty = stream.length === 0;
      }
    }
    if (returned.size > 0) state.giveBack(returned, isOverflowEmpty);
    for (const { set, key } of removals) {
      if (state.set(set).delete(key)) state.add(`set:${set}:bytes`, -key.length);
      else anomalies += 1;
    }
    const nowMs = clock.wallMs();
    for (const output of request.outputs ?? []) {
      state.push(request.partition, output.lane, output.count ?? 1, output.payload, nowMs);
    }
    for (const { set, payload, delayMs } of request.delayed ?? []) {
      const members = state.set(set);
      const key = keyOf(payload);
      state.add(`set:${set}:bytes`, members.has(key) ? 0 : key.length);
      members.set(key, nowMs + delayMs);
    }
    anomalies += bookSpills(state, request);
    for (const [name, amount] of Object.entries(request.counters ?? {})) state.add(`counter:${name}`, amount);
    for (const { id, parts } of request.openGroups ?? []) {
      state.groups.set(id, (state.groups.get(id) ?? 0) + parts);
    }
    for (const { id, parts = 1, counter } of request.settleGroups ?? []) {
      const left = (state.groups.get(id) ?? 0) - parts;
      if (left > 0) state.groups.set(id, left);
      else if (state.groups.delete(id)) state.add(`counter:${counter}`, 1);
      if (left < 0) anomalies += 1;
    }
    if (anomalies > 0) state.add('anomalies', anomalies);
    wake();
    return { status: 'committed' };
  }

  function collect(positions: readonly LanePosition[], entriesMax: number): Entry[][] {
    return positions.map(({ partition, lane, afterId }) =>
      (partitionOf(partition).streams.get(lane) ?? [])
        .filter(({ id }) => compareIds(id, afterId) > 0)
        .slice(0, entriesMax),
    );
  }

  return {
    generation: 1,

    async append(requests) {
      return requests.map((request) => {
        try {
          return appendOne(request);
        } catch (thrown) {
          return { status: 'error', error: thrown as CodedError };
        }
      });
    },

    async read(positions, { entriesMax, bytesMax = Infinity, blockMs, signal }) {
      for (const { lane, afterId } of positions) {
        checkLane(lane);
        checkEntryId(afterId);
      }
      const unique = [...new Map(positions.map((at) => [`${at.partition} ${at.lane}`, at])).values()];
      const found = fairShare(collect(unique, entriesMax), bytesMax);
      if (found.length > 0 || blockMs === 0 || signal?.aborted === true || positions.length === 0)
        return found;
      return new Promise((resolve, reject) => {
        const settle = (outcome: () => void): void => {
          cancel();
          waiting.delete(look);
          signal?.removeEventListener('abort', giveUp);
          outcome();
        };
        const look = (): void => {
          if (isClosed) {
            settle(() => reject(storeAway('it is closed', 'no')));
            return;
          }
          const entries = fairShare(collect(unique, entriesMax), bytesMax);
          if (entries.length > 0) settle(() => resolve(entries));
        };
        const giveUp = (): void => settle(() => resolve([]));
        const cancel = clock.after(blockMs, giveUp);
        waiting.add(look);
        signal?.addEventListener('abort', giveUp);
      });
    },

    commit: async (request) => commit(request),

    async lookAtSpills(partition, token, lanes, { isAttempt = false } = {}) {
      checkLease(token.laneGroup, token.nonce);
      lanes.forEach(checkLane);
      const state = partitionOf(partition);
      const current = currentOwner(state, token);
      if (current !== `${token.nonce}:${token.epoch}`) return { status: 'fenced', current };
      return lookAtSpills(state, lanes, isAttempt ? clock.wallMs() : undefined);
    },

    async takeDue(partition, set, limit) {
      checkLane(set);
      const nowMs = clock.wallMs();
      const members = partitionOf(partition).byDueTime(set);
      const next = members.find(([, dueAtMs]) => dueAtMs > nowMs);
      return {
        members: members
          .filter(([, dueAtMs]) => dueAtMs <= nowMs)
          .slice(0, limit)
          .map(([key, dueAtMs]) => ({ payload: Buffer.from(key, 'latin1'), dueAtMs })),
        nextDueInMs: next === undefined ? undefined : next[1] - nowMs,
      };
    },

    async listDelayed(partition, set, skip, limit) {
      checkLane(set);
      const members = partitionOf(partition).byDueTime(set);
      return members.slice(skip, skip + limit).map(([key]) => Buffer.from(key, 'latin1'));
    },

    async acquire(partition, laneGroup, nonce, ttlMs) {
      checkLease(laneGroup, nonce, ttlMs);
      const { owners } = partitionOf(partition);
      const held = owners.get(laneGroup);
      const remainingMs = (held?.expiresAtMs ?? 0) - clock.wallMs();
      if (held !== undefined && held.nonce !== nonce && remainingMs > 0) {
        return { heldBy: held.nonce, remainingMs };
      }
      const epoch = (held?.epoch ?? 0) + 1;
      owners.set(laneGroup, { nonce, epoch, expiresAtMs: clock.wallMs() + ttlMs });
      return { epoch };
    },

    async renew(numbers, laneGroup, nonce, ttlMs) {
      checkLease(laneGroup, nonce, ttlMs);
      return numbers.map((partition): RenewResult => {
        const held = partitionOf(partition).owners.get(laneGroup);
        if (held?.nonce !== nonce) return { partition, lostTo: held?.nonce ?? '-' };
        held.expiresAtMs = clock.wallMs() + ttlMs;
        return { partition, epoch: held.epoch };
      });
    },

    async release(numbers, laneGroup, nonce) {
      checkLease(laneGroup, nonce);
      for (const partition of numbers) {
        const held = partitionOf(partition).owners.get(laneGroup);
        if (held?.nonce === nonce) Object.assign(held, { nonce: '-', expiresAtMs: 0 });
      }
    },

    async addStrike(partition, lane, entryId, strike) {
      checkLane(lane);
      checkEntryId(entryId);
      const state = partitionOf(partition);
      const charged = cutStrike(strike);
      if (!(state.streams.get(lane) ?? []).some(({ id }) => id === entryId)) return undefined;
      const record = inMap(state.strikes, strikeField(lane, entryId), () => ({
        total: 0,
        ranges: {},
        latest: [],
      }));
      const range = `${charged.lo}-${charged.hi}`;
      record.total += 1;
      record.ranges[range] = (record.ranges[range] ?? 0) + 1;
      record.latest = [...record.latest, charged].slice(-STRIKES_KEPT);
      return structuredClone(record);
    },

    async strikesOf(partition, lane, entryId) {
      checkLane(lane);
      checkEntryId(entryId);
      return structuredClone(partitionOf(partition).strikes.get(strikeField(lane, entryId)));
    },

    async partsLeft(partition, groupId) {
      return partitionOf(partition).groups.get(groupId) ?? 0;
    },

    async strikes(partition, lane) {
      checkLane(lane);
      const records = new Map<string, StrikeRecord>();
      for (const [field, record] of partitionOf(partition).strikes) {
        const [ofLane, entryId] = field.split(' ');
        if (ofLane === lane && entryId !== undefined) records.set(entryId, structuredClone(record));
      }
      return records;
    },

    async ledger(partition, question) {
      question.inputLanes.forEach(checkLane);
      const state = partitionOf(partition);
      return readLedger(
        {
          fields: state.fields,
          groupsOpen: state.groups.size,
          divertedKeys: state.diverted.size,
          marks: state.marks.size(clock.wallMs()),
          streams: [...new Set([...lanesIn(state.fields), ...question.inputLanes])].map((lane) => {
            const stream = state.streams.get(lane) ?? [];
            const [first, last] = [stream[0], stream.at(-1)];
            if (first === undefined || last === undefined) return { lane, entries: 0 };
            return { lane, entries: stream.length, firstId: first.id, lastId: last.id };
          }),
          delayed: new Map(setsIn(state.fields).map((set) => [set, state.set(set).size])),
        },
        question,
      );
    },

    async raiseSequence(partition, sequence) {
      const state = partitionOf(partition);
      const known = state.number('accepted') + state.number('offset');
      if (sequence <= known) return known;
      const jump = Math.ceil((sequence - known) / ID_JUMP) * ID_JUMP;
      state.put('offset', sequence - state.number('accepted'));
      state.add('diversion', jump);
      for (const lane of lanesIn(state.fields)) {
        const field = `lane:${lane}:sequence`;
        if (!state.fields.has(field)) continue;
        const gaps = state.fields.get(`lane:${lane}:gaps`) ?? '';
        state.fields.set(`lane:${lane}:gaps`, `${gaps}${state.number(field)}+${jump} `);
        state.add(field, jump);
      }
      return known;
    },

    async close() {
      isClosed = true;
      wake();
    },
  };
}

function currentOwner(state: MemoryPartition, { laneGroup }: Token): string {
  const owner = state.owners.get(laneGroup);
  return owner === undefined ? '' : `${owner.nonce}:${owner.epoch}`;
}
