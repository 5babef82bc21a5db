/** What the most hostile text of 64 KiB costs that each kind of rule set can be sent. */
import type { NormalizedEvent } from '../../actors/event.ts';
import { RuleSet, buildRuleSet } from '../../actors/match/rule-set/rule-set.ts';
import { RULE_DEFAULTS } from '../../actors/ports.ts';
import type { RuleRow } from '../../actors/ports.ts';
import { median } from '../support/bench.ts';
import type { BenchRun } from '../support/bench.ts';

const TEXT_UNITS = 64 * 1024;
const REPETITIONS = 9;

export function worstCases(run: BenchRun, template: NormalizedEvent): void {
  const words = Array.from({ length: 8_000 }, (_, at) => `<${at.toString(36)}>`);
  const allWords = words.join('').padEnd(TEXT_UNITS);
  const cases: [what: string, rules: Partial<RuleRow>[], message: string][] = [
    [
      '1,000 literals, each a suffix of the next',
      Array.from({ length: 1_000 }, (_, at) => ({ match_string: 'a'.repeat(at + 1), host: 'no-such-host' })),
      'a'.repeat(TEXT_UNITS),
    ],
    [
      'almost a literal of 1,024 characters, all along',
      [{ match_string: `${'a'.repeat(1_023)}b` }],
      'a'.repeat(TEXT_UNITS),
    ],
    [
      '8,000 literals in it, none confirmed',
      words.map((text) => ({ match_string: text, facility: 1 })),
      allWords,
    ],
    [
      '8,000 literals in it, all match (continue)',
      words.map((text) => ({ match_string: text, continue: true })),
      allWords,
    ],
    [
      '500 expressions that nothing narrows',
      Array.from({ length: 500 }, (_, at) => ({ match_type: 'regex', match_string: `[a-z]\\d{${at + 2}}$` })),
      'a1b22'.repeat(TEXT_UNITS / 5),
    ],
  ];
  for (const [what, criteria, message] of cases) {
    const rows = criteria.map((fields, at) => ruleOf(at + 1, fields));
    let offenders = 0;
    const view = new RuleSet(buildRuleSet(rows, 1).image, { onOffender: () => offenders++ });
    const event = { ...template, message };
    let matches = 0;
    const times = Array.from({ length: REPETITIONS }, () => {
      const startedMs = performance.now();
      matches = view.match(event).length;
      return performance.now() - startedMs;
    });
    run.report({
      what: `64 KiB: ${what}`,
      value: median(times),
      unit: 'ms',
      details: { 'first time ms': times[0]!, matches, suspended: offenders },
    });
  }
}

function ruleOf(id: number, fields: Partial<RuleRow>): RuleRow {
  return {
    ...RULE_DEFAULTS,
    id,
    version: 1,
    prod_handling: 'Page_and_ticket',
    dev_handling: 'Ignore',
    team_assignment: 'network',
    ...fields,
  };
}
