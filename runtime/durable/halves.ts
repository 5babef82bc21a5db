/**
 * A submission that goes to two lanes, in the place of one: it is settled when both halves are.
 *
 * A mark over several messages is taken or known as a whole, so what has one is never divided.
 */
import type { Marking, RangeMark } from './marking.ts';
import type { Waiter } from './waiter.ts';
import { halfStored, mayBeStored } from './writer-errors.ts';
import type { Receipt } from './writer.ts';

/** Whether messages of a submission may be stored apart from each other. */
export function isDivisible<Part, Tag>({ marking }: Waiter<Part, Tag>): boolean {
  return marking === undefined || marking.marks.every(({ count }) => count === 1);
}

/**
 * The two halves, with the messages that `isFirst` and the others that it does not choose. The receipt is that of the
 * later one of which anything is new, with what both say of their marks.
 */
export function halve<Part extends { byteLength: number }, Tag>(
  waiter: Waiter<Part, Tag>,
  isFirst: (index: number) => boolean,
  select: (part: Part, isChosen: (index: number) => boolean) => Part,
): [Waiter<Part, Tag>, Waiter<Part, Tag>] {
  const { marking } = waiter;
  const receipts: Receipt<Tag>[] = [];
  const failures: unknown[] = [];
  const closed = (): void => {
    if (receipts.length + failures.length < 2) return;
    const [, later] = receipts;
    if (failures.length > 0) waiter.reject(receipts.length > 0 ? halfStored(failures[0]) : failures[0]);
    else if (later !== undefined)
      waiter.resolve(marking === undefined ? later : together(marking, receipts, later));
  };
  const half = (isChosen: (index: number) => boolean, bytesMax: number): Waiter<Part, Tag> => {
    const part = select(waiter.part, isChosen);
    // Where each message stands among the chosen ones.
    const places = new Map<number, number>();
    for (let index = 0; index < waiter.count; index++) if (isChosen(index)) places.set(index, places.size);
    return {
      count: places.size,
      part,
      bytes: Math.min(part.byteLength, bytesMax),
      marking: marking === undefined ? undefined : markingOf(marking.marks, places),
      deadlineAtMs: waiter.deadlineAtMs,
      isSettled: false,
      resolve: (receipt) => {
        receipts.push(receipt);
        closed();
      },
      reject: (error) => {
        // What may be stored says more than what is not.
        if (mayBeStored(error)) failures.unshift(error);
        else failures.push(error);
        closed();
      },
    };
  };
  const first = half(isFirst, waiter.bytes);
  const second = half((index) => !isFirst(index), waiter.bytes);
  return [first, { ...second, bytes: waiter.bytes - first.bytes }];
}

function markingOf<Part, Tag>(
  marks: readonly RangeMark[],
  places: ReadonlyMap<number, number>,
): Marking<Part, Tag> {
  const own = marks.flatMap((mark) => {
    const first = places.get(mark.first);
    return first === undefined ? [] : [{ ...mark, first }];
  });
  return { marks: own, duplicates: 0, reused: [], followers: [] };
}

function together<Part, Tag>(
  before: Marking<Part, Tag>,
  receipts: readonly Receipt<Tag>[],
  later: Receipt<Tag>,
): Receipt<Tag> {
  return {
    ...(receipts.findLast(({ tag }) => tag !== undefined) ?? later),
    accepted: later.accepted,
    duplicates: receipts.reduce((sum, { duplicates = 0 }) => sum + duplicates, before.duplicates),
    reused: [...before.reused, ...receipts.flatMap(({ reused = [] }) => reused)],
  };
}
