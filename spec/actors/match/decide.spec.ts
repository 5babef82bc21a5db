/** Decisions as tables: environment, handling, team, severity, signature, routing, clearing; and identifiers for ever. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { HANDLINGS } from '../../../actors/event.ts';
import type { AuditRow, NormalizedEvent } from '../../../actors/event.ts';
import { alertId, decide, decisionBasis } from '../../../actors/match/decide.ts';
import { SIGNATURE_BYTES_MAX, signatureOf } from '../../../actors/match/signature.ts';
import type { Destination, DestinationRoute, RuleRow, Snapshot } from '../../../actors/ports.ts';
import { eventOf, receivedAtMs, ruleOf } from './fixtures.ts';

function destination(name: string, ...routes: DestinationRoute[]): Destination {
  return {
    name,
    kind: 'webhook',
    url: 'http://sink',
    secretRef: null,
    routes,
    ratePerSecond: 50,
    concurrency: 4,
    timeoutMs: 1000,
  };
}
function decideWith(
  snapshot: Partial<Snapshot>,
  matches: RuleRow[],
  event: Partial<NormalizedEvent> = {},
): AuditRow {
  const complete = {
    version: 5,
    rules: [],
    developmentHosts: [],
    teams: {},
    destinations: [destination('sink')],
    settings: {},
    keys: [],
    ...snapshot,
  };
  return decide(
    { event: eventOf(event), raw: '{"raw":1}', rawBytes: null },
    matches,
    decisionBasis(complete, (id) => complete.rules.find((rule) => rule.id === id)),
  );
}

describe('decide', () => {
  it('writes the whole decision about a matched event', () => {
    const rule = ruleOf({ id: 4, version: 2, match_string: 'link' });
    const row = decideWith({}, [rule], { severity: 3, message: 'Interface Gi0/1, changed state to down' });
    expect(row).to.deep.equal({
      receivedAtMs,
      eventId: '017f22e2-79b0-7cc3-98c4-dc0c0c07398f-0',
      eventTimeMs: receivedAtMs,
      clockSkewed: false,
      textRepaired: false,
      hostname: 'router-1.example.net',
      severity: 3,
      environment: 'prod',
      team: 'NETO',
      ruleId: 4,
      ruleVersion: 2,
      ruleSetVersion: 5,
      decision: 'Page_and_ticket',
      matches: [{ rule_id: 4, rule_version: 2, handling: 'Page_and_ticket' }],
      correlationId: 'c-1',
      raw: '{"raw":1}',
      rawBytes: null,
      alerts: [
        {
          id: alertId('017f22e2-79b0-7cc3-98c4-dc0c0c07398f-0', 4, 'sink'),
          destination: 'sink',
          event_ids: ['017f22e2-79b0-7cc3-98c4-dc0c0c07398f-0'],
          rule_id: 4,
          rule_version: 2,
          decision: 'Page_and_ticket',
          environment: 'prod',
          team: 'NETO',
          severity: 3,
          signature: 'router-1.example.net::4::Gi0/1',
          hostname: 'router-1.example.net',
          event_time: '2024-05-01T12:00:00.000Z',
          received_at: '2024-05-01T12:00:00.000Z',
          description: 'Interface Gi0/1, changed state to down',
          correlation_id: 'c-1',
          count: 1,
          status: 'firing',
        },
      ],
    });
  });

  it('writes an unmatched event without rule and alerts, with the team of its host', () => {
    const row = decideWith({ teams: { 'Router-1': 'CORE' } }, []);
    expect(row).to.include({
      decision: 'Unmatched',
      ruleId: null,
      ruleVersion: null,
      team: 'CORE',
      severity: null,
    });
    expect(row.alerts).to.deep.equal([]);
    expect(decideWith({}, []).team).to.equal(null);
  });

  const environments: [string, string[], 'dev' | 'prod'][] = [
    ['lab.example.net', ['LAB.example.net'], 'dev'],
    ['lab.example.net', ['Lab'], 'dev'],
    ['lab', ['lab.example.net'], 'prod'],
    ['laboratory.example.net', ['lab'], 'prod'],
    ['10.1.2.3', ['10'], 'prod'],
    ['.lab', [''], 'prod'],
  ];
  for (const [hostname, developmentHosts, environment] of environments) {
    it(`${hostname} is ${environment} where ${developmentHosts.join()} is for development`, () => {
      const rule = ruleOf({ prod_handling: 'Page_only', dev_handling: 'Ticket_only' });
      const row = decideWith({ developmentHosts }, [rule], { hostname });
      expect(row.environment).to.equal(environment);
      expect(row.decision).to.equal(environment === 'dev' ? 'Ticket_only' : 'Page_only');
    });
  }

  it('sends an alert for every handling but Ignore', () => {
    for (const handling of HANDLINGS) {
      const { alerts, decision } = decideWith({}, [ruleOf({ prod_handling: handling })]);
      expect([decision, alerts.length], handling).to.deep.equal([handling, handling === 'Ignore' ? 0 : 1]);
    }
  });

  it('decides by the first match and sends the alerts of all', () => {
    const rules = [
      ruleOf({ id: 1, prod_handling: 'Ignore', team_assignment: 'A' }),
      ruleOf({ id: 2 }),
      ruleOf({ id: 3 }),
    ];
    const row = decideWith({ destinations: [destination('x'), destination('y')] }, rules);
    expect(row).to.include({ decision: 'Ignore', ruleId: 1, team: 'A' });
    expect(row.matches.map(({ rule_id }) => rule_id)).to.deep.equal([1, 2, 3]);
    expect(row.alerts.map((alert) => [alert.rule_id, alert.destination])).to.deep.equal([
      [2, 'x'],
      [2, 'y'],
      [3, 'x'],
      [3, 'y'],
    ]);
    expect(new Set(row.alerts.map(({ id }) => id))).to.have.length(4);
  });

  it('lets the severity of the rule win, 0 included, and says null where nobody knows', () => {
    const severity = (rule: Partial<RuleRow>, event: Partial<NormalizedEvent>): unknown =>
      decideWith({}, [ruleOf(rule)], event).alerts[0]?.severity;
    expect([
      severity({ severity: 0 }, { severity: 5 }),
      severity({}, { severity: 0 }),
      severity({}, {}),
    ]).to.deep.equal([0, 0, null]);
    expect(
      decideWith({}, [ruleOf({ severity: 0 })], { severity: 5 }).severity,
      'audit keeps the sender’s',
    ).to.equal(5);
  });

  const routes: [string, DestinationRoute[], boolean][] = [
    ['without routes', [], true],
    ['by team', [{ team: 'NETO' }], true],
    ['by another team', [{ team: 'SRE' }], false],
    ['at least err, on warning', [{ severityAtMost: 3 }], false],
    ['at least warning, on warning', [{ severityAtMost: 4 }], true],
    ['by environment', [{ environment: 'dev' }], false],
    ['by handling', [{ handling: 'Page_and_ticket' }], true],
    ['by one of two criteria', [{ team: 'NETO', environment: 'dev' }], false],
    ['by the second of two routes', [{ team: 'SRE' }, { severityAtMost: 7 }], true],
  ];
  for (const [name, routed, is] of routes) {
    it(`${is ? 'sends' : 'does not send'} to a destination ${name}`, () => {
      const { alerts } = decideWith({ destinations: [destination('d', ...routed)] }, [ruleOf({})], {
        severity: 4,
      });
      expect(alerts).to.have.length(is ? 1 : 0);
    });
  }

  it('takes an alert without a severity for as bad as nothing', () => {
    expect(
      decideWith({ destinations: [destination('d', { severityAtMost: 7 })] }, [ruleOf({})]).alerts,
    ).to.deep.equal([]);
  });

  describe('a rule that clears another', () => {
    const down = ruleOf({ id: 7, trap_oid: '1.3.6.1.6.3.1.1.5.3' });
    const up = ruleOf({ id: 8, trap_oid: '1.3.6.1.6.3.1.1.5.4', clears: 7 });

    it('resolves the alert of that one, under its signature', () => {
      for (const varbinds of [undefined, [{ oid: '.1.3.6.1.2.1.2.2.1.1.12', value: 12 }]]) {
        const rules = [down, up];
        const fired = decideWith({ rules }, [down], { trapOid: down.trap_oid!, varbinds }).alerts[0]!;
        const resolved = decideWith({ rules }, [up], { trapOid: up.trap_oid!, varbinds }).alerts[0]!;
        expect(resolved.signature).to.equal(fired.signature);
        expect([fired.status, resolved.status]).to.deep.equal(['firing', 'resolved']);
        expect(resolved.rule_id).to.equal(8);
      }
    });

    it('goes wherever the alert of that one went, as of its team, whatever it is itself', () => {
      const routes: Record<string, DestinationRoute> = {
        team: { team: 'NETO' },
        errors: { severityAtMost: 3 },
        criticals: { severityAtMost: 2 },
        pager: { handling: 'Page_only' },
        others: { team: 'OPS' },
        tickets: { handling: 'Ticket_only' },
        dev: { environment: 'dev' },
      };
      const destinations = Object.entries(routes).map(([name, route]) => destination(name, route));
      const raising = { ...down, prod_handling: 'Page_only', team_assignment: 'NETO' } as const;
      const clearing = { ...up, prod_handling: 'Ticket_only', team_assignment: 'OPS' } as const;
      const sentTo = (rule: RuleRow, rules: RuleRow[]): string[] =>
        decideWith({ rules, destinations }, [rule], { severity: 5 }).alerts.map((alert) => alert.destination);
      const ofErrors = { ...raising, severity: 3 };
      expect(sentTo(ofErrors, [ofErrors, clearing])).to.deep.equal(['team', 'errors', 'pager']);
      expect(sentTo(clearing, [ofErrors, clearing])).to.deep.equal(['team', 'errors', 'pager']);
      // Of which severity the events were that raised it nobody knows.
      expect(sentTo(clearing, [raising, clearing])).to.deep.equal(['team', 'errors', 'criticals', 'pager']);
      expect(sentTo({ ...clearing, prod_handling: 'Ignore' }, [raising, clearing])).to.deep.equal([]);
      expect(decideWith({ rules: [raising, clearing] }, [clearing]).alerts[0]?.team).to.equal('NETO');
    });

    it('still names that one when it is gone', () => {
      expect(
        decideWith({ rules: [up] }, [up], { varbinds: { ifName: 'Gi1' } }).alerts[0]?.signature,
      ).to.match(/::7::Gi1$/);
    });
  });

  it('gives an alert the same id under every retry, and another for every event, rule and destination', () => {
    expect(alertId('e-0', 1, 'sink')).to.equal('3852712243e48130f3c72c3536155a3f');
    const ids = [
      alertId('e-0', 1, 'a'),
      alertId('e-1', 1, 'a'),
      alertId('e-0', 2, 'a'),
      alertId('e-0', 1, 'b'),
    ];
    expect(new Set(ids)).to.have.length(4);
  });
});

describe('signatureOf', () => {
  const objects: [string, Partial<NormalizedEvent>, string][] = [
    [
      'an interface in the text',
      { message: 'Line protocol on Interface GigabitEthernet0/1, changed' },
      'GigabitEthernet0/1',
    ],
    ['a port at the end of a sentence', { message: 'lost port eth1/2.' }, 'eth1/2'],
    [
      'an interface in a field',
      { fields: { ifName: 'xe-0/0/1' }, message: 'interface eth0 down' },
      'xe-0/0/1',
    ],
    [
      'an interface in a list of varbinds',
      { varbinds: [null, 5, { name: 'ifDescr.3', value: 'ge-0/0/3' }] },
      'ge-0/0/3',
    ],
    ['an interface in an object of varbinds', { varbinds: { '1.3.6.1.2.1.31.1.1.1.1.4': 'Po4' } }, 'Po4'],
    ['a mnemonic, without its severity', { message: '%SYS-5-CONFIG_I: Configured' }, 'SYS-CONFIG_I'],
    ['the trap', { trapOid: '1.3.6.1', program: 'p' }, '1.3.6.1'],
    ['the message id', { msgid: 'RPD_UP', program: 'p' }, 'RPD_UP'],
    ['the program', { program: 'sshd' }, 'sshd'],
    ['nothing', {}, '-'],
  ];
  for (const [name, event, object] of objects) {
    it(`names ${name} as the object`, () => {
      expect(signatureOf(eventOf(event), ruleOf({ id: 3 }), 'prod')).to.equal(
        `router-1.example.net::3::${object}`,
      );
    });
  }

  it('fills a template, and leaves absent values as a dash', () => {
    const signature =
      '{host}|{rule}|{program}|{msgid}|{facility}|{source_ip}|{team}|{environment}|{oid}|{toString}';
    const event = eventOf({ program: 'p', facility: 0, sourceIp: '10.0.0.1' });
    expect(signatureOf(event, ruleOf({ signature }), 'dev')).to.equal(
      'router-1.example.net|1|p|-|0|10.0.0.1|NETO|dev|-|{toString}',
    );
  });

  it('is at most 767 bytes of whole characters, and still tells long ones apart', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 200, maxLength: 900 }), (hostname) => {
        const one = signatureOf(eventOf({ hostname: `${hostname}1` }), ruleOf({}), 'prod');
        const other = signatureOf(eventOf({ hostname: `${hostname}2` }), ruleOf({}), 'prod');
        expect(Buffer.byteLength(one)).to.be.at.most(SIGNATURE_BYTES_MAX);
        expect(one).to.not.equal(other);
        // What is cut off may have held one; a cut through a character would add one.
        if (!hostname.includes('\uFFFD')) expect(one).to.not.include('\uFFFD');
      }),
    );
  });

  it('takes time in proportion to hostile messages', () => {
    for (const unit of ['interface ', 'port a', '%A-', 'ifname:"', '%AAAAAAAA-AAAAAAAA-']) {
      const startedAt = process.cpuUsage();
      signatureOf(eventOf({ message: unit.repeat(64_000 / unit.length) }), ruleOf({}), 'prod');
      expect(process.cpuUsage(startedAt).user / 1000, unit).to.be.below(200);
    }
  });
});
