/**
 * The rule as an operator writes it: its schema, and the check that reports everything wrong with it at once.
 *
 * What passes here compiles (criteria.ts), and passes its own tests (rule-tests.ts). Nothing is silently corrected but
 * spelling that has one meaning: OIDs without their leading dot, severities and facilities by name.
 */
import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';
import { nearestWord } from '../../runtime/nearest-word.ts';
import { HANDLINGS } from '../event.ts';
import { parseTimestamp } from '../ingest/timestamp.ts';
import { RULE_DEFAULTS } from '../ports.ts';
import type { RuleRow } from '../ports.ts';
import { parseNetwork } from './ip-network.ts';
import { canonicalOid } from './oid.ts';
import { REGEX_CHARS_MAX, compileExpression } from './regex/expression.ts';
import { runRuleTests, testShapeFaults } from './rule-tests.ts';
import { facilityOf, severityOf } from './severity.ts';
import { PLACEHOLDERS, placeholdersOf } from './signature.ts';

/** A checked rule, complete with defaults. `id` and `version` only where the operator gave them. */
export type RuleInput = Omit<RuleRow, 'id' | 'version' | 'suspended'> & { id?: number; version?: number };

/** One thing wrong with a rule. */
export interface RuleFault {
  field: string;
  /** The offending value as JSON, cut short; absent when the field is missing. */
  value?: string;
  code: 'E_RULE_INVALID' | 'E_RULE_REGEX_INVALID' | 'E_RULE_REGEX_UNSAFE' | 'E_RULE_TEST_FAILED';
  why: string;
  mend: string;
}

const FAULT_VALUE_CHARS_MAX = 120;
const WORD_CHARS_MAX = 64;
/** Tests kept with a rule (rule-tests.ts). */
const TESTS_MAX = 100;
export const PRIORITY_MAX = 1_000_000;

// What fields are made of. Each description completes "must be …" and "Give …" of a fault.
const text = (max: number): TSchema =>
  Type.String({
    minLength: 1,
    maxLength: max,
    pattern: '\\S',
    description: `a text of 1 to ${max} characters, not blank`,
  });
const oneOf = (...values: readonly string[]): TSchema =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    { description: `one of ${values.join(', ')}` },
  );
const integer = (minimum: number, maximum: number): TSchema =>
  Type.Integer({ minimum, maximum, description: `a whole number from ${minimum} to ${maximum}` });
const coded = (maximum: number, example: string): TSchema =>
  Type.Union([Type.Integer({ minimum: 0, maximum }), Type.String({ minLength: 1 })], {
    description: `a number from 0 to ${maximum} or its name, such as ${example}`,
  });
const flag = Type.Boolean({ description: 'true or false' });
const orNull = (schema: TSchema): TSchema =>
  Type.Optional(
    Type.Union([schema, Type.Null()], { description: (schema as { description: string }).description }),
  );
const ID_MAX = 2_147_483_647;

/** The rule as JSON or YAML gives it. */
export const ruleSchema = Type.Object(
  {
    id: Type.Optional(integer(1, ID_MAX)),
    version: Type.Optional(integer(1, ID_MAX)),
    match_string: orNull(text(REGEX_CHARS_MAX)),
    match_type: Type.Optional(oneOf('contains', 'regex', 'oid_prefix')),
    case_sensitive: Type.Optional(flag),
    trap_oid: orNull(text(REGEX_CHARS_MAX)),
    syslog_severity: orNull(coded(7, 'err')),
    severity_op: Type.Optional(oneOf('=', '<=', '>=')),
    host: orNull(text(255)),
    program: orNull(text(255)),
    facility: orNull(coded(23, 'local7')),
    network: orNull(text(64)),
    priority: Type.Optional(integer(0, PRIORITY_MAX)),
    continue: Type.Optional(flag),
    prod_handling: oneOf(...HANDLINGS),
    dev_handling: oneOf(...HANDLINGS),
    team_assignment: text(100),
    severity: orNull(coded(7, 'err')),
    signature: orNull(text(512)),
    clears: orNull(integer(1, ID_MAX)),
    active_from: orNull(text(64)),
    active_until: orNull(text(64)),
    is_active: Type.Optional(flag),
    tests: Type.Optional(
      Type.Array(Type.Object({}), {
        maxItems: TESTS_MAX,
        description: `a list of at most ${TESTS_MAX} objects`,
      }),
    ),
  },
  { additionalProperties: false },
);
export const ruleCheck = Compile(ruleSchema);

type Fields = Record<string, unknown>;
const REQUIRED = ['prod_handling', 'dev_handling', 'team_assignment'];
const FIELD_NAMES = Object.keys(ruleSchema.properties);
/** What narrows a rule down; it needs at least one of them. */
const CRITERIA = [
  'match_string',
  'trap_oid',
  'syslog_severity',
  'host',
  'program',
  'facility',
  'network',
] as const;

/**
 * Checks a rule and completes it with defaults.
 * @throws CodedError E_RULE_INVALID (permanent) with `details.faults`, a RuleFault for everything that is wrong.
 */
