/**
 * The matcher on one thread: what an event costs with few rules and with many, beside a plain loop over the same rules and
 * beside what npm has for finding literals; what a rule set costs to build and to apply; and what hostile texts cost.
 */
import type { NormalizedEvent } from '../actors/event.ts';
import { decide, decisionBasis } from '../actors/match/decide.ts';
import { normalizeEvent } from '../actors/match/normalize.ts';
import type { ReceivedRecord } from '../actors/match/normalize.ts';
import { RuleSet, buildRuleSet } from '../actors/match/rule-set/rule-set.ts';
import { RECORD_JSON } from '../actors/ingest/split-records.ts';
import type { RuleRow } from '../actors/ports.ts';
import { PACKAGES, matchThrough } from './rules/package-prefilter.ts';
import { plainMatch, plainRules } from './rules/plain-loop.ts';
import { makeRules } from './rules/rule-corpus.ts';
import { worstCases } from './rules/worst-cases.ts';
import { alternately, median, rateOf } from './support/bench.ts';
import type { BenchRun, Rate } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';

/** Rules that a plain loop may test in one measurement: it is slow, and needs no more events to show it. */
const PLAIN_TESTS = 1_000_000;
/** Events that the packages are measured with: they take up to a millisecond each. */
const PACKAGE_EVENTS = 200;
const ATTACHES = 15;

export default async function rules(run: BenchRun): Promise<void> {
  const sizes = run.parameter('rules', '10,1000', '10,100,1000,5000,10000,50000').split(',').map(Number);
  const repetitions = run.parameter('repetitions', 2, 15);
  const corpus = makeCorpus();
  run.note(`corpus: seed ${corpus.seed}, sha256 ${corpus.sha256}`);
  const records = corpus.events.map((bytes, index): ReceivedRecord => {
    const id = `017f22e2-79b0-7cc3-98c4-dc0c0c07398f-${index}`;
    return { id, receivedAtMs: Date.UTC(2026, 10, 1), correlationId: 'c-1', kind: RECORD_JSON, bytes };
  });
  const events = records.map((record) => normalizeEvent(record).event);
  const units = events.reduce((sum, { message }) => sum + message.length, 0) / events.length;
  run.note(`messages: ${Math.round(units)} characters each on average`);
  const cpuUsBySize = new Map<number, number>();
  for (const size of sizes) {
    cpuUsBySize.set(size, await measure(run, { rows: makeRules(size), records, events, repetitions }));
  }
  const [few, many] = [sizes[0]!, sizes.includes(10_000) ? 10_000 : sizes.at(-1)!];
  run.report({
    what: `cost of an event, ${many.toLocaleString('en-US')} rules over ${few}`,
    value: cpuUsBySize.get(many)! / cpuUsBySize.get(few)!,
    unit: 'times',
  });
  traps(run, events[0]!, sizes.at(-1)!);
  worstCases(run, events[0]!);
}

interface Subject {
  rows: RuleRow[];
  records: readonly ReceivedRecord[];
  events: readonly NormalizedEvent[];
  repetitions: number;
}

