import { expect } from 'chai';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import type { NormalizedEvent } from '../../../../actors/event.ts';
import { decodeRecord } from '../../../../actors/ingest/decode-record.ts';
import { RECORD_JSON } from '../../../../actors/ingest/split-records.ts';
import { parseConfiguration } from '../../../../actors/match/configuration.ts';
import { normalizeEvent } from '../../../../actors/match/normalize.ts';
import { RuleSet, buildRuleSet } from '../../../../actors/match/rule-set/rule-set.ts';
import { Dice } from '../../../../gateways/cli/network-generator/dice.ts';
import type { GeneratedEvent } from '../../../../gateways/cli/network-generator/generated-event.ts';
import {
  BEHAVIOURS,
  NetworkGenerator,
} from '../../../../gateways/cli/network-generator/network-generator.ts';
import { buildTopology } from '../../../../gateways/cli/network-generator/topology.ts';

const START_MS = Date.UTC(2026, 10, 21, 12);

function generate(seed: number, ratePerSecond: number, seconds: number): GeneratedEvent[] {
  return new NetworkGenerator({ seed, ratePerSecond, startMs: START_MS }).until(START_MS + seconds * 1_000);
}

describe('NetworkGenerator', () => {
  it('says the same for the same seed, however often it is asked', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 12 }),
        (seed, waits) => {
          const asked = new NetworkGenerator({ seed, ratePerSecond: 100, startMs: START_MS });
          let nowMs = START_MS;
          const pieces = waits.flatMap((waitMs) => asked.until((nowMs += waitMs)));
          const atOnce = new NetworkGenerator({ seed, ratePerSecond: 100, startMs: START_MS }).until(nowMs);
          expect(pieces).to.deep.equal(atOnce);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('says something else for another seed', () => {
    expect(generate(1, 100, 5)).to.not.deep.equal(generate(2, 100, 5));
  });

  it('makes events that the product takes', () => {
    for (const event of generate(7, 500, 20)) {
      const body = Buffer.from(JSON.stringify(event));
      expect(decodeRecord(body, RECORD_JSON, 0, body.length, START_MS)).to.deep.equal({
        ok: true,
        hostname: event.hostname,
      });
      expect(event.syslog_severity).to.be.within(0, 7);
      expect(event.message).to.not.match(/undefined|NaN/);
      expect(event.source === 'snmp').to.equal(event.trap_oid !== undefined);
    }
  });

  it('gives the severity that Cisco writes in the mnemonic', () => {
    const tagged = generate(7, 500, 20).filter(({ message }) => /^%[A-Z0-9_]+-\d-/.test(message));
    expect(tagged.length).to.be.greaterThan(100);
    for (const { message, syslog_severity } of tagged) {
      expect(String(syslog_severity)).to.equal(/^%[A-Z0-9_]+-(\d)-/.exec(message)?.[1]);
    }
  });

  it('gives events in the order of their time, none before the start or after the moment asked for', () => {
    const times = generate(3, 300, 20).map(({ timestamp }) => Date.parse(timestamp));
    expect(times).to.deep.equal(times.toSorted((a, b) => a - b));
    expect(times.at(0)).to.be.at.least(START_MS);
    expect(times.at(-1)).to.be.below(START_MS + 20_000);
  });

  for (const rate of [10, 200, 5_000]) {
    it(`keeps ${rate} events/s on average`, () => {
      const seconds = rate < 100 ? 300 : rate < 1_000 ? 120 : 15;
      expect(generate(11, rate, seconds).length / seconds).to.be.within(rate * 0.9, rate * 1.15);
    });
  }

  it('is bursty: some seconds have more than one and a half times the mean', () => {
    const perSecond = new Map<number, number>();
    for (const { timestamp } of generate(11, 200, 120)) {
      const second = Math.floor(Date.parse(timestamp) / 1_000);
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    }
    expect(Math.max(...perSecond.values())).to.be.greaterThan(300);
  });

  it('lets most devices speak within a minute', () => {
    const hosts = new Set(generate(5, 200, 60).map(({ hostname }) => hostname));
    expect(hosts.size).to.be.greaterThan(55);
    expect([...hosts]).to.include('core-rtr-01');
  });

  it('has a link flap, a password attack and a BGP loss in the first ten seconds', () => {
    const text = generate(99, 50, 10)
      .map(({ message }) => message)
      .join('\n');
    expect(text).to.match(/UPDOWN: .*down|IF_DOWN|LINK_DOWN|linkDown/);
    expect(text).to.contain('Failed password for');
    expect(text).to.match(/bgpBackwardTransition/);
  });

  it('ends what it begins: a link that went down comes up', () => {
    const dice = new Dice(4);
    const topology = buildTopology(dice);
    const flap = BEHAVIOURS.find(({ name }) => name === 'flapping link');
    for (let round = 0; round < 50; round++) {
      const said = (flap?.plan(topology, dice, 200) ?? []).map(({ utterance }) => utterance.message);
      const downs = said.filter((message) => message.startsWith('linkDown')).length;
      expect(downs).to.be.greaterThan(1);
      expect(said.filter((message) => message.startsWith('linkUp'))).to.have.lengthOf(downs);
    }
  });

  for (const behaviour of BEHAVIOURS) {
    it(`makes as many events in one ${behaviour.name} as it claims on average`, () => {
      const dice = new Dice(8);
      const topology = buildTopology(dice);
      let events = 0;
      for (let round = 0; round < 300; round++) events += behaviour.plan(topology, dice, 200).length;
      expect(events / 300).to.be.within(behaviour.eventsMean(200) * 0.75, behaviour.eventsMean(200) * 1.25);
    });
  }

  it('takes no share of its rate for longer than it lasts: the shares leave most to noise', () => {
    const shares = BEHAVIOURS.reduce((sum, { share }) => sum + share, 0);
    expect(shares).to.be.within(0.1, 0.4);
  });
});

