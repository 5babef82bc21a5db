/**
 * JSON Schema of a file of rules, for editors: the shape that parseConfiguration takes, each field with what it means.
 *
 * Made from the schema by which a rule is checked, so that the two cannot part. What a field means (an OID that is none, a
 * window that ends before it begins) only saving judges. Draft 7, since that is what editors know best.
 */
import type { TSchema } from 'typebox';
import { HANDLINGS } from '../event.ts';
import { TEMPLATE_CHARS_MAX } from '../forward/kinds/template.ts';
import { AUTH_FORMS, CONTENT_TYPES, KIND_NAMES } from '../ports.ts';
import { DESTINATIONS_MAX, HOST_CHARS_MAX, REASON_CHARS_MAX, RULES_MAX } from './configuration.ts';
import { NAME, RESOLVE_AFTER_MS, STALE_AFTER_MS_MAX, URL_CHARS_MAX } from './destination-document.ts';
import { ruleSchema } from './rule.ts';

type Json = Record<string, unknown>;

const NOT_BLANK = '\\S';
const text = (maxLength: number, description: string): Json => ({
  type: 'string',
  minLength: 1,
  maxLength,
  pattern: NOT_BLANK,
  description,
});
const orNull = (schema: Json): Json => {
  const { description, ...rest } = schema;
  return { description, anyOf: [rest, { type: 'null' }] };
};
const closed = (properties: Json, required: readonly string[], rest: Json = {}): Json => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
  ...rest,
});
const handling = (description: string): Json => ({ enum: [...HANDLINGS], description });
const integer = (minimum: number, maximum: number, description: string): Json => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});

/** What each field of a rule means, in a line. */
const MEANINGS: Readonly<Record<string, string>> = {
  id: 'Which stored rule this is. Left out, it is found by its name, or is new.',
  version: 'As it was shown; changes nothing.',
  match_string: 'What the message must contain (contains) or match (regex); with oid_prefix an OID.',
  match_type: 'How match_string is meant: contains (default), regex (JavaScript, linear time) or oid_prefix.',
  case_sensitive: 'Whether the case of the message counts; false when left out.',
  trap_oid: 'The OID of the trap; with oid_prefix the OID it is or lies under.',
  syslog_severity: '0 (emerg) to 7 (debug), or a name such as err.',
  severity_op: '= (default), <= or >=: "<= 3" means err and worse.',
  host: 'The whole host name; * stands for any run of characters, ? for one.',
  program: 'The whole name of the program.',
  facility: '0 (kern) to 23 (local7), or a name such as daemon.',
  network: 'Holds the source address of the event, such as 10.0.0.0/8.',
  priority: 'Lower goes first; 100 when left out.',
  continue: 'Whether later rules may match too; false when left out.',
  prod_handling: 'What is done with events of production hosts.',
  dev_handling: 'What is done with events of development hosts.',
  team_assignment: 'The team that answers for it.',
  severity: "The alert's severity instead of the event's: 0 to 7, or a name.",
  signature: 'Template of what repeats are folded by; {host}::{rule}::{object} when left out.',
  clears: 'The id of the rule whose alert this one ends.',
  active_from: 'From when the rule is active, RFC 3339, by receipt.',
  active_until: 'Until when it is, not included.',
  is_active: 'Whether the rule takes part; true when left out.',
  tests: 'Events and what this rule has to say of them; run whenever the rule is saved.',
};

const testSchema: Json = closed(
  {
    name: text(200, 'What the test shows; for people.'),
    event: {
      type: 'object',
      description: 'An event as it is sent: message, and what else counts. Left out: a host and a time.',
    },
    line: { type: 'string', description: "One syslog line as it is sent: '<13>Oct 11 22:14:15 host su: …'." },
    received_at: {
      type: 'string',
      description: 'When it counts as received, RFC 3339; while the rule is active when left out.',
    },
    match: { type: 'boolean', description: 'Whether the rule has to match it; true when left out.' },
    environment: {
      enum: ['prod', 'dev'],
      description: 'Of which handling is looked at; prod when left out.',
    },
    handling: handling('What the rule has to decide.'),
  },
  [],
  {
    description: 'An event or a line, and what the rule has to say of it.',
    oneOf: [{ required: ['event'] }, { required: ['line'] }],
    allOf: [
      {
        if: { properties: { match: { const: false } }, required: ['match'] },
        then: { not: { required: ['handling'] } },
      },
    ],
    dependencies: { environment: ['handling'] },
  },
);

