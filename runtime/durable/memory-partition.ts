/**
 * One partition of the in-memory store: the same books and structures that Redis keeps under one hash tag.
 */
import type { CommitRequest, Entry, KeyCounts, OverflowNote, StrikeRecord } from './durable-store.ts';
import { MemoryMarks } from './memory-marks.ts';
import { hasSpilled } from './memory-spills.ts';
import {
  ARRIVALS_FAIR_SHARES_MAX,
  ARRIVALS_KEYS_MAX,
  ARRIVALS_TTL_MS,
  countOf,
  DIVERTED_KEYS_MAX,
  FLOOD_PART_MIN,
  ID_JUMP,
} from './store-names.ts';

export interface Lease {
  nonce: string;
  epoch: number;
  expiresAtMs: number;
}

export interface WriterState {
  lanes: Map<string, { last: number; id: string }>;
  expiresAtMs: number;
}

export class MemoryPartition {
  readonly fields = new Map<string, string>();
  readonly streams = new Map<string, Entry[]>();
  /** Member bytes as latin1 text, to the due time. */
  readonly sets = new Map<string, Map<string, number>>();
  readonly owners = new Map<string, Lease>();
  readonly groups = new Map<string, number>();
  readonly strikes = new Map<string, StrikeRecord>();
  /** Diverted keys, with their messages in the overflow lane. */
  readonly diverted = new Map<string, number>();
  /** What the keys of the express lane brought since it was crowded. */
  arrivals = { total: 0, byKey: new Map<number, number>(), expiresAtMs: 0 };
  readonly marks = new MemoryMarks();
  /** The least recently used first. */
  readonly writers = new Map<string, WriterState>();

  number(field: string): number {
    return Number(this.fields.get(field) ?? 0);
  }
  put(field: string, value: number): void {
    this.fields.set(field, String(value));
  }
  add(field: string, amount: number): void {
    this.put(field, this.number(field) + amount);
  }
  stream(lane: string): Entry[] {
    return inMap(this.streams, lane, () => []);
  }
  set(name: string): Map<string, number> {
    return inMap(this.sets, name, () => new Map<string, number>());
  }
  /** A delayed set, earliest first. */
  byDueTime(name: string): [key: string, dueAtMs: number][] {
    return [...(this.sets.get(name) ?? [])].sort(([a, aDue], [b, bDue]) => aDue - bDue || (a < b ? -1 : 1));
  }
  /** The id sum of the lane's last entry; a new lane starts behind every id that a lost one may have used. */
  top(lane: string): number {
    const known = this.fields.get(`lane:${lane}:sequence`);
    return known === undefined ? Math.ceil(this.number('offset') / ID_JUMP) * ID_JUMP : Number(known);
  }
  push(
    partition: number,
    lane: string,
    count: number,
    payload: Buffer,
    nowMs: number,
    overflow?: OverflowNote,
  ): string {
    const top = this.top(lane) + count;
    const id = `${top}-${count}`;
    const entry = { partition, lane, id, count, payload: Buffer.from(payload), storedAtMs: nowMs };
    const bytes = payload.length + (overflow?.keys.length ?? 0);
    const stream = this.stream(lane);
    if (stream.length === 0) this.fields.delete(`lane:${lane}:gaps`);
    stream.push(overflow === undefined ? entry : { ...entry, overflow });
    this.put(`lane:${lane}:sequence`, top);
    this.add(`lane:${lane}:entriesIn`, 1);
    this.add(`lane:${lane}:messages`, count);
    this.add(`lane:${lane}:bytes`, bytes);
    return id;
  }
  /** Notes what the keys bring; in a crowded lane, diverts those that brought too much. Whether any is diverted now. */
  divert(keys: KeyCounts, count: number, fairMessages: number, isCrowded: boolean, nowMs: number): boolean {
    const { arrivals, diverted } = this;
    if (arrivals.expiresAtMs <= nowMs) this.arrivals = { total: 0, byKey: new Map(), expiresAtMs: 0 };
    const { byKey } = this.arrivals;
    const total = (this.arrivals.total += count);
    for (const [key, messages] of keys) byKey.set(key, (byKey.get(key) ?? 0) + messages);
    this.arrivals.expiresAtMs = nowMs + ARRIVALS_TTL_MS;
    if (total > fairMessages * ARRIVALS_FAIR_SHARES_MAX || byKey.size > ARRIVALS_KEYS_MAX) {
      this.arrivals.expiresAtMs = 0;
    }
    if (!isCrowded) return false;
    const most = Math.max(total / byKey.size, fairMessages * FLOOD_PART_MIN);
    const over = [...keys.keys()].filter(
      (key) => (byKey.get(key) ?? 0) >= most && !diverted.has(String(key)),
    );
    const taken = over.slice(0, Math.max(0, DIVERTED_KEYS_MAX - diverted.size));
    for (const key of taken) diverted.set(String(key), 0);
    if (taken.length > 0) this.add('diversion', 1);
    return taken.length > 0;
  }
  /** Counts messages that came to the overflow lane. */
  note(keys: KeyCounts): void {
    const known = this.diverted.size;
    for (const [key, messages] of keys) {
      this.diverted.set(String(key), (this.diverted.get(String(key)) ?? 0) + messages);
    }
    if (this.diverted.size > known) this.add('diversion', 1);
  }
  /** Takes back messages that left the overflow lane. */
  giveBack(keys: ReadonlyMap<string, number>, isEmpty: boolean): void {
    const known = this.diverted.size;
    for (const [key, messages] of keys) {
      const left = (this.diverted.get(key) ?? 0) - messages;
      if (left > 0) this.diverted.set(key, left);
      else this.diverted.delete(key);
    }
    if (isEmpty) this.diverted.clear();
    if (this.diverted.size < known) this.add('diversion', 1);
  }
}

