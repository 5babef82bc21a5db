/** One submission that waits in a writer, and how it ends. */
import type { Marking } from './marking.ts';
import type { Receipt } from './writer.ts';

export interface Waiter<Part, Tag> {
  count: number;
  part: Part;
  bytes: number;
  marking: Marking<Part, Tag> | undefined;
  deadlineAtMs: number;
  isSettled: boolean;
  resolve: (receipt: Receipt<Tag>) => void;
  reject: (error: unknown) => void;
}

/** Tells a submission, and those that follow it, where it lies: nowhere new when there is no tag. */
export function settle<Part, Tag>(
  waiter: Waiter<Part, Tag>,
  tag: Tag | undefined,
  firstIndex: number,
  accepted: number,
): void {
  if (waiter.isSettled) return;
  waiter.isSettled = true;
  const { marking } = waiter;
  if (marking === undefined) {
    waiter.resolve({ tag, firstIndex, accepted });
    return;
  }
  const { duplicates, reused } = marking;
  waiter.resolve({ tag, firstIndex, accepted, duplicates, reused });
  const receipt = { tag, firstIndex, accepted, reused };
  for (const follower of marking.followers) settleFollower(follower, receipt);
}

/** One that had followers itself before it became one. */
function settleFollower<Part, Tag>(follower: Waiter<Part, Tag>, receipt: Receipt<Tag>): void {
  if (follower.isSettled) return;
  follower.isSettled = true;
  follower.resolve({ ...receipt, duplicates: follower.count });
  for (const next of follower.marking?.followers ?? []) settleFollower(next, receipt);
}

/** Rejects a submission and those that follow it, once. */
export function fail<Part, Tag>(waiter: Waiter<Part, Tag>, error: unknown): void {
  if (waiter.isSettled) return;
  waiter.isSettled = true;
  waiter.reject(error);
  for (const follower of waiter.marking?.followers ?? []) fail(follower, error);
}
