/**
 * The oracle of the torture, tortured: a record of a run in which nothing went wrong gives no finding, however bad the
 * destinations were; and each kind of what can be wrong, planted once, is found with the right words, in the right place,
 * and alone.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { FindingKind } from '../../../supervisors/torture/finding.ts';
import { knownText } from '../../../supervisors/torture/known-event.ts';
import { ALERT_EVERY, PLACES, RecordedRun, event, isOneOf, textOf } from './recorded-run.ts';

interface Planted {
  plant: (run: RecordedRun) => void;
  kind: FindingKind;
  where: string;
  what: RegExp;
  count?: number;
  example?: RegExp;
  /** Other findings that cannot but follow. */
  follows?: FindingKind[];
}

const AN_ALERT = event('h1', 24);
const NO_ALERT = event('h0', 5);

const PLANTED: Record<string, Planted> = {
  'a letter is called superseded, and nothing superseded it': {
    plant: (run) => {
      const last = event('h0', 36);
      run.without('strict', last);
      run.refused.strict += 1;
      run.letters.push({ destination: 'strict', description: textOf(last), state: 'superseded' });
    },
    kind: 'alert missing',
    where: 'strict',
    what: /ended unsent, and no later alert/,
    example: /^h0 36$/,
  },
  'an alert was never made for one of the destinations': {
    plant: (run) => {
      const row = run.row(AN_ALERT);
      Object.assign(row, { alerts: row.alerts.filter(({ destination }) => destination !== 'strict') });
      run.without('strict', AN_ALERT);
    },
    kind: 'alert missing',
    where: 'strict',
    what: /have none for it/,
    example: /^h1 24$/,
  },
  'an event was thrown away in the books': {
    plant: (run) => {
      run.ledger.terminal['forwarded']! -= 1;
      run.ledger.terminal['discarded']! += 1;
    },
    kind: 'ledger',
    where: 'all nodes',
    what: /not those of what was sent/,
    example: /^discarded: 1, and not 0$/,
  },
  'an answered event has no row': {
    plant: (run) => run.dropRow(NO_ALERT),
    kind: 'event missing',
    where: 'audit',
    what: /answered events have no row/,
    example: /^h0 5$/,
    follows: ['ledger'],
  },
  'an event has two rows': {
    plant: (run) => run.rows.push(run.row(NO_ALERT)),
    kind: 'event in two states',
    where: 'audit',
    what: /several rows/,
    example: /^h0 5$/,
    follows: ['ledger'],
  },
  'an event has a row and is quarantined': {
    plant: (run) => run.quarantined.push(NO_ALERT),
    kind: 'event in two states',
    where: 'audit and quarantine',
    what: /have a row and are quarantined/,
    example: /^h0 5$/,
    follows: ['ledger'],
  },
  'a row is of an event that was never sent': {
    plant: (run) => {
      run.rows.push({
        raw: knownText(event('h0', 41), false),
        decision: 'Unmatched',
        alerts: [],
        receivedMs: 0,
      });
    },
    kind: 'event never sent',
    where: 'audit',
    what: /that nobody sent/,
    example: /^h0 41$/,
    follows: ['ledger'],
  },
  'a quarantined event was never sent': {
    plant: (run) => run.quarantined.push(event('h9', 0)),
    kind: 'event never sent',
    where: 'quarantine',
    what: /of nobody/,
    example: /^h9 0$/,
    follows: ['ledger'],
  },
  'a row is of somebody else': {
    plant: (run) => {
      run.rows.push({ raw: 'half a mess', decision: 'Unmatched', alerts: [], receivedMs: 0 });
      run.ledger.accepted += 1;
      run.ledger.terminal['unmatched']! += 1;
    },
    kind: 'event never sent',
    where: 'audit',
    what: /no known event/,
    example: /^half a mess$/,
    follows: ['ledger'],
  },
  'a dead letter is of somebody else': {
    plant: (run) => run.letters.push({ destination: 'strict', description: 'link down', state: 'kept' }),
    kind: 'event never sent',
    where: 'dead letters',
    what: /no known event/,
    example: /link down/,
  },
  'an event that a rule finds was called unmatched': {
    plant: (run) => {
      Object.assign(run.row(AN_ALERT), { decision: 'Unmatched', alerts: [], receivedMs: 0 });
      for (const place of PLACES) run.without(place, AN_ALERT);
      run.ledger.terminal['unmatched']! += 1;
      run.ledger.terminal['forwarded']! -= 1;
    },
    kind: 'event misjudged',
    where: 'audit',
    what: /something else than the rules/,
    example: /^h1 24: Unmatched with 0 alerts$/,
  },
  'an event that no rule finds was called matched': {
    plant: (run) => {
      Object.assign(run.row(NO_ALERT), { decision: 'Ignore' });
      run.ledger.terminal['unmatched']! -= 1;
      run.ledger.terminal['handled']! += 1;
    },
    kind: 'event misjudged',
    where: 'audit',
    what: /something else than the rules/,
    example: /^h0 5: Ignore with 0 alerts$/,
  },
  'an event was answered and never sent': {
    plant: (run) => {
      run.sent = run.sent.filter((each) => !isOneOf(each, NO_ALERT));
    },
    kind: 'record',
    where: 'traffic',
    what: /answered and never sent/,
    example: /^h0 5$/,
    follows: ['event never sent'],
  },
  'an alert never came': {
    plant: (run) => run.without('strict', AN_ALERT),
    kind: 'alert missing',
    where: 'strict',
    what: /never came/,
    example: /^h1 24 at strict$/,
  },
  'more alerts never came than ended unsent, where that may be': {
    plant: (run) => [24, 28].forEach((sequence) => run.without('latest', event('h1', sequence))),
    kind: 'alert missing',
    where: 'destinations that may be left out',
    what: /never came; the ledgers know of 2 that ended unsent/,
    count: 3,
    example: /at latest$/,
  },
  'the latest alert of a host never came, where alerts may be superseded': {
    plant: (run) => {
      run.without('latest', event('h1', 36));
      run.ledger.alerts.superseded += 1;
    },
    kind: 'alert missing',
    where: 'destinations that may be left out',
    what: /latest alerts of their hosts never came; the ledgers know of 0 that were suppressed/,
    example: /^h1 36 at latest$/,
  },
  'an alert came of which no row knows': {
    plant: (run) => {
      const row = run.row(AN_ALERT);
      row.alerts = row.alerts.filter(({ destination }) => destination !== 'strict');
    },
    kind: 'alert without row',
    where: 'strict',
    what: /no audit row knows/,
    example: /^h1 24$/,
    follows: ['alert missing'],
  },
  'an alert came under another id than that of its row': {
    plant: (run) => {
      run.row(AN_ALERT).alerts = PLACES.map((destination) => ({ id: 'x', destination }));
      run.without('latest', AN_ALERT);
    },
    kind: 'alert doubled',
    where: 'strict',
    what: /another id than the audit row/,
    example: /^h1 24$/,
  },
  'an event came with two alerts': {
    plant: (run) => run.repeat('strict', AN_ALERT, { alertId: 'another' }),
    kind: 'alert doubled',
    where: 'strict',
    what: /several alert ids/,
    example: /^h1 24 once more as another$/,
  },
  'a row has two alerts for one destination': {
    plant: (run) => {
      const row = run.row(AN_ALERT);
      row.alerts = [...row.alerts, { id: 'second', destination: 'strict' }];
    },
    kind: 'alert doubled',
    where: 'audit',
    what: /two alerts for one destination/,
    example: /^h1 24 at strict, also second$/,
  },
  'an alert came again under another dedup key': {
    plant: (run) => run.repeat('strict', AN_ALERT, { dedupKey: 'another' }),
    kind: 'dedup key',
    where: 'strict',
    what: /again under another dedup key/,
    example: /^h1 24, alert h1-24-strict, once more as another$/,
  },
  'a dedup key has two contents': {
    plant: (run) => run.repeat('strict', AN_ALERT, { body: '{"count":1}' }),
    kind: 'dedup key',
    where: 'strict',
    what: /another content under the same key/,
    example: /^h1 24, key key of h1-24-strict$/,
  },
  'a count differs where alerts speak for no others': {
    plant: (run) => {
      const [post] = run.of('strict', AN_ALERT);
      run.repeat('strict', AN_ALERT, { body: post?.body.replace('"count":1', '"count":2') ?? '' });
    },
    kind: 'dedup key',
    where: 'strict',
    what: /another content under the same key/,
  },
  'two events have one dedup key': {
    plant: (run) => run.of('strict', AN_ALERT).forEach((post) => (post.dedupKey = 'key of h1-8-strict')),
    kind: 'dedup key',
    where: 'strict',
    what: /dedup key of another event/,
    example: /^h1 24$/,
  },
  'an alert came first after a later one': {
    plant: (run) => run.move('strict', AN_ALERT, event('h1', 32)),
    kind: 'order',
    where: 'strict',
    what: /after a later one of their signature/,
    example: /^h1 24 after 32$/,
  },
  'a dead letter, and nothing was refused': {
    plant: (run) => (run.refused.strict = 2),
    kind: 'dead letter',
    where: 'strict',
    what: /though 2 requests were refused/,
    count: 3,
    example: /^h1 12$/,
  },
  'a dead letter is of an alert that no row knows': {
    plant: (run) => {
      run.refused.strict += 1;
      run.letters.push({ destination: 'strict', description: textOf(NO_ALERT), state: 'superseded' });
    },
    kind: 'dead letter',
    where: 'strict',
    what: /no audit row knows/,
    example: /^h0 5$/,
  },
  'a signature is of two hosts': {
    plant: (run) => run.of('strict', AN_ALERT).forEach((post) => (post.signature = 'h0')),
    kind: 'record',
    where: 'strict',
    what: /two hosts/,
    example: /^"h0": h0 \d+ and h1 24$/,
  },
  'a post is of no known event': {
    plant: (run) => run.repeat('strict', AN_ALERT, { description: 'link down' }),
    kind: 'alert without row',
    where: 'strict',
    what: /no alert of a known event/,
    example: /link down/,
  },
  'a request is what no node should send': {
    plant: (run) => run.oddities.strict.push('POST /elsewhere'),
    kind: 'alert without row',
    where: 'strict',
    what: /no node should send/,
    example: /elsewhere/,
  },
  'a row names a destination that was not watched': {
    plant: (run) => {
      const row = run.row(AN_ALERT);
      row.alerts = [...row.alerts, { id: 'third', destination: 'elsewhere' }];
    },
    kind: 'record',
    where: 'audit',
    what: /not watched/,
    example: /^1 for elsewhere$/,
  },
  'more came than could be recorded': {
    plant: (run) => (run.alertsMax = 25),
    kind: 'record',
    where: 'strict',
    what: /the record is full/,
    count: 3,
    follows: ['alert missing', 'record'],
  },
  'the ledger accepted more than was stored': {
    plant: (run) => {
      run.ledger.accepted += 1;
      run.ledger.terminal['unmatched']! += 1;
    },
    kind: 'ledger',
    where: 'all nodes',
    what: /not those of what was sent/,
    count: 2,
    example: /^accepted: (\d+), and not \d+$/,
  },
  'the ledger lost events': {
    plant: (run) => (run.ledger.lost = 4),
    kind: 'ledger',
    where: 'all nodes',
    what: /not those of what was sent/,
    example: /^lost: 4, and not 0$/,
  },
  'more is in flight than dead letters wait': {
    plant: (run) => {
      run.ledger.in_flight += 1;
      run.ledger.terminal['forwarded']! -= 1;
    },
    kind: 'ledger',
    where: 'all nodes',
    what: /not those of what was sent/,
    count: 2,
    example: /^in flight: 2, and not 1$/,
  },
  'events were shed': {
    plant: (run) => {
      run.ledger.terminal['shed'] = 1;
      run.ledger.terminal['forwarded']! -= 1;
    },
    kind: 'ledger',
    where: 'all nodes',
    what: /not those of what was sent/,
    count: 2,
    example: /^shed: 1, and not 0$/,
  },
  'a partition is not balanced': {
    plant: (run) => {
      run.ledger.balanced = false;
      run.ledger.partitions = [{ partition: 3, balanced: false, problems: ['one is missing'] }];
    },
    kind: 'ledger',
    where: 'node-1',
    what: /not balanced/,
    example: /^partition 3: one is missing$/,
  },
  'a node calls itself not balanced and no partition': {
    plant: (run) => (run.ledger.balanced = false),
    kind: 'ledger',
    where: 'node-1',
    what: /not balanced/,
  },
  'the sum of a ledger is wrong, though it calls itself balanced': {
    plant: (run) => (run.ledger.replayed = 1),
    kind: 'ledger',
    where: 'node-1',
    what: /is not terminal \+ in flight/,
  },
  'a figure of a ledger has fallen': {
    plant: (run) => {
      const { before } = run.ledgers[1]!;
      before.accepted = 1;
      before.terminal['unmatched'] = 1;
      run.ledger.accepted += 1;
      run.ledger.terminal['unmatched']! += 1;
    },
    kind: 'ledger',
    where: 'node-2',
    what: /have fallen/,
    count: 2,
    example: /^accepted: 1 and then 0$/,
  },
  'the witness knows of more than Redis': {
    plant: (run) => run.witness.push({ node: 'node-2', partition: 1, acknowledged: 8, accepted: 7 }),
    kind: 'witness',
    where: 'witness',
    what: /answered more than they know/,
    example: /^node-2, partition 1: 8 were answered, Redis knows 7$/,
  },
  ...Object.fromEntries(
    (['memoryBytes', 'threads', 'openFiles', 'connections'] as const).map((figure): [string, Planted] => [
      `${figure} have grown`,
      {
        plant: (run) => run.end.set('node-1 gateway-0', { [figure]: 2e9 }),
        kind: 'growth',
        where: 'nodes',
        what: /have grown/,
        example: new RegExp(`^node-1 gateway-0: ${figure} \\d+ and then 2000000000$`),
      },
    ]),
  ),
  'a process is left': {
    plant: (run) => run.processes.push('1234 node'),
    kind: 'left over',
    where: 'processes',
    what: /run on/,
    example: /^1234 node$/,
  },
  'a file is left': {
    plant: (run) => run.files.push('/tmp/x'),
    kind: 'left over',
    where: 'files',
    what: /files are left/,
    example: /^\/tmp\/x$/,
  },
};

