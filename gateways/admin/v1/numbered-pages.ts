/**
 * Pages by number, as the old API has them, over lists that are read from one position on.
 *
 * Counting means reading: so there is a bound, and what is beyond it is not counted and cannot be reached by number.
 * Filters make any of it reachable, and API v2 has no such bound.
 */
import { Type } from 'typebox';
import { CodedError } from '../../../runtime/errors.ts';
import type { Listed, Page } from '../admin-port.ts';
import { wholeNumber } from '../inputs.ts';

export const ITEMS_MAX = 2_000;
const LIMIT_MAX = 200;
const LIMIT_DEFAULT = 50;

export const numberedQuery = {
  page: Type.Optional(wholeNumber(1, ITEMS_MAX)),
  limit: Type.Optional(wholeNumber(1, LIMIT_MAX)),
};

const count = Type.Integer({ minimum: 0 });
export const pagination = Type.Object({ page: count, limit: count, total: count, pages: count });

export interface NumberedQuery {
  page?: number;
  limit?: number;
}

export interface NumberedPage<Item> {
  items: Item[];
  pagination: { page: number; limit: number; total: number; pages: number };
}

/** A page after the last one is empty. Errors: E_PARAMETER_INVALID for one beyond the bound, those of `read`. */
export async function numberedPage<Item, Position>(
  { page = 1, limit = LIMIT_DEFAULT }: NumberedQuery,
  read: (at: Page<Position>) => Promise<Listed<Item, Position>>,
): Promise<NumberedPage<Item>> {
  const [from, to] = [(page - 1) * limit, page * limit];
  if (from >= ITEMS_MAX) throw tooFar();
  const items: Item[] = [];
  let total = 0;
  for await (const part of parts(read, ITEMS_MAX)) {
    items.push(...part.slice(Math.max(0, from - total), Math.max(0, to - total)));
    total += part.length;
  }
  return { items, pagination: { page, limit, total, pages: Math.ceil(total / limit) } };
}

/** Everything, in one list: for what old clients read whole. Errors: those of `read`. */
export async function wholeList<Item, Position>(
  read: (at: Page<Position>) => Promise<Listed<Item, Position>>,
): Promise<Item[]> {
  const items: Item[] = [];
  for await (const part of parts(read, Infinity)) items.push(...part);
  return items;
}

async function* parts<Item, Position>(
  read: (at: Page<Position>) => Promise<Listed<Item, Position>>,
  itemsMax: number,
): AsyncGenerator<Item[]> {
  let after: Position | null = null;
  let left = itemsMax;
  do {
    const limit: number = Math.min(LIMIT_MAX, left);
    const { items, next }: Listed<Item, Position> = await read(after === null ? { limit } : { limit, after });
    yield items;
    left -= items.length;
    after = next;
  } while (after !== null && left > 0);
}

function tooFar(): CodedError {
  const mend = `Filter by time to come to the rest, or use the cursors of API v2.`;
  const why = `is beyond the first ${ITEMS_MAX} items`;
  return new CodedError('E_PARAMETER_INVALID', `page ${why}`, {
    mend,
    details: { faults: [{ field: 'page', why, mend }] },
  });
}