export function parseRule(input: unknown): RuleInput {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw invalid([
      {
        field: '',
        value: shown(input),
        code: 'E_RULE_INVALID',
        why: 'a rule must be an object',
        mend: 'Write its fields by name.',
      },
    ]);
  }
  const fields = input as Fields;
  const faults = shapeFaults(fields);
  // A field of the wrong type is reported once; what it means is judged only where its type is right.
  const sound: Fields = { ...fields };
  for (const { field } of faults) delete sound[field];
  const rule = complete(sound);
  faults.push(...meaningFaults(rule, sound, new Set(faults.map(({ field }) => field))));
  if (sound['tests'] !== undefined) faults.push(...testShapeFaults(rule.tests));
  if (faults.length === 0) faults.push(...runRuleTests(rule));
  if (faults.length > 0) throw invalid(faults);
  return rule;
}

function shapeFaults(fields: Fields): RuleFault[] {
  if (ruleCheck.Check(fields)) return [];
  const faults: RuleFault[] = [];
  for (const name of Object.keys(fields)) {
    if (FIELD_NAMES.includes(name)) continue;
    const nearest = nearestOf(name, FIELD_NAMES);
    faults.push(
      fault(
        name,
        fields[name],
        'is not a field of a rule',
        nearest === undefined ? 'Leave it out.' : `Did you mean ${nearest}?`,
      ),
    );
  }
  const properties = ruleSchema.properties as Record<string, TSchema & { description?: string }>;
  const missing = REQUIRED.filter((name) => fields[name] === undefined);
  for (const name of missing) {
    faults.push(fault(name, undefined, 'is missing', `Give ${properties[name]!.description}.`));
  }
  // Field by field, because TypeBox stops listing errors after the first few.
  for (const [name, property] of Object.entries(properties)) {
    if (fields[name] === undefined || Value.Check(property, fields[name])) continue;
    const value = fields[name];
    const choices = name.endsWith('_handling') ? HANDLINGS : [];
    const nearest = typeof value === 'string' ? nearestOf(value, choices) : undefined;
    if (isTextUnquoted(property, value)) {
      faults.push(
        fault(name, value, `is a ${typeof value}, not a text`, `Put it in quotes: "${String(value)}".`),
      );
      continue;
    }
    // What it must be is said once: as the remedy, or before a nearer one.
    faults.push(
      nearest === undefined
        ? fault(name, value, 'cannot be used', `Give ${property.description}.`)
        : fault(name, value, `must be ${property.description}`, `Did you mean ${nearest}?`),
    );
  }
  return faults;
}

/** YAML reads 500 and true as no texts. */
function isTextUnquoted(property: TSchema, value: unknown): boolean {
  if (typeof value !== 'number' && typeof value !== 'boolean') return false;
  return Value.Check(property, String(value)) && !Value.Check(property, 0);
}

/** The rule with defaults, names turned into numbers, and OIDs in canonical form. Assumes sound types. */
function complete(fields: Fields): RuleInput {
  const whole = Object.entries(RULE_DEFAULTS).map(([name, byDefault]) => [name, fields[name] ?? byDefault]);
  const given = Object.fromEntries(whole) as RuleInput;
  const { match_string: matchString, trap_oid: trapOid } = given;
  const isPrefix = given.match_type === 'oid_prefix';
  const rule: RuleInput = {
    ...given,
    match_string: isPrefix ? canonicalPrefix(matchString) : matchString,
    trap_oid: isPrefix ? canonicalPrefix(trapOid) : trapOid && (canonicalOid(trapOid) ?? trapOid),
    syslog_severity: severityOf(given.syslog_severity) ?? null,
    facility: facilityOf(given.facility) ?? null,
    severity: severityOf(given.severity) ?? null,
  };
  if (fields['id'] !== undefined) rule.id = fields['id'] as number;
  if (fields['version'] !== undefined) rule.version = fields['version'] as number;
  return rule;
}

/** A prefix may be written with a trailing `.` or `.*`, which say what a prefix means anyway. */
function canonicalPrefix(oid: string | null): string | null {
  if (oid === null) return null;
  return canonicalOid(oid.trim().replace(/\.\*?$/, '')) ?? oid;
}