describe('The verdict of the torture', () => {
  it('finds nothing in a run in which nothing went wrong', () => {
    expect(new RecordedRun().judge()).to.deep.equal([]);
  });

  for (const [name, planted] of Object.entries(PLANTED)) {
    it(`finds it when ${name}`, () => {
      const run = new RecordedRun();
      planted.plant(run);
      const findings = run.judge();
      const { kind, where, what, count = 1, example, follows = [] } = planted;
      const found = findings.find(
        (finding) => finding.kind === kind && finding.where === where && what.test(finding.what),
      );
      expect(found, JSON.stringify(findings, null, 2)).to.include({ count });
      if (example !== undefined) expect(found?.examples[0]).to.match(example);
      const others = findings.filter((finding) => finding !== found && !follows.includes(finding.kind));
      expect(others).to.deep.equal([]);
    });
  }

  it('finds every kind that there is, but for those that are found while a run lasts', () => {
    const kinds: Record<Exclude<FindingKind, 'recovery' | 'stop' | 'traffic'>, true> = {
      'event missing': true,
      'event in two states': true,
      'event never sent': true,
      'event misjudged': true,
      'alert missing': true,
      'alert without row': true,
      'alert doubled': true,
      'dedup key': true,
      order: true,
      'dead letter': true,
      ledger: true,
      witness: true,
      growth: true,
      'left over': true,
      record: true,
    };
    expect(new Set(Object.values(PLANTED).map(({ kind }) => kind))).to.have.keys(Object.keys(kinds));
  });

  it('counts many of a kind as one finding, with a few examples', () => {
    const run = new RecordedRun();
    for (let sequence = 24; sequence < 40; sequence += ALERT_EVERY)
      run.without('strict', event('h1', sequence));
    for (let sequence = 24; sequence < 40; sequence += ALERT_EVERY)
      run.without('strict', event('h0', sequence));
    const [finding, ...others] = run.judge();
    expect(others).to.deep.equal([]);
    expect(finding).to.include({ kind: 'alert missing', count: 8 });
    expect(finding?.examples).to.have.length(5);
  });
});