describe('the topology', () => {
  it('has 60 devices with different names and addresses, all linked to others that exist', () => {
    const { devices, links, sessions } = buildTopology(new Dice(1));
    expect(devices).to.have.lengthOf(60);
    expect(new Set(devices.map(({ hostname }) => hostname)).size).to.equal(60);
    expect(new Set(devices.map(({ ip }) => ip)).size).to.equal(60);
    for (const { a, b, aInterface } of links) {
      expect(a).to.not.equal(b);
      expect(a.interfaces).to.include(aInterface);
    }
    expect(sessions.length).to.be.greaterThan(10);
  });
});

function normalized(event: object): NormalizedEvent {
  const bytes = Buffer.from(JSON.stringify(event));
  const record = {
    id: 'frame-0',
    receivedAtMs: START_MS,
    correlationId: 'c',
    kind: RECORD_JSON,
    bytes,
  } as const;
  return normalizeEvent(record).event;
}

describe('the sample rules', () => {
  const file = new URL('../../../../gateways/cli/sample-rules.yaml', import.meta.url);
  const configuration = parseConfiguration(parse(readFileSync(file, 'utf8')));
  const names = configuration.rules.map(({ name }) => name);
  const rows = configuration.rules.map((rule, index) => ({ ...rule, id: index + 1, version: 1 }));
  const { image, refused } = buildRuleSet(rows, 1);
  const matcher = new RuleSet(image);
  const isForwarded = (event: GeneratedEvent): boolean =>
    matcher
      .match(normalized(event))
      .some((rule) =>
        configuration.development_hosts.includes(event.hostname)
          ? rule.dev_handling !== 'Ignore'
          : rule.prod_handling !== 'Ignore',
      );

  it('are all taken by the product', () => {
    expect(refused).to.deep.equal([]);
    expect(new Set(names).size).to.equal(names.length);
  });

  it('forward about one event in twenty of the demo', () => {
    for (const rate of [50, 200, 2_000]) {
      const events = generate(21, rate, rate === 50 ? 400 : rate === 200 ? 200 : 40);
      const forwarded = events.filter(isForwarded);
      expect(forwarded.length / events.length, `at ${rate}/s`).to.be.within(0.035, 0.07);
    }
  });

  it('are all met by what the demo says', () => {
    const met = new Set<number>();
    for (const event of generate(22, 2_000, 30)) {
      for (const rule of matcher.match(normalized(event))) met.add(rule.id);
    }
    expect(rows.filter(({ id }) => !met.has(id)).map(({ name }) => name)).to.deep.equal([]);
  });

  it('turn the first curl into an alert', () => {
    const curl = {
      hostname: 'core-rtr-01',
      message: '%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down',
      timestamp: '2026-11-21T12:00:00Z',
    };
    const [match] = matcher.match(normalized(curl));
    expect(names[(match?.id ?? 0) - 1]).to.equal('link-down');
    expect(match?.prod_handling).to.equal('Page_and_ticket');
  });

  it('let a change of a core router match twice', () => {
    const change = {
      hostname: 'core-rtr-01',
      message: '%SYS-5-CONFIG_I: Configured from console by anna on vty0 (10.1.20.7)',
      timestamp: '2026-11-21T12:00:00Z',
    };
    expect(matcher.match(normalized(change)).map(({ id }) => names[id - 1])).to.deep.equal([
      'core-configuration-change',
      'configuration-change',
    ]);
  });
});
