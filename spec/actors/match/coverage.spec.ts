import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OverlapCount, findShadowed } from '../../../actors/match/coverage.ts';
import { RuleSet, buildRuleSet } from '../../../actors/match/rule-set/rule-set.ts';
import type { RuleRow } from '../../../actors/ports.ts';
import { eventOf, ruleOf } from './fixtures.ts';

/** Whether a rule with the second fields is shadowed by one with the first, before it. */
function isShadowed(earlier: Partial<RuleRow>, later: Partial<RuleRow>): boolean {
  const rows = [ruleOf({ id: 1, ...earlier }), ruleOf({ id: 2, ...later })];
  return findShadowed(rows).shadowed.some(({ row, by }) => row.id === 2 && by.id === 1);
}

describe('Shadowed rules', () => {
  const regex = { match_type: 'regex', match_string: 'a+b' } as const;
  const under = (trap_oid: string) => ({ match_type: 'oid_prefix', trap_oid }) as const;
  for (const [what, earlier, later, expected] of [
    ['a text within a text', { match_string: 'LINK' }, { match_string: 'the link is down' }, true],
    ['a text around a text', { match_string: 'link down' }, { match_string: 'link' }, false],
    ['a text by case', { match_string: 'Link', case_sensitive: true }, { match_string: 'link down' }, false],
    [
      'a text by case in another by case',
      { match_string: 'Link', case_sensitive: true },
      { match_string: 'a Link', case_sensitive: true },
      true,
    ],
    [
      'one that narrows further',
      { match_string: 'link' },
      { match_string: 'link', host: 'h', facility: 3 },
      true,
    ],
    ['one that narrows otherwise', { match_string: 'link', host: 'h' }, { match_string: 'link' }, false],
    ['the same expression', regex, { ...regex, program: 'p' }, true],
    ['another expression', regex, { ...regex, match_string: 'a+bc' }, false],
    ['the same expression by case', regex, { ...regex, case_sensitive: true }, false],
    ['a host under a pattern', { host: 'core-*' }, { host: 'Core-1.' }, true],
    ['a pattern under a host', { host: 'core-1' }, { host: 'core-*' }, false],
    ['the same pattern', { host: 'core-*' }, { host: 'CORE-*', match_string: 'x' }, true],
    ['a pattern for all', { host: '*', facility: 3 }, { facility: 3, match_string: 'x' }, true],
    ['an OID under a prefix', under('1.3.6'), { trap_oid: '1.3.6.1' }, true],
    ['a longer prefix', under('1.3.6'), under('1.3.6.1'), true],
    ['a prefix above', under('1.3.6.1'), under('1.3.6'), false],
    ['a prefix after its own OID', { trap_oid: '1.3.6' }, under('1.3.6'), false],
    ['arcs and not digits', under('1.3.6'), { trap_oid: '1.3.61' }, false],
    ['fewer severities', { syslog_severity: 4, severity_op: '<=' }, { syslog_severity: 3 }, true],
    ['more severities', { syslog_severity: 3 }, { syslog_severity: 3, severity_op: '>=' }, false],
    ['any severity', { syslog_severity: 7, severity_op: '<=' }, { host: 'h' }, false],
    ['a network in a network', { network: '10.0.0.0/8' }, { network: '10.1.0.0/16' }, true],
    ['a network around one', { network: '10.1.0.0/16' }, { network: '10.0.0.0/8' }, false],
    ['networks apart', { network: '10.0.0.0/8' }, { network: '11.0.0.0/16' }, false],
    ['the same program', { program: 'SSHD' }, { program: 'sshd', host: 'h' }, true],
    ['an earlier rule that goes on', { match_string: 'a', continue: true }, { match_string: 'a' }, false],
    ['an earlier rule that is off', { match_string: 'a', is_active: false }, { match_string: 'a' }, false],
    ['a rule of higher priority', { match_string: 'a' }, { match_string: 'a', priority: 1 }, false],
    ['a rule with a window', { host: 'h', active_until: '2030-01-01T00:00:00Z' }, { host: 'h' }, false],
    [
      'a window in a window',
      { host: 'h', active_until: '2030-01-01T00:00:00Z' },
      { host: 'h', active_from: '2029-01-01T00:00:00Z', active_until: '2029-02-01T00:00:00Z' },
      true,
    ],
  ] as const) {
    it(`${expected ? 'include' : 'leave out'} ${what}`, () => {
      expect(isShadowed(earlier, later)).to.equal(expected);
    });
  }

  it('are named with the first that shadows them, and never decide about an event', () => {
    // Of few words, so that many shadow each other; from a fixed sequence.
    let seed = 7;
    const one = <T>(of: readonly T[]): T => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return of[seed % of.length]!;
    };
    const texts = ['link', 'link down', 'LINK DOWN on', 'down', 'fan', null];
    const rows = Array.from({ length: 300 }, (_, at) =>
      ruleOf({
        id: at + 1,
        match_string: one(texts),
        host: one(['core-*', 'core-1', 'edge-1', null]),
        syslog_severity: one([3, 4, null]),
        severity_op: one(['<=', '=']),
        priority: one([1, 2]),
        continue: one([false, false, true]),
        facility: one([3, null]),
      }),
    ).filter((row) => row.match_string !== null || row.host !== null || row.facility !== null);
    const { shadowed, isComplete } = findShadowed(rows);
    expect(isComplete).to.equal(true);
    expect(shadowed.length).to.be.greaterThan(100);
    const ids = new Set(shadowed.map(({ row }) => row.id));
    const matcher = new RuleSet(buildRuleSet(rows, 1).image);
    for (let events = 0; events < 500; events++) {
      const message = [one(['link', 'fan', 'x']), one(['down', 'up']), one(['on', '!'])].join(' ');
      const severity = one([2, 3, 4, 5]);
      const hostname = one(['core-1', 'core-2', 'edge-1']);
      for (const { id } of matcher.match(eventOf({ message, hostname, severity, facility: one([3, 4]) }))) {
        expect(ids.has(id), `rule ${id}`).to.equal(false);
      }
    }
  });

  it('are found among ten thousand within the bound on comparisons', () => {
    const rows = Array.from({ length: 10_000 }, (_, at) =>
      ruleOf({
        id: at + 1,
        match_string: `module ${at % 9_000} failed in its rack`,
        host: at % 3 ? null : 'h',
      }),
    );
    const startedMs = performance.now();
    const { shadowed, isComplete } = findShadowed(rows);
    expect(isComplete).to.equal(true);
    expect(shadowed.length).to.be.greaterThan(0);
    expect(performance.now() - startedMs).to.be.lessThan(8_000);
  });

  it('say when the bound left pairs out', () => {
    const rows = Array.from({ length: 100 }, (_, at) => ruleOf({ id: at + 1, host: `*${at}*` }));
    const { pairsCompared, isComplete } = findShadowed(rows, 50);
    expect({ pairsCompared, isComplete }).to.deep.equal({ pairsCompared: 50, isComplete: false });
  });
});

describe('Overlapping rules', () => {
  it('are pairs that match the same events and decide otherwise, the most frequent first', () => {
    const [a, b, c] = [ruleOf({ id: 1 }), ruleOf({ id: 2, team_assignment: 'X' }), ruleOf({ id: 3 })];
    const count = new OverlapCount();
    count.look('e-1', [a, b]);
    count.look('e-2', [a, b, c]);
    count.look('e-3', [a, c]);
    expect(
      count.found().map(({ a: x, b: y, events, eventId }) => [x.id, y.id, events, eventId]),
    ).to.deep.equal([
      [1, 2, 2, 'e-1'],
      [2, 3, 1, 'e-2'],
    ]);
  });
});
