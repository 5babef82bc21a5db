/**
 * Reads a partition's books: pure logic over the ledger's fields and over what was measured in the real structures.
 *
 * Invariant: accepted + replayed = sum of terminal counters + messages in the input lanes + open groups. The right side
 * is measured, never a counter that the same script advanced, or the sum would prove nothing.
 */
import type { Ledger, LaneMeasure, LedgerQuestion, SpilledMeasure } from './durable-store.ts';
import { countOf, cumulativeOf } from './store-names.ts';

/** What was found in one stream. */
export interface StreamMeasure {
  lane: string;
  entries: number;
  /** Absent when it is empty. */
  firstId?: string;
  lastId?: string;
}

export interface Measurement {
  /** All fields of the ledger hash. */
  fields: ReadonlyMap<string, string>;
  streams: readonly StreamMeasure[];
  delayed: ReadonlyMap<string, number>;
  groupsOpen: number;
  divertedKeys: number;
  marks: number;
}

const LANE_FIELD = /^lane:(.+):(?:sequence|entriesIn|entriesOut)$/;
const SET_FIELD = /^set:(.+):bytes$/;
const SPILL_FIELD = /^spill:(.+):last$/;
const COUNTER_FIELD = /^counter:(.+)$/;

/** The lanes that the ledger's fields speak of. */
export function lanesIn(fields: ReadonlyMap<string, string>): string[] {
  return namesIn(fields, LANE_FIELD);
}

/** The delayed sets that the ledger's fields speak of. */
export function setsIn(fields: ReadonlyMap<string, string>): string[] {
  return namesIn(fields, SET_FIELD);
}

/** Draws the balance. */
export function readLedger(measurement: Measurement, question: LedgerQuestion): Ledger {
  const { fields } = measurement;
  const number = (field: string): number => Number(fields.get(field) ?? 0);
  const problems: string[] = [];

  const counters: Record<string, number> = {};
  for (const name of namesIn(fields, COUNTER_FIELD)) counters[name] = number(`counter:${name}`);

  const lanes: Record<string, LaneMeasure> = {};
  let waiting = 0;
  for (const stream of measurement.streams) {
    const { lane, entries } = stream;
    const messages = messagesIn(stream, fields.get(`lane:${lane}:gaps`));
    lanes[lane] = { entries, messages, bytes: number(`lane:${lane}:bytes`) };
    const booked = number(`lane:${lane}:entriesIn`) - number(`lane:${lane}:entriesOut`);
    if (booked !== entries) {
      problems.push(`lane ${lane} holds ${entries} entries where ${booked} are booked`);
    }
    if (question.inputLanes.includes(lane)) {
      waiting += messages;
      const bookedMessages = number(`lane:${lane}:messages`);
      if (bookedMessages !== messages) {
        problems.push(`lane ${lane} holds ${messages} messages where ${bookedMessages} are booked`);
      }
    }
  }

  const spilled: Record<string, SpilledMeasure> = {};
  let spilledMessages = 0;
  for (const lane of namesIn(fields, SPILL_FIELD)) {
    const [taken, last] = [number(`spill:${lane}:taken`), number(`spill:${lane}:last`)];
    spilled[lane] = { messages: last - taken, bytes: number(`spill:${lane}:bytes`), taken, last };
    spilledMessages += last - taken;
  }
  if (spilledMessages !== number('spill:messages')) {
    problems.push(`${spilledMessages} messages are outside where ${number('spill:messages')} are booked`);
  }

  const anomalies = number('anomalies');
  if (anomalies > 0) problems.push(`${anomalies} commits named something that was not there`);

  const accepted = number('accepted');
  const replayed = counters['replayed'] ?? 0;
  const ended = question.terminal.reduce((sum, name) => sum + (counters[name] ?? 0), 0);
  const inFlight = waiting + measurement.groupsOpen;
  if (accepted + replayed !== ended + inFlight) {
    problems.push(
      `accepted ${accepted} + replayed ${replayed} is not ended ${ended} + waiting ${waiting} + open groups ${measurement.groupsOpen}`,
    );
  }
  return {
    accepted,
    replayed,
    offset: number('offset'),
    counters,
    measured: {
      lanes,
      groupsOpen: measurement.groupsOpen,
      delayed: Object.fromEntries(measurement.delayed),
      divertedKeys: measurement.divertedKeys,
      marks: measurement.marks,
    },
    spilled,
    balanced: problems.length === 0,
    inFlight,
    problems,
  };
}

/** Ids carry the lane's running sum, so two of them tell the messages between; noted jumps of the sum are taken out. */
function messagesIn(stream: StreamMeasure, gaps: string | undefined): number {
  const { firstId, lastId } = stream;
  if (firstId === undefined || lastId === undefined) return 0;
  const from = cumulativeOf(firstId);
  const to = cumulativeOf(lastId);
  const jumped = (gaps ?? '')
    .split(' ')
    .filter((gap) => gap !== '')
    .map((gap) => gap.split('+').map(Number))
    .filter(([at = 0]) => at >= from && at < to)
    .reduce((sum, [, jump = 0]) => sum + jump, 0);
  return to - from + countOf(firstId) - jumped;
}

function namesIn(fields: ReadonlyMap<string, string>, pattern: RegExp): string[] {
  const names = new Set<string>();
  for (const field of fields.keys()) {
    const name = pattern.exec(field)?.[1];
    if (name !== undefined) names.add(name);
  }
  return [...names];
}
