/**
 * The documents of replays of dead letters, as schemas. As documents.ts, of which this is a part.
 */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { count, handling, oneOf, orNull, time } from './documents.ts';

/** Members that a copy of the alert has instead. The alert itself stays in the record as it was. */
export const alertEdit = Type.Object(
  {
    description: Type.Optional(
      Type.String({ minLength: 1, maxLength: 16_384, description: 'a text of 1 to 16384 characters' }),
    ),
    severity: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 7, description: 'a whole number from 0 to 7' }),
    ),
    team: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        pattern: '\\S',
        description: 'a text of 1 to 100 characters, not blank',
      }),
    ),
    environment: Type.Optional(oneOf(['prod', 'dev'])),
    decision: Type.Optional(handling),
    status: Type.Optional(oneOf(['firing', 'resolved'])),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type AlertEdit = Static<typeof alertEdit>;

export const OPERATION_STATES = ['running', 'done', 'canceled'] as const;

export const replayOperationDocument = Type.Object(
  {
    id: Type.String(),
    /** `running` while letters wait or are on their way. */
    state: oneOf(OPERATION_STATES),
    begun_at: time,
    /** Name of the API key. */
    begun_by: Type.String(),
    reason: orNull(Type.String()),
    /** What was asked for. */
    selection: Type.Record(Type.String(), Type.Unknown()),
    per_second: Type.Number(),
    /** The sum of all that follow. */
    letters: count,
    waiting: count,
    on_their_way: count,
    delivered: count,
    /** Are dead letters again. */
    failed: count,
    /** Their destination has taken a later alert of their signature. */
    superseded: count,
    /** Taken back. */
    canceled: count,
    /** Of those that wait or are on their way: of a store no node of which lives. They stay so until it is adopted. */
    stranded: count,
    canceled_at: orNull(time),
  },
  { title: 'ReplayOperation' },
);
export type ReplayOperationDocument = Static<typeof replayOperationDocument>;

export const replayPreviewDocument = Type.Object(
  {
    /** That would be replayed, superseded ones included. */
    letters: count,
    superseded: count,
    /** The first of them, the oldest alerts first. */
    items: Type.Array(
      Type.Object({
        id: Type.String(),
        destination: Type.String(),
        reason: Type.String(),
        is_superseded: Type.Boolean(),
      }),
    ),
  },
  { title: 'ReplayPreview' },
);
export type ReplayPreviewDocument = Static<typeof replayPreviewDocument>;
