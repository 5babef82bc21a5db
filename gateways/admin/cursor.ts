/**
 * Cursors of lists: the position of the last item, as an opaque token. Not signed: it says where to go on reading, and
 * whoever makes one up reads nothing that a filter could not show.
 */
import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { CodedError } from '../../runtime/errors.ts';
import type { Listed, Page } from './admin-port.ts';
import { parseJsonBody } from './json-body.ts';

export const LIMIT_MAX = 200;
export const LIMIT_DEFAULT = 50;
const CURSOR_CHARS_MAX = 2_048;

/** The query parameters that every list has. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: LIMIT_MAX, description: `a whole number from 1 to ${LIMIT_MAX}` }),
  ),
  cursor: Type.Optional(Type.String({ description: 'the value of `next` of the page before' })),
};

export interface PageQuery {
  limit?: number;
  cursor?: string;
}

/** Reads one page and writes where the next one begins. Errors: E_CURSOR_INVALID, and those of `read`. */
export async function readPage<Item, Position extends TSchema>(
  query: PageQuery,
  position: Position,
  read: (page: Page<Static<Position>>) => Promise<Listed<Item, Static<Position>>>,
): Promise<{ items: Item[]; next: string | null }> {
  const limit = query.limit ?? LIMIT_DEFAULT;
  const after = query.cursor === undefined ? {} : { after: decodeCursor(position, query.cursor) };
  const { items, next } = await read({ limit, ...after });
  return { items, next: next === null ? null : encodeCursor(next) };
}

export function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** Errors: E_CURSOR_INVALID. */
export function decodeCursor<Position extends TSchema>(schema: Position, cursor: string): Static<Position> {
  let position: unknown;
  try {
    if (cursor.length > CURSOR_CHARS_MAX || !/^[A-Za-z0-9_-]+$/.test(cursor)) throw new Error();
    position = parseJsonBody(Buffer.from(cursor, 'base64url'));
  } catch {
    position = undefined;
  }
  if (position !== undefined && Value.Check(schema, position)) return position;
  const mend = 'Give the value of next of the last page as it is, or leave cursor out to begin.';
  throw new CodedError('E_CURSOR_INVALID', 'the cursor is not one of this list', {
    mend,
    details: { faults: [{ field: 'cursor', why: 'is not a cursor of this list', mend }] },
  });
}
