/** The documents of what no rule matched, as schemas. As documents.ts, of which this is a part. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { HANDLINGS } from '../../actors/event.ts';
import { count, oneOf, orNull, time } from './documents.ts';

const templateFields = {
  /** The same for this template on every host. */
  fingerprint: Type.String(),
  /** The message with all that varies masked by `#`. */
  template: Type.String(),
  program: orNull(Type.String()),
  trap_oid: orNull(Type.String()),
  /** Events of all hosts, since first_seen. */
  count,
  host_count: count,
  /** Those with most events. */
  hosts: Type.Array(Type.String()),
  first_seen: time,
  last_seen: time,
  /** The beginning of one of its messages. */
  sample: Type.String(),
  sample_event_id: Type.String(),
  /** When the last meta-alert about it was raised. */
  alerted_at: orNull(time),
  /** Hosts that raise no other until they were quiet. */
  latched_host_count: count,
};

export const unmatchedDocument = Type.Object(templateFields, { title: 'UnmatchedTemplate' });
export type UnmatchedDocument = Static<typeof unmatchedDocument>;

export const unmatchedDetailDocument = Type.Object(
  {
    ...templateFields,
    /** A rule that matches it, to begin from; null when no part of it is fixed. */
    suggested_rule: orNull(
      Type.Object({
        name: Type.String(),
        match_type: Type.Literal('contains'),
        match_string: orNull(Type.String()),
        trap_oid: orNull(Type.String()),
        program: orNull(Type.String()),
        prod_handling: oneOf(HANDLINGS),
        dev_handling: oneOf(HANDLINGS),
        team_assignment: Type.String(),
      }),
    ),
  },
  { title: 'UnmatchedTemplateDetail' },
);
export type UnmatchedDetailDocument = Static<typeof unmatchedDetailDocument>;

export const unmatchedHostDocument = Type.Object(
  {
    hostname: Type.String(),
    count,
    first_seen: time,
    last_seen: time,
    sample: Type.String(),
    sample_event_id: Type.String(),
    alerted_at: orNull(time),
    /** It raises no other meta-alert until it was quiet for a whole window, or is forgotten. */
    is_latched: Type.Boolean(),
  },
  { title: 'UnmatchedHost' },
);
export type UnmatchedHostDocument = Static<typeof unmatchedHostDocument>;
