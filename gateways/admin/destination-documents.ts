/** What the test of a destination takes and gives. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { count, oneOf, orNull } from './documents.ts';

export const TESTED_STATUSES = ['firing', 'resolved'] as const;
export const TEST_OUTCOMES = ['delivered', 'retry', 'unauthorized', 'refused'] as const;

export const destinationTestDocument = Type.Object(
  {
    destination: Type.String(),
    /** False: it is the document that came with the request. */
    is_saved: Type.Boolean(),
    alert_id: Type.String(),
    /** Without the credential; null when nothing could be made or read. */
    sent: orNull(
      Type.Object({
        method: Type.Literal('POST'),
        url: Type.String(),
        headers: Type.Record(Type.String(), Type.String()),
        body: Type.String(),
      }),
    ),
    /** Null when there was none. */
    answer: orNull(Type.Object({ status: Type.Integer(), excerpt: Type.String() })),
    outcome: oneOf([...TEST_OUTCOMES]),
    /** Null when it was delivered. */
    reason: orNull(Type.String()),
    error: orNull(Type.String()),
    /** What would become of a real alert, and what to do about it. */
    meaning: Type.String(),
    duration_ms: count,
  },
  { title: 'DestinationTest' },
);
export type DestinationTestDocument = Static<typeof destinationTestDocument>;
