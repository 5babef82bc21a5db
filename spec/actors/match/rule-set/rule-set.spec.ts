/**
 * The matcher against an oracle: a loop over the rules in order that tests each field in the most obvious way. Then the
 * tables of the contract, one criterion at a time.
 */
import { BlockList } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { NormalizedEvent } from '../../../../actors/event.ts';
import { RuleSet, buildRuleSet } from '../../../../actors/match/rule-set/rule-set.ts';
import type { RuleRow } from '../../../../actors/ports.ts';
import { eventOf, receivedAtMs, ruleOf } from '../fixtures.ts';

/** The contract, read aloud. */
function naiveMatch(rules: readonly RuleRow[], event: NormalizedEvent): number[] {
  const ids: number[] = [];
  const ordered = rules.filter((rule) => rule.is_active);
  ordered.sort((a, b) => (a.priority === b.priority ? a.id - b.id : a.priority - b.priority));
  for (const rule of ordered) {
    if (!naiveHolds(rule, event)) continue;
    ids.push(rule.id);
    if (!rule.continue) break;
  }
  return ids;
}

function naiveHolds(rule: RuleRow, event: NormalizedEvent): boolean {
  const flags = rule.case_sensitive ? 'u' : 'iu';
  const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  const verdicts: boolean[] = [];
  const isUnder = (oid: string, prefix: string): boolean => `${oid}.`.startsWith(`${prefix}.`);
  if (rule.match_type === 'oid_prefix') {
    verdicts.push(
      event.trapOid !== undefined && isUnder(event.trapOid, (rule.trap_oid ?? rule.match_string)!),
    );
  } else {
    if (rule.trap_oid !== null) verdicts.push(event.trapOid === rule.trap_oid);
    if (rule.match_string !== null) {
      const source = rule.match_type === 'regex' ? rule.match_string : literal(rule.match_string);
      verdicts.push(new RegExp(source, flags).test(event.message));
    }
  }
  if (rule.syslog_severity !== null) {
    const { severity } = event;
    if (severity === undefined) verdicts.push(false);
    else if (rule.severity_op === '=') verdicts.push(severity === rule.syslog_severity);
    else if (rule.severity_op === '<=') verdicts.push(severity <= rule.syslog_severity);
    else verdicts.push(severity >= rule.syslog_severity);
  }
  if (rule.host !== null) {
    const source = literal(rule.host.toLowerCase()).replaceAll('\\*', '.*').replaceAll('\\?', '.');
    verdicts.push(new RegExp(`^${source}$`, 's').test(event.hostname));
  }
  if (rule.program !== null) verdicts.push(event.program?.toLowerCase() === rule.program.toLowerCase());
  if (rule.facility !== null) verdicts.push(event.facility === rule.facility);
  if (rule.network !== null) {
    const [address, bits] = rule.network.split('/') as [string, string];
    const list = new BlockList();
    list.addSubnet(address, Number(bits), 'ipv4');
    verdicts.push(event.sourceIp !== undefined && list.check(event.sourceIp, 'ipv4'));
  }
  if (rule.active_from !== null) verdicts.push(event.receivedAtMs >= Date.parse(rule.active_from));
  if (rule.active_until !== null) verdicts.push(event.receivedAtMs < Date.parse(rule.active_until));
  return verdicts.every(Boolean);
}

/** Absent `absent` times as often as given. */
const or = <T>(given: fc.Arbitrary<T>, absent: number): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: absent, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: given });
const words = fc.constantFrom(
  'link',
  'LINK',
  'down',
  'Kelvin',
  '\u212aelvin',
  'straße',
  'ſ',
  'a.b',
  'ΣΑΣ',
  'σας',
);
const expressions = fc.constantFrom('link.*down', '^LINK', '\\d+$', 'k', '(up|down)', 's', 'ß', '[^a]b');
const hosts = fc.constantFrom('r1', 'r2.example.net', 'R1', 'sw-1');
const hostGlobs = fc.constantFrom('r1', 'R*', '*.net', 'sw-?', '*', 'r2.*');
const oids = fc.constantFrom('1.3', '1.3.6', '1.3.61', '1.3.6.1.4', '1.3.6.1');
const programs = fc.constantFrom('sshd', 'SSHD', 'kernel');
const times = fc.constantFrom('2024-05-01T11:00:00Z', '2024-05-01T12:00:00Z', '2024-05-01T13:00:00Z');

