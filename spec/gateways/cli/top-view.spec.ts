import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Ledger, NodeStatus } from '../../../gateways/cli/admin-documents.ts';
import { displayWidth, paletteFor } from '../../../gateways/cli/terminal-text.ts';
import { queuesOf, topView } from '../../../gateways/cli/top-view.ts';
import type { TopSample } from '../../../gateways/cli/top-view.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 12);
const paint = paletteFor({ io: { isTTY: false }, env: {} });
const STATUS: NodeStatus = {
  ready: true,
  version: '3.0.0',
  pid: 4_711,
  uptime_seconds: 3_723,
  snapshot: {
    version: 6,
    applied: [
      { worker: 'match-0', version: 5 },
      { worker: 'gateway-0', version: 6 },
    ],
  },
  actors: {
    id: 'node',
    status: 'running',
    epoch: 1,
    restarts: 0,
    children: [
      {
        id: 'match-0',
        status: 'backing off',
        epoch: 7,
        restarts: 6,
        since: '2026-11-21T11:59:59.000Z',
        heap_used_bytes: 20_948_240,
        exits: [{ at: '2026-11-21T11:59:58.000Z', reason: 'crashed: out of memory' }],
      },
      { id: 'gateway-0', status: 'running', epoch: 2, restarts: 1, waiting: 3, rss_bytes: 203_952_128 },
    ],
  },
};
const LEDGER: Ledger = {
  accepted: 2_512,
  replayed: 0,
  terminal: { forwarded: 131, unmatched: 2_370 },
  in_flight: 11,
  rejected: 2,
  balanced: true,
  lost: 0,
  partitions: [
    {
      partition: 0,
      accepted: 1_512,
      in_flight: 11,
      balanced: true,
      lost: 0,
      lanes: {
        'alert:moogsoft': { entries: 2, messages: 2, bytes: 2_048 },
        ingest: { entries: 1, messages: 11, bytes: 1_536 },
      },
      delayed: { 'retry:moogsoft': 4 },
    },
    {
      partition: 1,
      accepted: 1_000,
      in_flight: 0,
      balanced: false,
      lost: 3,
      lanes: { ingest: { entries: 0, messages: 0, bytes: 0 } },
      delayed: {},
    },
  ],
};
const SAMPLE: TopSample = {
  status: STATUS,
  ledger: LEDGER,
  rates: { accepted: 201.34, done: 199.9, alerts: 3.14 },
  history: [100, 200, 201],
};
const VIEW = { nowMs: NOW_MS, paint, trouble: undefined };

describe('the view of mutt top', () => {
  it('looks like this where nothing need be cut', () => {
    expect(topView(SAMPLE, { ...VIEW, width: undefined, height: undefined })).to.deep.equal([
      'mutt 3.0.0  pid 4711  up 1:02:03  ready',
      'rates   201 in/s  200 done/s  3.1 alerts/s  ▄██',
      'ledger  balanced: 2,512 in = 2,501 done + 11 in flight; 2 rejected',
      'config  version 6 on 1 of 2 workers',
      '',
      'queue           waiting  retrying     size  in partitions',
      'ingest               11         0  1.5 KiB              1',
      'alert:moogsoft        2         4  2.0 KiB              1',
      '',
      'actor        state        epoch  restarts  config   memory  waiting   for  last exit',
      'node         running          1         0       -        -        -     -  -',
      '  match-0    backing off      7         6       5   20 MiB        -  0:01  crashed: out of memory',
      '  gateway-0  running          2         1       6  195 MiB        3     -  -',
      '',
      'partition  accepted  in flight  balanced  lost',
      '        0     1,512         11       yes     0',
      '        1     1,000          0        NO     3',
    ]);
  });

  it('says how long the stages of the way took, once something has passed them', () => {
    const stages = { sent_to_accepted: { count: 3, p50_ms: 2, p99_ms: 8.04 } };
    const status = { ...STATUS, latency: { stages } };
    const lines = topView({ ...SAMPLE, status }, { ...VIEW, width: undefined, height: undefined });
    expect(lines[2]).to.equal('latency accepted 2.0/8.0 ms (p50/p99)');
  });

  it('says of each queue what holds it back, and how long the others will take', () => {
    const mailbox = (name: string, depth: number, rest: object) => ({ mailbox: name, depth, ...rest });
    const paused = { reason: 'destination_down', detail: 'moogsoft takes nothing', since: null };
    const partitions = [
      {
        partition: 0,
        mailboxes: [
          mailbox('ingest', 11, { eta_seconds: 75, paused: null }),
          mailbox('alert:moogsoft', 6, { eta_seconds: null, paused }),
        ],
      },
      {
        partition: 1,
        mailboxes: [
          mailbox('ingest', 0, { eta_seconds: 0, paused: null }),
          mailbox('alert:moogsoft', 0, { eta_seconds: 0, paused }),
        ],
      },
    ];
    const lines = topView({ ...SAMPLE, partitions }, { ...VIEW, width: undefined, height: undefined });
    expect(lines.slice(5, 8)).to.deep.equal([
      'queue           waiting  retrying     size  in partitions  empty in  paused',
      'ingest               11         0  1.5 KiB              1      1:15  -',
      'alert:moogsoft        2         4  2.0 KiB              1         -  destination_down',
    ]);
    for (let width = 10; width <= 120; width++) {
      for (const line of topView({ ...SAMPLE, partitions }, { ...VIEW, width, height: 24 }))
        expect(displayWidth(line), line).to.be.at.most(width);
    }
  });

  it('fits every width and height, and counts the lines that have no room', () => {
    for (let width = 10; width <= 120; width++) {
      for (const height of [1, 2, 5, 10, 24, 60]) {
        const lines = topView({ ...SAMPLE }, { ...VIEW, width, height, trouble: 'these figures are old' });
        expect(lines.length).to.be.at.most(height);
        for (const line of lines) expect(displayWidth(line), line).to.be.at.most(width);
      }
    }
    expect(topView(SAMPLE, { ...VIEW, width: 80, height: 8 }).at(-1)).to.equal('… 10 more lines');
  });

  it('says what it does not know, and what is wrong', () => {
    const lines = topView(
      {
        ...SAMPLE,
        ledger: undefined,
        rates: undefined,
        status: { ready: false, reasons: ['Redis is away'] },
      },
      { ...VIEW, width: 80, height: 24, trouble: 'these figures are old: the admin API broke off' },
    );
    expect(lines).to.deep.equal([
      'mutt  NOT READY: Redis is away',
      'rates   being measured',
      'ledger  cannot be read now',
      'these figures are old: the admin API broke off',
    ]);
  });

  it('sums a queue over its partitions, and adds what waits for a later try to its destination', () => {
    expect(queuesOf(LEDGER.partitions)).to.deep.equal([
      { name: 'ingest', messages: 11, bytes: 1_536, delayed: 0, outbox: 0, partitions: 1 },
      { name: 'alert:moogsoft', messages: 2, bytes: 2_048, delayed: 4, outbox: 0, partitions: 1 },
    ]);
  });

  it('shows what is in the outbox only when something is', () => {
    const outbox = { 'alert:moogsoft': { alerts: 1_234, bytes: 5 } };
    const ledger = { ...LEDGER, partitions: LEDGER.partitions.map((each) => ({ ...each, outbox })) };
    const lines = topView({ ...SAMPLE, ledger }, { ...VIEW, width: undefined, height: undefined });
    expect(lines).to.include.members([
      'queue           waiting  retrying  in outbox     size  in partitions',
      'alert:moogsoft        2         4      2,468  2.0 KiB              1',
    ]);
  });
});