/** Gives the CPU time of an event in µs. */
async function measure(run: BenchRun, { rows, records, events, repetitions }: Subject): Promise<number> {
  const of = `${rows.length.toLocaleString('en-US')} rules`;
  const cpu = process.cpuUsage();
  const { image, refused, statistics } = buildRuleSet(rows, 1);
  const { user, system } = process.cpuUsage(cpu);
  if (refused.length > 0) throw new Error(`${refused.length} rules were refused: ${refused[0]!.message}`);
  run.report({
    what: `set built, ${of}`,
    value: statistics.buildMs,
    unit: 'ms',
    details: {
      'CPU ms': (user + system) / 1_000,
      'set built again ms': buildRuleSet(rows, 2).statistics.buildMs,
      bytes: statistics.bytes,
      literals: statistics.literals,
      states: statistics.states,
    },
  });
  const attaches = Array.from({ length: ATTACHES }, () => {
    const startedMs = performance.now();
    new RuleSet(image);
    return performance.now() - startedMs;
  });
  run.report({ what: `set applied by a thread, ${of}`, value: median(attaches), unit: 'ms' });

  const view = new RuleSet(image);
  const plain = plainRules(rows);
  const packageEvents = events.slice(0, PACKAGE_EVENTS);
  const plainEvents = events.slice(0, Math.max(20, Math.min(2_000, PLAIN_TESTS / rows.length)));
  const snapshot = {
    version: 1,
    rules: rows,
    developmentHosts: [],
    teams: {},
    destinations: [],
    settings: {},
    keys: [],
  };
  const basis = decisionBasis(snapshot, (id) => view.rule(id));
  const wholeWay = (record: ReceivedRecord): boolean => {
    const normalized = normalizeEvent(record);
    const matches = view.match(normalized.event);
    return matches.length > 0 && decide(normalized, matches, basis).matches.length > 0;
  };
  const ways: Record<string, () => Promise<Rate>> = {
    ours: () => rateOver(events, (event) => view.match(event).length > 0),
    whole: () => rateOver(records, wholeWay),
    plain: () => rateOver(plainEvents, (event) => plainMatch(plain, event) !== undefined),
  };
  for (const [name, build] of Object.entries(PACKAGES)) {
    const match = matchThrough(rows, build);
    ways[name] = () => rateOver(packageEvents, (event) => match(event) !== undefined);
  }
  const rates = await alternately(repetitions, ways);
  const baseline = { what: 'a plain loop', value: rates['plain']!.perSecond };
  const matching = countOf(events, (event) => view.match(event).length > 0) / events.length;
  report(run, `match, ${of}`, rates['ours']!, { 'matching %': 100 * matching }, baseline);
  report(run, `decode, normalise, match, decide, ${of}`, rates['whole']!);
  report(run, `a plain includes/RegExp loop, ${of}`, rates['plain']!);
  for (const name of Object.keys(PACKAGES)) report(run, `${name}, then RegExp, ${of}`, rates[name]!);
  return rates['ours']!.cpuUs;
}

function report(
  run: BenchRun,
  what: string,
  { perSecond, cpuUs }: Rate,
  details: Record<string, number> = {},
  baseline?: { what: string; value: number },
): void {
  const row = { what, value: perSecond, unit: 'events/s', details: { 'CPU µs/event': cpuUs, ...details } };
  run.report(baseline === undefined ? row : { ...row, baseline });
}

function countOf<T>(all: readonly T[], holds: (one: T) => boolean): number {
  let count = 0;
  for (const one of all) if (holds(one)) count++;
  return count;
}

let counted = 0;

function rateOver<T>(all: readonly T[], holds: (one: T) => boolean): Promise<Rate> {
  // What is counted is kept: nothing may be left out because nobody looks.
  return rateOf(all.length, () => (counted += countOf(all, holds)));
}

/** Events that the index of OIDs narrows: a trap of each of many kinds, one of ten under a rule. */
function traps(run: BenchRun, template: NormalizedEvent, size: number): void {
  const oidRules = makeRules(size).map((row, at): RuleRow => ({
    ...row,
    match_type: 'oid_prefix',
    match_string: null,
    trap_oid: `1.3.6.1.4.1.${at}`,
  }));
  const view = new RuleSet(buildRuleSet(oidRules, 1).image);
  const events = Array.from({ length: 10_000 }, (_, at) => {
    const under = at % 10 === 0 ? `${at % size}` : `${size + at}`;
    return { ...template, trapOid: `1.3.6.1.4.1.${under}.2.${at % 7}.0` };
  });
  const times = Array.from({ length: 7 }, () => {
    const startedMs = performance.now();
    counted += countOf(events, (event) => view.match(event).length > 0);
    return (performance.now() - startedMs) / 1_000;
  });
  run.report({
    what: `traps, ${size.toLocaleString('en-US')} OIDs`,
    value: events.length / median(times),
    unit: 'events/s',
  });
}