/** The first output lane or delayed set that the commit would overfill, after what it takes out. */
export function fullLane(state: MemoryPartition, request: CommitRequest): string | undefined {
  const outputs = Map.groupBy(request.delayed ?? [], ({ set }) => set);
  for (const [set, added] of outputs) {
    const removed = (request.removeDelayed ?? []).filter((removal) => removal.set === set);
    const bounds = added[0]?.bounds;
    const remaining = (state.sets.get(set)?.size ?? 0) - removed.length;
    const bytes = state.number(`set:${set}:bytes`) - sum(removed.map(({ payload }) => payload.length));
    if (bounds === undefined || remaining <= 0) continue;
    const addedBytes = sum(added.map(({ payload }) => payload.length));
    if (remaining + added.length > bounds.entriesMax || bytes + addedBytes > bounds.bytesMax) return set;
  }
  for (const [lane, added] of Map.groupBy(request.outputs ?? [], (output) => output.lane)) {
    if (request.refill === undefined && hasSpilled(state, lane)) return lane;
    const removed = (request.inputs ?? []).filter((input) => input.lane === lane);
    const bounds = added[0]?.bounds;
    const remaining = (state.streams.get(lane)?.length ?? 0) - removed.length;
    if (bounds === undefined || remaining <= 0) continue;
    const bytes =
      state.number(`lane:${lane}:bytes`) -
      sum(removed.map((input) => input.bytes)) +
      sum(added.map(({ payload }) => payload.length));
    const messages =
      state.number(`lane:${lane}:messages`) -
      sum(removed.map(({ id }) => countOf(id))) +
      sum(added.map(({ count }) => count ?? 1));
    const isFull =
      remaining + added.length > bounds.entriesMax ||
      bytes > bounds.bytesMax ||
      messages > (bounds.messagesMax ?? Infinity);
    if (isFull) return lane;
  }
  return undefined;
}

/** The writer's state unless it expired; expired ones go, the least recently used first. */
export function writerOf(state: MemoryPartition, writerId: string, nowMs: number): WriterState | undefined {
  for (const [id, writer] of state.writers) {
    if (writer.expiresAtMs > nowMs) break;
    state.writers.delete(id);
  }
  return state.writers.get(writerId);
}

/** The map's value, made when it is missing. */
export function inMap<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

/** A delayed member's key in its set. */
export function keyOf(payload: Buffer): string {
  return payload.toString('latin1');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
