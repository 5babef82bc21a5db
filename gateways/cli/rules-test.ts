/**
 * `mutt rules test`: runs the tests inside rules as test runners do, or says what rules decide about given events, and
 * why others do not match.
 */
import { readFile, stat } from 'node:fs/promises';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import type { AdminClient } from './admin-client.ts';
import { faultsIn } from './admin-client.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import type { RuleTestReply, TestedEvent } from './rule-documents.ts';
import { nameOf, recordsOf } from './rules-difference.ts';
import { faultLine, isRecord, readRulesFile, RULE_FIELDS, triedRules } from './rules-file.ts';
import type { LocatedFault, RulesFile } from './rules-file.ts';
import { ruleIdOf } from './rules-lookup.ts';
import { faultsFoundByNode } from './rules.ts';
import { eventLines } from './tested-events.ts';
import { writeJson } from './table.ts';
import { count, paletteFor, printable } from './terminal-text.ts';
import { waiting } from './waiting.ts';

export interface RulesTestOptions extends AdminOptions {
  event?: string[];
  line?: string[];
  recent?: number;
  host?: string;
  rule?: string;
  nearest?: number;
  alone?: boolean;
  json?: boolean;
}

/** One test inside a rule, and what came of it. */
interface TestResult {
  rule: string;
  /** Its name, or its place in the rule. */
  test: string;
  /** `not_run`: the rule has faults of its own. */
  outcome: 'passed' | 'failed' | 'not_run';
  why?: string;
  line?: number;
  column?: number | undefined;
}

/** What the node takes at once. */
const EVENTS_AT_ONCE_MAX = 100;
const EVENTS_MAX = 1_000;
const SAMPLES_BYTES_MAX = 4 * 1024 * 1024;
const TIMEOUT_MS = 60_000;

