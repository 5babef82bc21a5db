/**
 * The documents of rules as software: what is tested, run over the audit log, covered, and gone back to. As documents.ts,
 * of which this is a part; here with what the endpoints take, since people write that into files too.
 */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { HANDLINGS } from '../../actors/event.ts';
import { count, handling, idNumber, oneOf, orNull, ruleDocument, time as stamp } from './documents.ts';
import { closed, hostname, reason, team, textOf, time, wholeNumber } from './inputs.ts';

const nullableText = orNull(Type.String());
const decision = oneOf([...HANDLINGS, 'Unmatched']);
const environment = oneOf(['prod', 'dev']);

// What is taken.

const LINE_CHARS_MAX = 65_536;
/** Events of one `POST /rules/test`. */
export const TESTED_EVENTS_MAX = 100;
/** Events that one backtest looks at. */
export const BACKTEST_EVENTS_MAX = 200_000;
export const BACKTEST_EVENTS_DEFAULT = 50_000;
export const BACKTEST_SECONDS_MAX = 60;
export const BACKTEST_SECONDS_DEFAULT = 20;
const SAMPLES_MAX = 50;
const RULES_MAX = 50_000;

const optional = (charsMax: number) => Type.Optional(orNull(textOf(charsMax)));
const coded = (maximum: number, example: string) =>
  Type.Optional(
    orNull(
      Type.Union([wholeNumber(0, maximum), Type.String({ minLength: 1 })], {
        description: `a number from 0 to ${maximum} or its name, such as ${example}`,
      }),
    ),
  );

/** An event as it is sent. A host and a time of its own are given to it where it has none. */
export const eventInput = Type.Object(
  {
    hostname: Type.Optional(Type.String({ description: 'a text' })),
    message: Type.Optional(Type.String({ description: 'a text' })),
  },
  { additionalProperties: true, description: 'an event as it is sent, with a message' },
);
const lineInput = Type.String({
  minLength: 1,
  maxLength: LINE_CHARS_MAX,
  description: `a syslog line of at most ${LINE_CHARS_MAX} characters`,
});

/** A test as it is kept in a rule: an event or a line, and what the rule has to say of it. */
export const ruleTestInput = Type.Object(
  {
    name: Type.Optional(Type.String()),
    event: Type.Optional(eventInput),
    line: Type.Optional(Type.String()),
    received_at: Type.Optional(Type.String()),
    match: Type.Optional(Type.Boolean()),
    environment: Type.Optional(environment),
    handling: Type.Optional(handling),
  },
  { title: 'RuleTest', additionalProperties: true },
);

/** A rule as people write it. What it means is judged behind the port; a spec keeps the two from drifting apart. */
export const ruleInput = Type.Object(
  {
    name: optional(100),
    id: Type.Optional(idNumber),
    version: Type.Optional(idNumber),
    match_string: optional(1_024),
    match_type: Type.Optional(oneOf(['contains', 'regex', 'oid_prefix'])),
    case_sensitive: Type.Optional(Type.Boolean()),
    trap_oid: optional(1_024),
    syslog_severity: coded(7, 'err'),
    severity_op: Type.Optional(oneOf(['=', '<=', '>='])),
    host: optional(255),
    program: optional(255),
    facility: coded(23, 'local7'),
    network: optional(64),
    priority: Type.Optional(wholeNumber(0, 1_000_000)),
    continue: Type.Optional(Type.Boolean()),
    prod_handling: handling,
    dev_handling: handling,
    team_assignment: team,
    severity: coded(7, 'err'),
    signature: optional(512),
    clears: Type.Optional(orNull(idNumber)),
    active_from: optional(64),
    active_until: optional(64),
    is_active: Type.Optional(Type.Boolean()),
    tests: Type.Optional(Type.Array(ruleTestInput, { maxItems: 100 })),
  },
  { title: 'RuleInput', additionalProperties: false },
);

/** A change that is tried and never made. */
const candidateFields = {
  /** What it is a change of: the rules in force (default), or none, so that `rules` is the whole set. */
  base: Type.Optional(oneOf(['in_force', 'none'])),
  /** Each in the place of the rule in force with its id, else its name; else new. */
  rules: Type.Optional(
    Type.Array(ruleInput, { maxItems: RULES_MAX, description: `a list of at most ${RULES_MAX} rules` }),
  ),
  /** Ids of rules in force that are not there. */
  remove: Type.Optional(
    Type.Array(idNumber, { maxItems: RULES_MAX, description: `a list of at most ${RULES_MAX} ids` }),
  ),
};