function meaningFaults(rule: RuleInput, fields: Fields, faulty: ReadonlySet<string>): RuleFault[] {
  const faults: RuleFault[] = [];
  const report = (field: string, why: string, mend: string): void => {
    faults.push(fault(field, fields[field], why, mend));
  };

  if (CRITERIA.every((name) => rule[name] === null && !faulty.has(name))) {
    const named = CRITERIA.some((name) => fields[name] !== undefined && fields[name] !== null);
    if (!named)
      report('', 'a rule needs at least one criterion', `Give at least one of ${CRITERIA.join(', ')}.`);
  }
  for (const name of ['syslog_severity', 'severity'] as const) {
    if (fields[name] !== undefined && fields[name] !== null && rule[name] === null) {
      report(name, 'is no severity', 'Give 0 (emerg) to 7 (debug), or a name such as err.');
    }
  }
  if (fields['facility'] !== undefined && fields['facility'] !== null && rule.facility === null) {
    report('facility', 'is no facility', 'Give 0 (kern) to 23 (local7), or a name such as daemon.');
  }
  if (rule.severity_op !== '=' && rule.syslog_severity === null && !faulty.has('syslog_severity')) {
    if (fields['syslog_severity'] === undefined || fields['syslog_severity'] === null) {
      report('severity_op', 'compares with nothing', 'Give syslog_severity, or leave severity_op out.');
    }
  }
  if (rule.network !== null && parseNetwork(rule.network) === undefined) {
    report('network', 'is no network', 'Give it as address/bits, such as 10.0.0.0/8 or 2001:db8::/32.');
  }
  faults.push(...matchFaults(rule, fields, faulty), ...windowFaults(rule, fields));
  if (rule.clears !== null && rule.clears === rule.id) {
    report('clears', 'a rule cannot clear itself', 'Name the rule whose alert this one ends.');
  }
  if (rule.signature !== null) {
    for (const name of placeholdersOf(rule.signature)) {
      if (PLACEHOLDERS.includes(name)) continue;
      const nearest = nearestOf(name, PLACEHOLDERS);
      report(
        'signature',
        `{${name}} stands for nothing`,
        nearest === undefined ? `Use {${PLACEHOLDERS.join('}, {')}}.` : `Did you mean {${nearest}}?`,
      );
    }
  }
  return faults;
}

function matchFaults(rule: RuleInput, fields: Fields, faulty: ReadonlySet<string>): RuleFault[] {
  const faults: RuleFault[] = [];
  const { match_type: matchType, match_string: matchString, trap_oid: trapOid } = rule;
  if (trapOid !== null && canonicalOid(trapOid) === undefined) {
    const mend = trapOid.includes('*')
      ? 'Set match_type to oid_prefix to match what lies under an OID.'
      : 'Give up to 128 numbers below 4294967296, joined by dots.';
    faults.push(fault('trap_oid', fields['trap_oid'], 'is no OID', mend));
  }
  if (matchType === 'oid_prefix') {
    if (matchString !== null && trapOid !== null) {
      faults.push(
        fault('match_string', matchString, 'is one OID too many beside trap_oid', 'Leave match_string out.'),
      );
    } else if (matchString !== null && canonicalOid(matchString) === undefined) {
      faults.push(
        fault(
          'match_string',
          matchString,
          'is no OID',
          'Give up to 128 numbers below 4294967296, joined by dots.',
        ),
      );
    } else if (
      matchString === null &&
      trapOid === null &&
      !faulty.has('match_string') &&
      !faulty.has('trap_oid')
    ) {
      faults.push(fault('match_type', matchType, 'has no OID to compare with', 'Give trap_oid.'));
    }
  } else if (matchType === 'regex') {
    if (matchString === null) {
      if (!faulty.has('match_string')) {
        faults.push(fault('match_type', matchType, 'has no expression to match', 'Give match_string.'));
      }
    } else {
      try {
        compileExpression(matchString, rule.case_sensitive);
      } catch (error) {
        const mend = (error as CodedError).mend ?? 'Correct the expression.';
        const code = codeOf(error) as RuleFault['code'];
        faults.push({ ...fault('match_string', matchString, messageOf(error), mend), code });
      }
    }
  }
  return faults;
}

function windowFaults(rule: RuleInput, fields: Fields): RuleFault[] {
  const faults: RuleFault[] = [];
  for (const name of ['active_from', 'active_until'] as const) {
    if (rule[name] !== null && (/^[\d.]+$/.test(rule[name]) || parseTimestamp(rule[name]) === undefined)) {
      faults.push(fault(name, fields[name], 'is no time', 'Give RFC 3339, such as 2024-05-01T12:00:00Z.'));
    }
  }
  if (faults.length > 0 || rule.active_from === null || rule.active_until === null) return faults;
  if (parseTimestamp(rule.active_from)! >= parseTimestamp(rule.active_until)!) {
    faults.push(
      fault('active_until', rule.active_until, 'is not after active_from', 'Swap or correct the two times.'),
    );
  }
  return faults;
}

/** The known word that was meant; none for words longer than any of ours. */
function nearestOf(word: string, known: readonly string[]): string | undefined {
  return word.length > WORD_CHARS_MAX ? undefined : nearestWord(word, known);
}

function fault(field: string, value: unknown, why: string, mend: string): RuleFault {
  return {
    field,
    ...(value === undefined ? {} : { value: shown(value) }),
    code: 'E_RULE_INVALID',
    why,
    mend,
  };
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? typeof value;
  return json.length > FAULT_VALUE_CHARS_MAX ? `${json.slice(0, FAULT_VALUE_CHARS_MAX)}…` : json;
}

function invalid(faults: RuleFault[]): CodedError {
  const lines = faults.map(({ field, value, why, mend }) => {
    const where = [field, value].filter((part) => part !== undefined && part !== '').join(' = ');
    return `${where === '' ? '' : `${where}: `}${why}. ${mend}`;
  });
  return new CodedError('E_RULE_INVALID', lines.join('\n'), {
    details: { faults },
    mend: faults.map(({ mend }) => mend).join(' '),
  });
}
