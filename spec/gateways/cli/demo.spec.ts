import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Ledger } from '../../../gateways/cli/admin-documents.ts';
import { demoLedger, demoTicker, demoView } from '../../../gateways/cli/demo-view.ts';
import type { DemoFigures } from '../../../gateways/cli/demo-view.ts';
import { buildProgram } from '../../../gateways/cli/program.ts';
import { displayWidth, paletteFor } from '../../../gateways/cli/terminal-text.ts';
import { CliRun, terminal } from './cli-run.ts';
import { ContractServer } from './contract-server.ts';

const ledger = (accepted: number, forwarded: number, unmatched: number): Ledger => ({
  accepted,
  replayed: 0,
  terminal: { forwarded, unmatched },
  in_flight: accepted - forwarded - unmatched,
  rejected: 0,
  balanced: true,
  lost: 0,
  partitions: [],
});

const figures: DemoFigures = {
  seed: 42,
  devices: 60,
  ratePerSecond: 200,
  elapsedMs: 12_300,
  accepted: 2_412,
  rejected: 0,
  acceptedPerSecond: 201.3,
  history: [10, 180, 200, 420, 190],
  ledger: demoLedger(ledger(100, 0, 100), ledger(2_512, 131, 2_370)),
  alertsOut: 131,
  alertsPerSecond: 9,
  alerts: [
    {
      receivedAt: '2026-11-21T12:00:01.000Z',
      severity: 5,
      hostname: 'core-rtr-01',
      team: 'NETO',
      description: '%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down',
    },
    {
      receivedAt: '2026-11-21T12:00:00.000Z',
      severity: 2,
      hostname: 'evil\u001b[2J',
      team: 'SECOPS',
      description: 'line\none',
    },
  ],
  trouble: undefined,
};
const plain = paletteFor({
  io: { isTTY: false },
  env: {},
});

describe('the view of mutt demo', () => {
  it('looks like this at 80 columns', () => {
    expect(demoView(figures, 80, plain)).to.deep.equal([
      'MUTT demo  60 devices  seed 42  200 events/s                                0:12',
      '',
      '  events in         2,412    201/s   ▁▄▄█▄',
      '  matched             131    5.5 %',
      '  alerts out          131      9/s',
      '  unmatched         2,270   94.5 %',
      '  in flight            11',
      '  rejected              0',
      '  ledger      balanced: 2,512 in = 2,501 done + 11 in flight',
      '',
      'Last alerts',
      '  12:00:01 critical  core-rtr-01  NETO    %LINK-3-UPDOWN: Interface GigabitEthe…',
      '  12:00:00 warning   evil\ufffd[2J     SECOPS  line one',
      '',
      '',
      '',
      '',
      '',
      '',
      '',
      'Ctrl-C ends the demo.',
    ]);
  });

  it('fits every width, and is always as high', () => {
    const height = demoView(figures, 80, plain).length;
    for (let columns = 1; columns <= 120; columns++) {
      const lines = demoView(figures, columns, plain);
      expect(lines).to.have.lengthOf(height);
      for (const line of lines) expect(displayWidth(line), line).to.be.at.most(columns);
    }
  });

  it('shows what cannot be known as such, and trouble instead of the hint', () => {
    const text = demoView(
      { ...figures, ledger: undefined, trouble: 'the server says later: waiting' },
      80,
      plain,
    ).join('\n');
    expect(text).to.contain('cannot be read now').and.to.contain('matched               ?');
    expect(text).to.contain('the server says later').and.not.contain('Ctrl-C');
  });

  it('says it all on one line where nothing can be redrawn', () => {
    expect(demoTicker(figures)).to.equal(
      '0:12  in 2,412 (201/s)  matched 131  alerts 131  unmatched 2,270  in flight 11  rejected 0  balanced',
    );
  });
});