const testedMax = { minItems: 1, maxItems: TESTED_EVENTS_MAX };
export const ruleTestRequest = Type.Object(
  {
    ...candidateFields,
    // Exactly one of these five.
    event: Type.Optional(eventInput),
    events: Type.Optional(
      Type.Array(eventInput, { ...testedMax, description: `a list of 1 to ${TESTED_EVENTS_MAX} events` }),
    ),
    line: Type.Optional(lineInput),
    lines: Type.Optional(
      Type.Array(lineInput, { ...testedMax, description: `a list of 1 to ${TESTED_EVENTS_MAX} lines` }),
    ),
    /** The newest events of the audit log. */
    recent: Type.Optional(
      closed({
        limit: Type.Optional(wholeNumber(1, TESTED_EVENTS_MAX)),
        hostname: Type.Optional(hostname),
        from: Type.Optional(time),
        to: Type.Optional(time),
      }),
    ),
    /** When `event`, `events` and lines count as received; now when left out. */
    received_at: Type.Optional(time),
    /** Explain this rule instead of the nearest ones. */
    rule_id: Type.Optional(idNumber),
    /** How many of the nearest rules are explained. */
    nearest: Type.Optional(wholeNumber(0, 10)),
  },
  { title: 'RuleTestRequest', additionalProperties: false },
);
export type RuleTestRequest = Static<typeof ruleTestRequest>;

export const backtestRequest = Type.Object(
  {
    ...candidateFields,
    /** By receipt; the last day when left out. */
    from: Type.Optional(time),
    /** Not included; now when left out. */
    to: Type.Optional(time),
    events_max: Type.Optional(wholeNumber(1, BACKTEST_EVENTS_MAX)),
    time_limit_seconds: Type.Optional(wholeNumber(1, BACKTEST_SECONDS_MAX)),
    /** Of each kind of difference. */
    samples: Type.Optional(wholeNumber(0, SAMPLES_MAX)),
  },
  { title: 'BacktestRequest', additionalProperties: false },
);
export type BacktestRequest = Static<typeof backtestRequest>;
export type CandidateRequest = Pick<BacktestRequest, 'base' | 'rules' | 'remove'>;

export const rollbackRequest = closed({
  to_version: Type.Optional(idNumber),
  reason: Type.Optional(reason),
});

export const COVERAGE_KINDS = ['never_fired', 'shadowed', 'overlapping'] as const;
export type CoverageKind = (typeof COVERAGE_KINDS)[number];

// What is answered.

/** Which rule: of a candidate that is new, `rule_id` is null and `candidate` its place in `rules`. */
const ruleReference = {
  rule_id: orNull(Type.Integer()),
  rule_version: orNull(Type.Integer()),
  name: nullableText,
  /** Its place among the given rules; null for a rule in force. */
  candidate: orNull(count),
};

export const normalizedEventDocument = Type.Object(
  {
    hostname: Type.String(),
    message: Type.String(),
    received_at: stamp,
    event_time: Type.String(),
    clock_skewed: Type.Boolean(),
    text_repaired: Type.Boolean(),
    severity: orNull(count),
    facility: orNull(count),
    program: nullableText,
    pid: nullableText,
    msgid: nullableText,
    source_ip: nullableText,
    trap_oid: nullableText,
    source: nullableText,
    varbinds: Type.Optional(Type.Unknown()),
    structured_data: Type.Optional(Type.Unknown()),
    fields: Type.Record(Type.String(), Type.Unknown()),
  },
  { title: 'NormalizedEvent' },
);
export type NormalizedEventDocument = Static<typeof normalizedEventDocument>;

export const CRITERION_OUTCOMES = ['held', 'not_held', 'absent'] as const;
export const criterionDocument = Type.Object(
  {
    /** Of the rule: `match_string`, `host`, `active_from`, and so on. */
    field: Type.String(),
    /** `absent`: the event does not have what it compares with. */
    outcome: oneOf(CRITERION_OUTCOMES),
    wanted: Type.String(),
    /** What the event has there, cut short. */
    found: nullableText,
    /** Of a text that is not contained: the longest part of it that is. */
    near: nullableText,
  },
  { title: 'CriterionOutcome' },
);
export type CriterionDocument = Static<typeof criterionDocument>;

export const explainedRuleDocument = Type.Object(
  {
    ...ruleReference,
    /** `not_reached`: every criterion holds, and a rule before it ends the search. */
    why: oneOf(['matched', 'not_reached', 'criteria', 'inactive', 'suspended', 'not_compiled']),
    criteria: Type.Array(criterionDocument),
  },
  { title: 'ExplainedRule' },
);
export type ExplainedRuleDocument = Static<typeof explainedRuleDocument>;

const testedMatch = Type.Object(
  {
    ...ruleReference,
    handling,
    alerts: Type.Array(
      Type.Object({
        destination: Type.String(),
        signature: Type.String(),
        severity: orNull(count),
        status: oneOf(['firing', 'resolved']),
      }),
    ),
  },
  { title: 'TestedMatch' },
);

export const testedEventDocument = Type.Object(
  {
    /** Of `recent`; null for others. */
    event_id: nullableText,
    /** What kept it from being read; all that follows is then null or empty. */
    error: orNull(Type.Object({ code: Type.String(), message: Type.String() })),
    event: orNull(normalizedEventDocument),
    environment: orNull(environment),
    team: nullableText,
    decision: orNull(decision),
    /** In the order in which they matched. */
    matches: Type.Array(testedMatch),
    /** The nearest ones that did not match, or the rule that was asked for. */
    explained: Type.Array(explainedRuleDocument),
  },
  { title: 'TestedEvent' },
);
export type TestedEventDocument = Static<typeof testedEventDocument>;

