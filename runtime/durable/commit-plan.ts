/**
 * The form in which a commit travels to `scripts/commit.lua`: key numbers, a JSON plan without payloads, payloads.
 */
import type { CommitRequest } from './durable-store.ts';
import { addKeyCounts, countOf, ID_JUMP } from './store-names.ts';

interface LanePlan {
  name: string;
  key: number;
  ids: string[];
  inMessages: number;
  inBytes: number;
  counts: number[];
  outBytes: number;
  entriesMax: number;
  bytesMax: number;
  messagesMax: number;
}

interface SetPlan {
  name: string;
  key: number;
  removals: number;
  delays: number[];
  addedBytes: number;
  entriesMax: number;
  bytesMax: number;
}

export interface EncodedCommit {
  /** Names of the lanes and sets, in the order of their keys. */
  names: string[];
  plan: string;
  payloads: Buffer[];
}

/** Encodes a checked request. `firstKey` is the number of the first lane's key. */
export function encodeCommit(request: CommitRequest, firstKey: number): EncodedCommit {
  const names: string[] = [];
  const lanes = new Map<string, LanePlan>();
  const sets = new Map<string, SetPlan>();
  const outputsOf = new Map<string, Buffer[]>();
  const removalsOf = new Map<string, Buffer[]>();
  const delayedOf = new Map<string, Buffer[]>();

  const laneOf = (name: string): LanePlan => {
    let lane = lanes.get(name);
    if (lane === undefined) {
      lane = {
        name,
        key: firstKey + names.push(name) - 1,
        ids: [],
        inMessages: 0,
        inBytes: 0,
        counts: [],
        outBytes: 0,
        entriesMax: 0,
        bytesMax: 0,
        messagesMax: 0,
      };
      lanes.set(name, lane);
      outputsOf.set(name, []);
    }
    return lane;
  };
  const setOf = (name: string): SetPlan => {
    let set = sets.get(name);
    if (set === undefined) {
      const key = firstKey + names.push(name) - 1;
      set = { name, key, removals: 0, delays: [], addedBytes: 0, entriesMax: 0, bytesMax: 0 };
      sets.set(name, set);
      removalsOf.set(name, []);
      delayedOf.set(name, []);
    }
    return set;
  };

  const returned = new Map<string, number>();
  let overflow: LanePlan | undefined;
  for (const input of request.inputs ?? []) {
    const lane = laneOf(input.lane);
    if (input.keys !== undefined) {
      addKeyCounts(returned, input.keys);
      overflow = lane;
    }
    lane.ids.push(input.id);
    lane.inMessages += countOf(input.id);
    lane.inBytes += input.bytes;
  }
  for (const output of request.outputs ?? []) {
    const lane = laneOf(output.lane);
    if (lane.counts.length === 0) {
      lane.entriesMax = output.bounds.entriesMax;
      lane.bytesMax = output.bounds.bytesMax;
      lane.messagesMax = output.bounds.messagesMax ?? 0;
    }
    lane.counts.push(output.count ?? 1);
    lane.outBytes += output.payload.length;
    outputsOf.get(output.lane)?.push(output.payload);
  }
  for (const removal of request.removeDelayed ?? []) {
    setOf(removal.set).removals += 1;
    removalsOf.get(removal.set)?.push(removal.payload);
  }
  for (const delayed of request.delayed ?? []) {
    const set = setOf(delayed.set);
    if (set.delays.length === 0) {
      set.entriesMax = delayed.bounds.entriesMax;
      set.bytesMax = delayed.bounds.bytesMax;
    }
    set.delays.push(delayed.delayMs);
    set.addedBytes += delayed.payload.length;
    delayedOf.get(delayed.set)?.push(delayed.payload);
  }

  const first = request.inputs?.[0];
  const firstRemoval = request.removeDelayed?.[0];
  const plan = {
    laneGroup: request.token.laneGroup,
    token: `${request.token.nonce}:${request.token.epoch}`,
    idJump: ID_JUMP,
    lanes: [...lanes.values()],
    sets: [...sets.values()],
    ...(first === undefined ? {} : { first: { key: laneOf(first.lane).key, id: first.id } }),
    ...(first !== undefined || firstRemoval === undefined
      ? {}
      : { firstSet: [...sets.keys()].indexOf(firstRemoval.set) + 1 }),
    ...(overflow === undefined ? {} : { returned: [...returned], overflow: overflow.key }),
    ...(request.spills === undefined
      ? {}
      : {
          attempt: request.spills.attempt,
          spills: request.spills.lanes.map(({ lane, after, count, bytes }) => [lane, after, count, bytes]),
        }),
    ...(request.refill === undefined ? {} : { refill: request.refill }),
    counters: Object.entries(request.counters ?? {}),
    open: (request.openGroups ?? []).map(({ id, parts }) => [id, parts]),
    settle: (request.settleGroups ?? []).map(({ id, parts, counter }) => [id, parts ?? 1, counter]),
  };
  const payloads = [
    ...[...sets.keys()].flatMap((name) => removalsOf.get(name) ?? []),
    ...[...lanes.keys()].flatMap((name) => outputsOf.get(name) ?? []),
    ...[...sets.keys()].flatMap((name) => delayedOf.get(name) ?? []),
  ];
  return { names, plan: JSON.stringify(plan), payloads };
}
