/**
 * One page of a list, by key set: the next page begins after the last item of this one, whatever was added or removed
 * meanwhile. No counting and no offsets.
 */
import { PAGE_MAX, checkedInteger } from './checked-input.ts';

export interface Page<Item, Position> {
  items: Item[];
  /** What to pass as `after` for the following page; null when this is the last one. */
  next: Position | null;
}

/** Rows to ask for: one more than wanted shows whether there are more. Errors: E_ROW_INVALID. */
export function rowsFor(limit: number): number {
  return checkedInteger(limit, 'limit', 1, PAGE_MAX) + 1;
}

/** The page that rows make, of which there are at most `limit` + 1. */
export function pageOf<Item, Position>(
  rows: readonly Item[],
  limit: number,
  positionOf: (item: Item) => Position,
): Page<Item, Position> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? positionOf(last) : null };
}
