/**
 * What a writer does about marks: equal submissions that wait at the same time become one, and what the store has already
 * is taken out of a submission.
 *
 * Invariant: within a frame no two submissions have an equal mark, so that none is told of a message as stored that
 * another one of its frame has yet to bring.
 */
import type { Mark } from './durable-store.ts';
import type { Flight } from './flight.ts';
import { fail, settle } from './waiter.ts';
import type { Waiter } from './waiter.ts';

/** A mark of messages `first` to `first + count - 1` of a submission. One over all of them comes first. */
export interface RangeMark extends Mark {
  first: number;
  count: number;
}

/** What only a submission with marks has. */
export interface Marking<Part, Tag> {
  marks: readonly RangeMark[];
  /** Messages that were stored before. */
  duplicates: number;
  /** Those whose key came before with another content. */
  reused: RangeMark[];
  /** Equal submissions that came while this one waited: they end as it does. */
  followers: Waiter<Part, Tag>[];
}

/** The submissions of a frame that have marks, by mark. */
export type Marked<Part, Tag> = Map<string, Waiter<Part, Tag>>;

/**
 * Whether a submission goes into the frame (`in`), becomes the follower of an equal one in it (`follows`), or has to wait
 * for the next one since part of it is in this one (`next`).
 */
export function join<Part, Tag>(
  waiter: Waiter<Part, Tag>,
  marked: Marked<Part, Tag>,
): 'in' | 'follows' | 'next' {
  const { marking } = waiter;
  if (marking === undefined) return 'in';
  const names = marking.marks.map(nameOf);
  const equal = marked.get(names[0] ?? '');
  if (equal?.marking !== undefined && isNamedWhole(waiter) && isNamedWhole(equal)) {
    equal.marking.followers.push(waiter);
    return 'follows';
  }
  if (names.some((name) => marked.has(name))) return 'next';
  for (const name of names) marked.set(name, waiter);
  return 'in';
}

/** What a submission holds, its followers included. */
export function bytesHeld<Part, Tag>(waiters: readonly Waiter<Part, Tag>[]): number {
  let sum = 0;
  for (const { bytes, marking } of waiters) {
    sum += marking === undefined ? bytes : bytes + bytesHeld(marking.followers);
  }
  return sum;
}

/** The marks of a frame's submissions, in order; undefined when there are none. */
export function marksOf<Part, Tag>(waiters: readonly Waiter<Part, Tag>[]): readonly RangeMark[] | undefined {
  if (waiters.every(({ marking }) => marking === undefined)) return undefined;
  // None may be left of them.
  const marks = waiters.flatMap((waiter) => waiter.marking?.marks ?? []);
  return marks.length === 0 ? undefined : marks;
}

/** Notes which of a stored frame's marks have a key that came before with another content. */
export function noteReused<Part, Tag>(flight: Flight<Part, Tag>, reused: readonly number[]): void {
  const found = new Set(reused.map((at) => flight.marks?.[at]));
  if (found.size === 0) return;
  for (const { marking } of flight.waiters)
    marking?.reused.push(...marking.marks.filter((mark) => found.has(mark)));
}

/**
 * Takes what the store has already out of a frame that it refused for it. Returns the submissions of which something is
 * left to store; the others are settled.
 */
export function withoutDuplicates<Part extends { byteLength: number }, Tag>(
  flight: Flight<Part, Tag>,
  result: { accepted: number; duplicates: readonly number[]; reused?: readonly number[] },
  without: (part: Part, gone: ReadonlySet<number>) => Part,
): Waiter<Part, Tag>[] {
  const known = new Set(result.duplicates.map((at) => flight.marks?.[at]));
  // Only of the known ones: the others are told again when they are stored.
  noteReused(
    flight,
    (result.reused ?? []).filter((at) => known.has(flight.marks?.[at])),
  );
  return flight.waiters.filter((waiter) => {
    if (waiter.isSettled) return false;
    const { marking } = waiter;
    const gone = new Set<number>();
    for (const mark of marking?.marks ?? []) {
      if (!known.has(mark)) continue;
      for (let message = mark.first; message < mark.first + mark.count; message++) gone.add(message);
    }
    if (marking === undefined || gone.size === 0) return true;
    marking.duplicates += gone.size;
    if (gone.size === waiter.count) {
      settle(waiter, undefined, 0, result.accepted);
      return false;
    }
    try {
      waiter.part = without(waiter.part, gone);
    } catch (thrown) {
      fail(waiter, thrown);
      return false;
    }
    marking.marks = shifted(
      marking.marks.filter((mark) => !known.has(mark)),
      gone,
      waiter.count,
    );
    waiter.count -= gone.size;
    waiter.bytes = waiter.part.byteLength;
    return true;
  });
}

/** The ranges as they are when the messages `gone` of `count` are no more; empty ones go, too. */
function shifted(
  marks: readonly RangeMark[],
  gone: ReadonlySet<number>,
  count: number,
): readonly RangeMark[] {
  const leftBefore = [0];
  for (let message = 0; message < count; message++) {
    leftBefore.push((leftBefore[message] ?? 0) + (gone.has(message) ? 0 : 1));
  }
  return marks
    .map((mark) => {
      const first = leftBefore[mark.first] ?? 0;
      return { ...mark, first, count: (leftBefore[mark.first + mark.count] ?? first) - first };
    })
    .filter((mark) => mark.count > 0);
}

function isNamedWhole<Part, Tag>({ marking, count }: Waiter<Part, Tag>): boolean {
  return marking?.marks[0]?.count === count;
}

function nameOf({ key, content }: Mark): string {
  return key.toString('latin1') + content.toString('latin1');
}