function ruleOfFile(): Json {
  const properties = plain(ruleSchema)['properties'] as Record<string, Json>;
  const described = Object.entries(properties).map(([field, schema]): [string, Json] => {
    if (field === 'tests') {
      const { maxItems } = schema;
      return [field, { type: 'array', items: testSchema, maxItems, description: MEANINGS[field] }];
    }
    return [field, { ...schema, description: MEANINGS[field] ?? schema['description'] }];
  });
  const name = orNull(text(100, 'What people call it; by it the rule is found again.'));
  const further = {
    name,
    expected_version: integer(
      1,
      2_147_483_647,
      'The version that was seen; refused when it is another by now.',
    ),
    suspended: { description: 'As it was shown; changes nothing.' },
  };
  return closed({ ...further, ...Object.fromEntries(described) }, ruleSchema.required);
}

const routeSchema: Json = closed(
  {
    team: text(100, 'Alerts of this team.'),
    severity_at_most: integer(0, 7, 'Alerts at least this bad.'),
    environment: { enum: ['prod', 'dev'], description: 'Alerts of this environment.' },
    handling: handling('Alerts of this handling.'),
  },
  [],
);
const destinationSchema: Json = closed(
  {
    name: { type: 'string', pattern: NAME.source, description: 'By which it is found again.' },
    kind: { enum: [...KIND_NAMES], description: 'What it understands.' },
    url: orNull({
      type: 'string',
      maxLength: URL_CHARS_MAX,
      pattern: '^https?://',
      description:
        'Where alerts are posted. No credential is in it. PagerDuty and Moogsoft Cloud have one of their own.',
    }),
    secret_ref: orNull({
      type: 'string',
      pattern: '^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$',
      description: 'Where the credential is found: env:NAME or file:/path.',
    }),
    auth: orNull({
      enum: [...AUTH_FORMS],
      description: 'How the credential goes along, for moogsoft, alertmanager and webhook.',
    }),
    template: orNull(text(TEMPLATE_CHARS_MAX, 'What the body of a webhook is made from, in Liquid.')),
    content_type: orNull({ enum: [...CONTENT_TYPES], description: 'What the template makes.' }),
    resolve_after_ms: orNull(
      integer(...RESOLVE_AFTER_MS, 'How long an alert fires at an Alertmanager that nobody resolves.'),
    ),
    routes: orNull({
      type: 'array',
      items: routeSchema,
      maxItems: 100,
      description: 'Which alerts it takes: those of any route; all without routes.',
    }),
    rate_per_second: { type: 'number', minimum: 0.01, maximum: 1_000_000, description: 'Alerts per second.' },
    concurrency: integer(1, 256, 'Alerts under way at once.'),
    timeout_ms: integer(100, 120_000, 'How long an answer is waited for.'),
    stale_after_ms: orNull(
      integer(1_000, STALE_AFTER_MS_MAX, 'An alert received longer ago is not sent any more.'),
    ),
    collapse: {
      type: 'boolean',
      description: 'After an outage only the latest alert of each signature is sent.',
    },
  },
  ['name', 'kind'],
);

export const rulesFileSchema: { $schema: string; title: string } & Json = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'A file of rules for MUTT',
  description: 'What `mutt rules apply` and PUT /api/v2/rule-set take. What is not named stays as it is.',
  ...closed(
    {
      rules: orNull({ type: 'array', items: ruleOfFile(), maxItems: RULES_MAX, description: 'Rules.' }),
      development_hosts: orNull({
        type: 'array',
        items: text(HOST_CHARS_MAX, 'A host, by its whole name or the part before the first dot.'),
        maxItems: RULES_MAX,
        description: 'Hosts whose events are handled as development.',
      }),
      teams: orNull({
        type: 'object',
        additionalProperties: text(100, 'A team.'),
        description: 'Hosts with the team that answers for each.',
      }),
      destinations: orNull({
        type: 'array',
        items: destinationSchema,
        maxItems: DESTINATIONS_MAX,
        description: 'Where alerts go.',
      }),
      reason: orNull(text(REASON_CHARS_MAX, 'Why this is changed; for the audit.')),
    },
    [],
  ),
};

/** Without what only TypeBox needs. */
function plain(schema: TSchema): Json {
  return JSON.parse(JSON.stringify(schema)) as Json;
}
