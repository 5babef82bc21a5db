/**
 * The tests that a rule carries: events, and what the rule has to say of them. They are run when the rule is saved,
 * against that rule alone; a failing one refuses the save. Tests stored otherwise are not looked at anywhere else.
 */
import { messageOf } from '../../runtime/errors.ts';
import { nearestWord } from '../../runtime/nearest-word.ts';
import type { Environment, Handling } from '../event.ts';
import { HANDLINGS } from '../event.ts';
import { parseTimestamp } from '../ingest/timestamp.ts';
import type { RuleRow } from '../ports.ts';
import { explainRule, shortcomings } from './explain.ts';
import type { RuleInput } from './rule.ts';
import { normalizeSample } from './sample-event.ts';
import type { SampleEvent } from './sample-event.ts';

/** As people write it. Exactly one of `event` and `line`. */
export interface RuleTest extends SampleEvent {
  name?: string;
  /** RFC 3339; a moment at which the rule is active when left out. */
  received_at?: string;
  /** Whether the rule has to match it; true when left out. */
  match?: boolean;
  /** In which `handling` is looked at; `prod` when left out. */
  environment?: Environment;
  /** What the rule has to decide. */
  handling?: Handling;
}

/** What is wrong with a test, or with what the rule says of it. */
export interface RuleTestFault {
  /** `tests[1]`, `tests[1].match`. */
  field: string;
  value?: string;
  code: 'E_RULE_INVALID' | 'E_RULE_TEST_FAILED';
  why: string;
  mend: string;
}

const FIELDS = ['name', 'event', 'line', 'received_at', 'match', 'environment', 'handling'] as const;
const NAME_CHARS_MAX = 200;
const VALUE_CHARS_MAX = 120;
/** When nothing says when an event was received: tests must not depend on when they are run. */
const RECEIVED_AT_MS = Date.UTC(2026, 0, 1);
const WORD_CHARS_MAX = 64;

/** Everything that is wrong with the shape of tests; the list itself is judged elsewhere. */
export function testShapeFaults(tests: readonly unknown[]): RuleTestFault[] {
  return tests.flatMap((test, at) => shapeFaults(test as Record<string, unknown>, `tests[${at}]`));
}

/** Runs the tests of a rule that is sound otherwise; one fault for each that fails. Never throws. */
export function runRuleTests(rule: RuleInput): RuleTestFault[] {
  if (rule.tests.length === 0) return [];
  const row: RuleRow = { id: 0, version: 0, ...rule, is_active: true };
  return (rule.tests as RuleTest[]).flatMap((test, at) => {
    const failure = run(row, test);
    if (failure === undefined) return [];
    const named = test.name === undefined ? '' : ` ${JSON.stringify(test.name)}`;
    const [why, mend] = failure;
    return [
      {
        field: `tests[${at}]`,
        code: 'E_RULE_TEST_FAILED' as const,
        why: `the test${named} fails: ${why}`,
        mend,
      },
    ];
  });
}

function run(row: RuleRow, test: RuleTest): [why: string, mend: string] | undefined {
  const { match: isToMatch = true, environment = 'prod', handling } = test;
  let explanation;
  try {
    const { event } = normalizeSample(test, receiptOf(row, test));
    explanation = explainRule(row, event);
  } catch (thrown) {
    return [
      `its event is none: ${messageOf(thrown).replace(/\.$/, '')}`,
      'Give an event as it is sent, or one syslog line.',
    ];
  }
  const { matched, criteria } = explanation;
  if (matched && !isToMatch) {
    const held = criteria.map(({ field, wanted }) => `${field} (${wanted})`).join(', ');
    return [
      `the rule must not match and does: every criterion holds, ${held}`,
      'Narrow the rule down, or correct the test.',
    ];
  }
  if (!matched && isToMatch) {
    return [
      `the rule must match and does not: ${shortcomings(explanation)}`,
      'Correct the rule, or the test.',
    ];
  }
  const decided = environment === 'dev' ? row.dev_handling : row.prod_handling;
  if (handling === undefined || handling === decided) return undefined;
  return [
    `${environment}_handling must be ${handling} and is ${decided}`,
    `Set ${environment}_handling to ${handling}, or correct the test.`,
  ];
}