describe('mutt demo', () => {
  let server: ContractServer;
  let cli: CliRun;

  beforeEach(async () => {
    server = await ContractServer.start();
    cli = new CliRun(server.url);
  });
  afterEach(async () => {
    cli.close();
    await server.close();
  });

  it('sends its network to the node, stops what it started, and tells how to see the same again', async () => {
    let isStopped = false;
    const program = buildProgram({
      ...cli.context,
      ensureNode: async () => ({
        ...(await cli.context.ensureNode()),
        stop: async () => {
          isStopped = true;
        },
      }),
    });
    expect(await program.run(['demo', '--duration', '1.4', '--rate', '300', '--seed', '42'])).to.equal(0);
    expect(server.stored.length).to.be.within(300, 700);
    expect(server.requests.length).to.be.greaterThan(8);
    expect(cli.out).to.contain('demo: 60 devices, seed 42, 300 events/s');
    expect(cli.out).to.match(/0:01 {2}in [1-9]/);
    expect(cli.out).to.contain(`in ${server.stored.length} `);
    expect(cli.out).to.contain('mutt demo --seed 42 --rate 300');
    expect(isStopped).to.equal(true);
  });

  it('shows alerts as they arrive, none of before, on a terminal it leaves as it was', async () => {
    server.deliver({ source: 'old-host', severity: 5, description: 'of yesterday' });
    setTimeout(() => {
      for (let n = 0; n < 5; n++) {
        server.deliver({
          source: `new-host-${n}`,
          severity: 4,
          description: 'of now',
          custom_info: { team: 'NETO' },
        });
      }
    }, 300);
    const program = buildProgram(terminal(cli, 80));
    expect(await program.run(['demo', '--duration', '1.2', '--rate', '100'])).to.equal(0);
    expect(cli.out).to.contain('new-host-4').and.to.contain('\u001b[31m').and.not.contain('old-host');
    expect(cli.out).to.match(/alerts out +5 /);
    expect(cli.out.lastIndexOf('\u001b[?25h')).to.be.greaterThan(cli.out.lastIndexOf('\u001b[?25l'));
  });

  it('counts the alerts of a sink that was empty before, and of one that starts anew', async () => {
    setTimeout(() => server.deliver({ source: 'first-host', description: 'of now' }), 200);
    setTimeout(() => {
      server.restartSink();
      server.deliver({ source: 'second-host', description: 'of now' });
    }, 900);
    expect(await cli.run('demo', '--duration', '1.8', '--rate', '100')).to.equal(0);
    expect(cli.out).to.match(/alerts 2 [^\n]*\nThe same network again/);
  });

  it('ends clean on Ctrl-C while the node says later, and counts only what was taken', async () => {
    server.manner = (index) => (index < 3 ? 'take' : 'later');
    server.retryAfter = '30';
    setTimeout(() => cli.interrupt.abort(), 900);
    const startedAtMs = performance.now();
    expect(await cli.run('demo', '--rate', '200')).to.equal(0);
    expect(performance.now() - startedAtMs).to.be.lessThan(3_000);
    expect(cli.out).to.contain(`in ${server.stored.length} `);
  });

  it('piles up no events while nothing is answered', async () => {
    server.manner = (index) => (index < 8 ? 'later' : 'take');
    server.retryAfter = '3';
    await cli.run('demo', '--rate', '1000', '--duration', '4');
    // Eight requests of a tenth of a second each, and what came after them.
    expect(server.stored.length).to.be.within(500, 3_000);
  });

  it('gives a summary as JSON', async () => {
    expect(await cli.run('demo', '--duration', '0.5', '--json', '--seed', '1')).to.equal(0);
    expect(JSON.parse(cli.out)).to.deep.include({ seed: 1, rejected: 0, accepted: server.stored.length });
  });

  it('reports a node that cannot be had', async () => {
    const program = buildProgram({
      ...cli.context,
      ensureNode: () =>
        Promise.reject(Object.assign(new Error('no redis here'), { code: 'E_REDIS_MISSING' })),
    });
    expect(await program.run(['demo'])).to.equal(2);
    expect(cli.err).to.equal('mutt: no redis here (E_REDIS_MISSING)\n');
  });
});