export async function rulesTest(
  context: CliContext,
  path: string | undefined,
  options: RulesTestOptions,
): Promise<number> {
  const isAsking = options.event !== undefined || options.line !== undefined || options.recent !== undefined;
  if (isAsking) return testEvents(context, path, options);
  const meaningless = (['rule', 'host', 'nearest', 'alone'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (meaningless !== undefined) {
    throw wrongCall(`--${meaningless} is of use with events only`, 'Give --event, --line or --recent too.');
  }
  return path === undefined ? testInForce(context, options) : testFile(context, path, options);
}

async function testFile(context: CliContext, path: string, options: RulesTestOptions): Promise<number> {
  const file = await readRulesFile(path, (document) => faultsFoundByNode(context, options, document));
  const { faults } = await withAdminClient(context, options, (admin) =>
    waiting(context, 'the node runs the tests', admin.checkRules(file.document, context.signal)),
  );
  return tellResults(context, file.document.rules, faults.map(file.locate), path, options);
}

/** The tests of the rules in force passed when these were saved: by the node as it then was. */
async function testInForce(context: CliContext, options: RulesTestOptions): Promise<number> {
  const [rules, faults] = await withAdminClient(context, options, async (admin) => {
    const stored = recordsOf((await admin.ruleSet(context.signal))['rules']);
    const written = stored.map((rule) =>
      Object.fromEntries(Object.entries(rule).filter(([field]) => Object.hasOwn(RULE_FIELDS, field))),
    );
    const checking = admin.checkRules({ rules: written }, context.signal);
    const checked = await waiting(context, 'the node runs the tests', checking);
    return [written, checked.faults] as const;
  });
  return tellResults(context, rules, faults, 'the rules in force', options);
}

function tellResults(
  context: CliContext,
  rules: readonly Record<string, unknown>[],
  faults: readonly LocatedFault[],
  path: string,
  options: RulesTestOptions,
): number {
  const byRule = Map.groupBy(faults, ({ field }) => /^rules\[\d+\]/.exec(field)?.[0]);
  const results = rules.flatMap((rule, index) => {
    const place = `rules[${index}]`;
    return resultsOf(rule, place, byRule.get(place) ?? []);
  });
  const others = faults.filter(({ code }) => code !== FAILED);
  const numberOf = (outcome: TestResult['outcome']): number =>
    results.filter((result) => result.outcome === outcome).length;
  const figures = { passed: numberOf('passed'), failed: numberOf('failed'), not_run: numberOf('not_run') };
  if (options.json === true) {
    writeJson(context, { ...figures, tests: results, faults: others });
  } else {
    const paint = paletteFor(context);
    const mark = {
      passed: paint.green('ok  '),
      failed: paint.boldRed('FAIL'),
      not_run: paint.yellow('--  '),
    };
    const untested = rules.filter((rule) => testsOf(rule).length === 0).length;
    const lines = [
      ...results.flatMap(({ rule, test, outcome, why, line, column }) => [
        `${mark[outcome]}  ${printable(rule)}: ${printable(test)}`,
        ...(why === undefined
          ? []
          : [`      ${line === undefined ? '' : `${path}:${line}:${column}: `}${printable(why)}`]),
      ]),
      ...others.map((fault) => faultLine(path, fault)),
      `${count(figures.passed)} passed, ${count(figures.failed)} failed, ${count(figures.not_run)} not run; ` +
        `rules without tests: ${count(untested)}`,
    ];
    context.io.stdout.write(`${lines.join('\n')}\n`);
  }
  return figures.failed === 0 && others.length === 0 ? EXIT.ok : EXIT.notGood;
}

const FAILED = 'E_RULE_TEST_FAILED';

function resultsOf(rule: Record<string, unknown>, place: string, own: readonly LocatedFault[]): TestResult[] {
  const isSound = own.every(({ code }) => code === FAILED);
  return testsOf(rule).map((test, at): TestResult => {
    const field = `${place}.tests[${at}]`;
    const name = isRecord(test) && typeof test['name'] === 'string' ? test['name'] : `tests[${at}]`;
    const said = { rule: nameOf(rule), test: name };
    if (!isSound) return { ...said, outcome: 'not_run', why: 'the rule has faults' };
    const fault = own.find((each) => each.field === field);
    if (fault === undefined) return { ...said, outcome: 'passed' };
    const { line, column, why, mend } = fault;
    const told = mend === undefined ? why : `${why}. ${mend}`;
    return { ...said, outcome: 'failed', why: told, ...(line === undefined ? {} : { line, column }) };
  });
}

function testsOf(rule: Record<string, unknown>): unknown[] {
  return Array.isArray(rule['tests']) ? rule['tests'] : [];
}

async function testEvents(
  context: CliContext,
  path: string | undefined,
  options: RulesTestOptions,
): Promise<number> {
  const sources = await sourcesOf(options);
  const file =
    path === undefined
      ? undefined
      : await readRulesFile(path, (document) => faultsFoundByNode(context, options, document));
  const items = await withAdminClient(context, options, async (admin) => {
    const common = {
      ...(options.alone === true ? { base: 'none' } : {}),
      ...(file === undefined ? {} : { rules: triedRules(file) }),
      ...(options.rule === undefined ? {} : { rule_id: await ruleIdOf(context, admin, options.rule) }),
      ...(options.nearest === undefined ? {} : { nearest: options.nearest }),
    };
    return waiting(context, 'deciding', askAll(context, admin, sources, common, file));
  });
  if (options.json === true) writeJson(context, items);
  else context.io.stdout.write(`${items.flatMap((item) => eventLines(context, item)).join('\n')}\n`);
  return items.some(({ error }) => (error ?? null) !== null) ? EXIT.notGood : EXIT.ok;
}

async function askAll(
  context: CliContext,
  admin: AdminClient,
  sources: readonly object[],
  common: object,
  file: RulesFile | undefined,
): Promise<TestedEvent[]> {
  const items: TestedEvent[] = [];
  for (const source of sources) {
    const asked = admin.ask<RuleTestReply>(
      '/api/v2/rules/test',
      { ...source, ...common },
      context.signal,
      TIMEOUT_MS,
    );
    const reply = await asked.catch((thrown: unknown) => {
      const faults = faultsIn(thrown);
      throw file !== undefined && faults.some(({ field }) => field.startsWith('rules['))
        ? file.refused(faults)
        : thrown;
    });
    items.push(...reply.items);
  }
  return items;
}

/** What is asked about, in as many questions as that takes. */
async function sourcesOf(options: RulesTestOptions): Promise<object[]> {
  const { event, line, recent, host } = options;
  const given = [event, line, recent].filter((source) => source !== undefined);
  if (given.length > 1) {
    throw wrongCall('events come from one place at a time', 'Give one of --event, --line and --recent.');
  }
  if (recent !== undefined) {
    return [{ recent: { limit: recent, ...(host === undefined ? {} : { hostname: host }) } }];
  }
  if (host !== undefined) throw wrongCall('--host is of use with --recent only', 'Leave it out.');
  const events = (await Promise.all((event ?? []).map(eventsIn))).flat();
  const lines = (await Promise.all((line ?? []).map(linesIn))).flat();
  const number = events.length + lines.length;
  if (number === 0) throw wrongCall('there are no events in it', 'Give a file with one event a line.');
  if (number > EVENTS_MAX) {
    throw wrongCall(`${count(number)} events are too many`, `Give at most ${count(EVENTS_MAX)}.`);
  }
  return [
    ...chunks(events).map((some) => ({ events: some })),
    ...chunks(lines).map((some) => ({ lines: some })),
  ];
}

/** One event as JSON, a list of them, or one a line. */
async function eventsIn(value: string): Promise<unknown[]> {
  const text = await textOf(value);
  const whole = parsed(text);
  if (whole !== undefined) return Array.isArray(whole) ? (whole as unknown[]) : [whole];
  const events = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(parsed);
  if (events.length > 1 && events.every(isRecord)) return events;
  throw wrongCall(
    'an event is no JSON',
    `Give --event '{"message": "…"}', or --event @FILE with one a line.`,
  );
}

async function linesIn(value: string): Promise<string[]> {
  return (await textOf(value)).split(/\r?\n/).filter((line) => line.trim() !== '');
}

/** `@FILE` is what is in the file. */
async function textOf(value: string): Promise<string> {
  if (!value.startsWith('@')) return value;
  const path = value.slice(1);
  try {
    const { size } = await stat(path);
    if (size <= SAMPLES_BYTES_MAX) return await readFile(path, 'utf8');
  } catch (thrown) {
    throw new CodedError('E_FILE_UNREADABLE', `${path} cannot be read: ${codeOf(thrown)}`, {
      mend: 'Give @ and a file of events.',
      cause: thrown,
    });
  }
  throw new CodedError('E_FILE_TOO_LARGE', `${path} has more than ${SAMPLES_BYTES_MAX} bytes`, {
    mend: 'Give a part of it.',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function chunks<T>(items: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += EVENTS_AT_ONCE_MAX)
    parts.push(items.slice(at, at + EVENTS_AT_ONCE_MAX));
  return parts;
}

function wrongCall(what: string, mend: string): CodedError {
  return new CodedError('E_USAGE', what, { mend });
}
