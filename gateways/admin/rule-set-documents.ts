/** Where alerts go, and all that decides, as schemas. As documents.ts, of which this is a part. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { AUTH_FORMS, CONTENT_TYPES, KIND_NAMES } from '../../actors/ports.ts';
import { count, handling, oneOf, orNull, ruleDocument, time } from './documents.ts';

export const destinationDocument = Type.Object(
  {
    name: Type.String(),
    version: count,
    kind: oneOf([...KIND_NAMES]),
    url: Type.String(),
    secret_ref: orNull(Type.String()),
    auth: Type.Optional(oneOf([...AUTH_FORMS])),
    template: Type.Optional(Type.String()),
    content_type: Type.Optional(oneOf([...CONTENT_TYPES])),
    resolve_after_ms: Type.Optional(count),
    routes: Type.Array(
      Type.Object({
        team: Type.Optional(Type.String()),
        severity_at_most: Type.Optional(Type.Integer({ minimum: 0, maximum: 7 })),
        environment: Type.Optional(oneOf(['prod', 'dev'])),
        handling: Type.Optional(handling),
      }),
    ),
    rate_per_second: Type.Number(),
    concurrency: count,
    timeout_ms: count,
    stale_after_ms: orNull(count),
    collapse: Type.Boolean(),
    /** What somebody has decided for a while; null without, and when its time has passed. */
    hold: orNull(
      Type.Object({
        kind: oneOf(['pause', 'mute']),
        since: time,
        until: orNull(time),
        reason: Type.String(),
        by: Type.String(),
      }),
    ),
    updated_at: time,
  },
  { title: 'Destination' },
);
export type DestinationDocument = Static<typeof destinationDocument>;

export const ruleSetDocument = Type.Object(
  {
    version: count,
    rules: Type.Array(ruleDocument),
    development_hosts: Type.Array(Type.String()),
    teams: Type.Record(Type.String(), Type.String()),
    destinations: Type.Array(Type.Omit(destinationDocument, ['version', 'hold', 'updated_at'])),
  },
  { title: 'RuleSet' },
);
export type RuleSetDocument = Static<typeof ruleSetDocument>;