const rule = fc
  .record({
    id: fc.nat(40),
    priority: fc.constantFrom(1, 100, 100, 200),
    continue: fc.boolean(),
    is_active: fc.constantFrom(true, true, true, false),
    case_sensitive: fc.boolean(),
    match: fc.oneof(
      words.map((match_string): Partial<RuleRow> => ({ match_string })),
      expressions.map((match_string): Partial<RuleRow> => ({ match_string, match_type: 'regex' })),
      oids.map((trap_oid): Partial<RuleRow> => ({ trap_oid, match_type: 'oid_prefix' })),
      oids.map((match_string): Partial<RuleRow> => ({ match_string, match_type: 'oid_prefix' })),
      oids.map((trap_oid): Partial<RuleRow> => ({ trap_oid })),
      fc.constant<Partial<RuleRow>>({}),
    ),
    syslog_severity: or(fc.nat(7), 3),
    severity_op: fc.constantFrom('=' as const, '<=' as const, '>=' as const),
    host: or(hostGlobs, 3),
    program: or(programs, 4),
    facility: or(fc.constantFrom(4, 23), 5),
    network: or(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0'), 5),
    active_from: or(times, 5),
    active_until: or(times, 5),
  })
  .map(({ match, ...fields }) => ruleOf({ ...fields, ...match }))
  .filter((row) =>
    [
      row.match_string,
      row.trap_oid,
      row.syslog_severity,
      row.host,
      row.program,
      row.facility,
      row.network,
    ].some((criterion) => criterion !== null),
  );

const event = fc
  .record({
    hostname: hosts.map((host) => host.toLowerCase()),
    message: fc
      .array(fc.oneof(words, fc.constantFrom('up', '7', 'xb')), { minLength: 1, maxLength: 4 })
      .map((all) => all.join(' ')),
    severity: fc.option(fc.nat(7), { nil: undefined }),
    facility: fc.option(fc.constantFrom(4, 23), { nil: undefined }),
    program: fc.option(programs, { nil: undefined }),
    trapOid: fc.option(oids, { nil: undefined }),
    sourceIp: fc.option(fc.constantFrom('10.1.2.3', '10.9.9.9', '192.0.2.1'), { nil: undefined }),
  })
  .map((fields) => {
    const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
    return eventOf(given);
  });

const viewOf = (rules: readonly RuleRow[]): RuleSet => new RuleSet(buildRuleSet(rules, 1).image);

const matchedIds = (rules: readonly RuleRow[], subject: NormalizedEvent): number[] =>
  viewOf(rules)
    .match(subject)
    .map(({ id }) => id);

describe('RuleSet', () => {
  it('matches what a plain loop over the rules matches', () => {
    let asked = 0;
    let matched = 0;
    const ruleSet = fc.uniqueArray(rule, { selector: ({ id }) => id, minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(ruleSet, fc.array(event, { minLength: 1, maxLength: 8 }), (rules, events) => {
        const { image, refused, version } = buildRuleSet(rules, 7);
        const matcher = new RuleSet(image);
        expect(refused).to.deep.equal([]);
        expect([matcher.version, version]).to.deep.equal([7, 7]);
        for (const subject of events) {
          const ids = matcher.match(subject).map(({ id }) => id);
          expect(ids).to.deep.equal(naiveMatch(rules, subject));
          asked++;
          if (ids.length > 0) matched++;
        }
      }),
      { numRuns: 250 },
    );
    expect(matched / asked, 'share of events that match').to.be.within(0.05, 0.95);
  }).timeout(60_000);

  it('takes the first in order of priority, then id, and goes on behind rules that say so', () => {
    const rules = [
      ruleOf({ id: 3, priority: 1, match_string: 'link', continue: true }),
      ruleOf({ id: 9, match_string: 'link', continue: true }),
      ruleOf({ id: 2, match_string: 'nothing' }),
      ruleOf({ id: 10, host: 'router-1.example.net' }),
      ruleOf({ id: 11, match_string: 'link' }),
    ];
    expect(matchedIds(rules, eventOf({}))).to.deep.equal([3, 9, 10]);
    expect(matchedIds(rules.toReversed(), eventOf({}))).to.deep.equal([3, 9, 10]);
    expect(matchedIds([], eventOf({}))).to.deep.equal([]);
  });

  const table: [string, Partial<RuleRow>, Partial<NormalizedEvent>, boolean][] = [
    ['a word in another case', { match_string: 'LINK' }, {}, true],
    [
      'a word in another case, when the case counts',
      { match_string: 'LINK', case_sensitive: true },
      {},
      false,
    ],
    ['a Kelvin sign for k', { match_string: 'lin\u212a' }, {}, true],
    ['a sigma at the end of a word', { match_string: 'ΟΔΟΣ' }, { message: 'οδος' }, true],
    ['signs with a meaning in expressions', { match_string: 'a.b(c' }, { message: 'xa.b(cx' }, true],
    ['a dot for any sign', { match_string: 'a.b' }, { message: 'axb' }, false],
    ['severity 0', { syslog_severity: 0 }, { severity: 0 }, true],
    ['severity 0 when the event has none', { syslog_severity: 0 }, {}, false],
    ['err and worse on crit', { syslog_severity: 3, severity_op: '<=' }, { severity: 2 }, true],
    ['err and worse on warning', { syslog_severity: 3, severity_op: '<=' }, { severity: 4 }, false],
    ['at least notice on info', { syslog_severity: 5, severity_op: '>=' }, { severity: 6 }, true],
    ['a trap by its OID with a leading dot', { trap_oid: '.1.3.6.9' }, { trapOid: '1.3.6.9' }, true],
    [
      'a trap under an OID that is not meant as a prefix',
      { trap_oid: '1.3.6' },
      { trapOid: '1.3.6.9' },
      false,
    ],
    ['a trap under a prefix', { trap_oid: '1.3.6', match_type: 'oid_prefix' }, { trapOid: '1.3.6.9' }, true],
    [
      'a trap beside a prefix',
      { trap_oid: '1.3.6.9', match_type: 'oid_prefix' },
      { trapOid: '1.3.6.99' },
      false,
    ],
    ['a criterion on a field the event lacks', { match_string: 'link', program: 'sshd' }, {}, false],
    ['a program in another case', { program: 'SSHD' }, { program: 'sshd' }, true],
    ['a facility', { facility: 23 }, { facility: 23 }, true],
    ['a host by glob, whatever the case', { host: 'ROUTER-*.example.*' }, {}, true],
    ['a host by its short name', { host: 'router-1' }, {}, false],
    ['an IPv6 network', { network: '2001:db8::/32' }, { sourceIp: '2001:db8::5' }, true],
    ['a network of the other family', { network: '::/0' }, { sourceIp: '10.0.0.1' }, false],
    [
      'the first moment of a window',
      { match_string: 'link', active_from: '2024-05-01T14:00:00+02:00' },
      {},
      true,
    ],
    ['the end of a window', { match_string: 'link', active_until: '2024-05-01T12:00:00Z' }, {}, false],
    ['a rule that is not active', { match_string: 'link', is_active: false }, {}, false],
    ['an expression across folded case', { match_string: '^LINK (UP|DOWN)$', match_type: 'regex' }, {}, true],
    [
      'a window by receipt time, not by event time',
      { match_string: 'link', active_from: '2024-05-01T11:59:00Z' },
      { eventTimeMs: 0 },
      true,
    ],
  ];
  for (const [name, ruleFields, eventFields, is] of table) {
    it(`${is ? 'matches' : 'does not match'} ${name}`, () => {
      expect(matchedIds([ruleOf(ruleFields)], eventOf(eventFields))).to.deep.equal(is ? [1] : []);
    });
  }

  it('leaves out and reports rules that cannot be compiled, and keeps the others', () => {
    const broken: [Partial<RuleRow>, string][] = [
      [{ match_string: '(', match_type: 'regex' }, 'E_RULE_REGEX_INVALID'],
      [{ match_string: '(a)\\1', match_type: 'regex' }, 'E_RULE_REGEX_UNSAFE'],
      [{ match_string: '' }, 'E_RULE_INVALID'],
      [{ trap_oid: '1.x' }, 'E_RULE_INVALID'],
      [{ network: '10.0.0.0/99' }, 'E_RULE_INVALID'],
      [{ match_string: 'x', active_from: 'soon' }, 'E_RULE_INVALID'],
      [{}, 'E_RULE_INVALID'],
      [{ active_from: '2024-05-01T12:00:00Z' }, 'E_RULE_INVALID'],
    ];
    const rules = broken.map(([fields], at) => ruleOf({ ...fields, id: at + 1 }));
    const built = buildRuleSet([...rules, ruleOf({ id: 99, match_string: 'link' })], 1);
    expect(built.rules).to.equal(1);
    expect(built.refused.map(({ ruleId, code }) => [ruleId, code])).to.deep.equal(
      broken.map(([, code], at) => [at + 1, code]),
    );
    const view = new RuleSet(built.image);
    expect(view.match(eventOf({})).map(({ id }) => id)).to.deep.equal([99]);
    expect(view.rule(3), 'known, though not in force').to.deep.equal(rules[2]);
  });

  it('goes on with the other rules when one throws, and tells which', () => {
    const faults: number[] = [];
    const rules = [
      ruleOf({ id: 1, network: '10.0.0.0/8', continue: true }),
      ruleOf({ id: 2, match_string: 'link' }),
    ];
    const onFault = (ruleId: number): number => faults.push(ruleId);
    const view = new RuleSet(buildRuleSet(rules, 1).image, { onFault });
    const hostile = Object.defineProperty(eventOf({}), 'sourceIp', {
      get: () => {
        throw new Error('no');
      },
    });
    expect(view.match(hostile).map(({ id }) => id)).to.deep.equal([2]);
    expect(faults).to.deep.equal([1]);
    expect(view.isSuspended(1)).to.equal(false);
  });

  it('is not touched by changes of the rows it was compiled from', () => {
    const rows = [ruleOf({ match_string: 'link' })];
    const view = viewOf(rows);
    rows[0]!.match_string = 'other';
    rows.length = 0;
    expect(view.match(eventOf({ receivedAtMs }))).to.have.length(1);
  });
});