/** Which rules were asked. */
const testedSet = Type.Object({
  base: oneOf(['in_force', 'none']),
  /** Of what is in force. */
  snapshot_version: count,
  /** Active ones. */
  rules: count,
  added: count,
  changed: count,
  removed: count,
});

export const ruleTestReply = Type.Object(
  { rule_set: testedSet, items: Type.Array(testedEventDocument) },
  { title: 'RuleTestReply' },
);
export type RuleTestReply = Static<typeof ruleTestReply>;

export const DIFFERENCES = ['gained', 'lost', 'changed'] as const;
export type Difference = (typeof DIFFERENCES)[number];

const side = Type.Object({
  decision,
  rules: Type.Array(Type.Object({ ...ruleReference, handling })),
  alerts: count,
});
const backtestSample = Type.Object(
  {
    event_id: Type.String(),
    received_at: stamp,
    hostname: Type.String(),
    message: Type.String(),
    before: side,
    after: side,
  },
  { title: 'BacktestSample' },
);
const differenceCounts = { gained: count, lost: count, changed: count };

export const backtestReply = Type.Object(
  {
    rule_set: testedSet,
    window: Type.Object({
      from: stamp,
      to: stamp,
      /** Of the events that were looked at; the newest are looked at first. Null when there were none. */
      oldest_received_at: orNull(stamp),
      newest_received_at: orNull(stamp),
      /** Why it stopped: at the beginning of the window, or at a bound before that. */
      ended_by: oneOf(['window', 'events_max', 'time_limit']),
    }),
    events: Type.Object({
      looked_at: count,
      /** Stored ones that cannot be read; not counted below. */
      unreadable: count,
      /** For which the rules in force decide otherwise than was stored. */
      decided_otherwise_when_stored: count,
      stored_unmatched: count,
    }),
    /** Of events without a match only some are in the audit log: what a new rule would gain among the others is not known. */
    unmatched_policy: oneOf(['none', 'sample', 'all']),
    caveat: nullableText,
    counts: Type.Object({ ...differenceCounts, unchanged: count }),
    alerts: Type.Object({
      before: count,
      after: count,
      destinations: Type.Array(Type.Object({ destination: Type.String(), before: count, after: count })),
    }),
    /** Those that match other events than before, the most different first; at most 200. */
    rules: Type.Array(Type.Object({ ...ruleReference, before: count, after: count, ...differenceCounts })),
    rules_different: count,
    samples: Type.Object({
      gained: Type.Array(backtestSample),
      lost: Type.Array(backtestSample),
      changed: Type.Array(backtestSample),
    }),
  },
  { title: 'BacktestReply' },
);
export type BacktestReply = Static<typeof backtestReply>;

const coveredRule = Type.Object({
  rule_id: Type.Integer(),
  rule_version: Type.Integer(),
  name: nullableText,
  priority: Type.Integer(),
});
export const coverageFinding = Type.Object(
  {
    kind: oneOf(COVERAGE_KINDS),
    ...coveredRule.properties,
    /** The rule that shadows it, or overlaps with it; null for one that never fired. */
    other: orNull(coveredRule),
    /** Of `overlapping`: how many events of the sample both match. */
    events: orNull(count),
    /** One of them. */
    event_id: nullableText,
  },
  { title: 'CoverageFinding' },
);
export type CoverageFinding = Static<typeof coverageFinding>;

export const coverageReply = Type.Object(
  {
    items: Type.Array(coverageFinding),
    next: nullableText,
    snapshot_version: count,
    /** Active ones. */
    rules: count,
    totals: Type.Object({ never_fired: count, shadowed: count, overlapping: count }),
    /** When it was worked out. */
    at: stamp,
    /** Pairs that were compared for shadowing; false when the bound on them left some out. */
    pairs_compared: count,
    all_pairs_compared: Type.Boolean(),
    /** Of the audit log, for overlapping. */
    sample: Type.Object({
      events: count,
      oldest_received_at: orNull(stamp),
      newest_received_at: orNull(stamp),
    }),
  },
  { title: 'Coverage' },
);
export type CoverageReply = Static<typeof coverageReply>;

export const ruleVersionDocument = Type.Object(
  {
    version: Type.Integer(),
    changed_at: stamp,
    changed_by: Type.String(),
    operation: oneOf(['CREATE', 'UPDATE', 'DELETE']),
    reason: nullableText,
    correlation_id: nullableText,
    /** Of the entry of the configuration audit. */
    audit_id: Type.Integer(),
    /** The rule as it then was; null when it was removed. */
    rule: orNull(ruleDocument),
  },
  { title: 'RuleVersion' },
);
export type RuleVersionDocument = Static<typeof ruleVersionDocument>;

export const ruleFileSchema = Type.Object(
  { $schema: Type.String(), title: Type.String() },
  { additionalProperties: true },
);