/** Windows go by receipt: a test that names none is received while the rule is active. */
function receiptOf(row: RuleRow, { received_at: receivedAt }: RuleTest): number {
  if (receivedAt !== undefined) return parseTimestamp(receivedAt)!;
  if (row.active_from !== null) return parseTimestamp(row.active_from)!;
  if (row.active_until !== null) return Math.min(RECEIVED_AT_MS, parseTimestamp(row.active_until)! - 1);
  return RECEIVED_AT_MS;
}

function shapeFaults(test: Readonly<Record<string, unknown>>, prefix: string): RuleTestFault[] {
  const faults: RuleTestFault[] = [];
  const report = (name: string, why: string, mend: string): void => {
    const value = Object.hasOwn(test, name) ? { value: shown(test[name]) } : {};
    faults.push({
      field: name === '' ? prefix : `${prefix}.${name}`,
      ...value,
      code: 'E_RULE_INVALID',
      why,
      mend,
    });
  };
  for (const name of Object.keys(test)) {
    if ((FIELDS as readonly string[]).includes(name)) continue;
    const nearest = name.length > WORD_CHARS_MAX ? undefined : nearestWord(name, FIELDS);
    const mend = nearest === undefined ? `There are ${FIELDS.join(', ')}.` : `Did you mean ${nearest}?`;
    report(name, 'is not a field of a test', mend);
  }
  const { name, event, line, received_at: receivedAt, match, environment, handling } = test;
  if (
    name !== undefined &&
    !(typeof name === 'string' && name.trim() !== '' && name.length <= NAME_CHARS_MAX)
  ) {
    report('name', 'is no name', `Give a text of 1 to ${NAME_CHARS_MAX} characters, not blank.`);
  }
  if (event === undefined && line === undefined) {
    report('', 'has neither an event nor a line', "Give event: {message: …} or line: '<13>…'.");
  }
  if (event !== undefined && line !== undefined) {
    report('line', 'is one too many beside event', 'Give one of the two.');
  }
  if (event !== undefined && !(typeof event === 'object' && event !== null && !Array.isArray(event))) {
    report('event', 'is not an object', 'Give an event as it is sent, such as {message: …}.');
  }
  if (line !== undefined && typeof line !== 'string') {
    report('line', 'is not a text', 'Give one syslog line in quotes.');
  }
  if (receivedAt !== undefined && !isTime(receivedAt)) {
    report('received_at', 'is no time', 'Give RFC 3339, such as 2026-05-01T12:00:00Z.');
  }
  if (match !== undefined && typeof match !== 'boolean') {
    report('match', 'is neither true nor false', 'Give true or false, without quotes.');
  }
  if (environment !== undefined && environment !== 'prod' && environment !== 'dev') {
    report('environment', 'is no environment', 'Give prod or dev.');
  }
  if (handling !== undefined && !HANDLINGS.includes(handling as Handling)) {
    const nearest = typeof handling === 'string' && handling.length <= WORD_CHARS_MAX ? handling : '';
    const meant = nearestWord(nearest, HANDLINGS);
    const mend = meant === undefined ? `Give one of ${HANDLINGS.join(', ')}.` : `Did you mean ${meant}?`;
    report('handling', 'is no handling', mend);
  }
  if (handling !== undefined && match === false) {
    report('handling', 'says what a rule decides that must not match', 'Leave it out, or leave match out.');
  }
  if (environment !== undefined && handling === undefined) {
    report('environment', 'says nothing without handling', 'Give handling too, or leave it out.');
  }
  return faults;
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && !/^[\d.]+$/.test(value) && parseTimestamp(value) !== undefined;
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? typeof value;
  return json.length > VALUE_CHARS_MAX ? `${json.slice(0, VALUE_CHARS_MAX)}…` : json;
}
