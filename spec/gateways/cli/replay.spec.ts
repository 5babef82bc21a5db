import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { gzipSync } from 'node:zlib';
import { buildProgram } from '../../../gateways/cli/program.ts';
import type { ReplaySummary } from '../../../gateways/cli/replay-summary.ts';
import { CliRun, terminal } from './cli-run.ts';
import { ADMIN_KEY, ContractServer, INGEST_KEY } from './contract-server.ts';

const line = (n: number): string => `Jun 14 15:16:01 combo sshd[${n}]: event number ${n}`;
const lines = (count: number, from = 0): string[] => Array.from({ length: count }, (_, n) => line(from + n));

describe('mutt replay', () => {
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

  async function summaryOf(...args: string[]): Promise<{ code: number; summary: ReplaySummary }> {
    const code = await cli.run('replay', '--json', ...args);
    return { code, summary: JSON.parse(cli.out) as ReplaySummary };
  }

  it('sends every line of several files exactly once and accounts for it', async () => {
    const { code, summary } = await summaryOf(
      cli.file('a.log', `${lines(1_000).join('\n')}\n`),
      cli.file('b.log', lines(234, 1_000).join('\n')),
    );
    expect(server.stored.toSorted()).to.deep.equal(lines(1_234).toSorted());
    expect(summary).to.include({
      events: 1_234,
      sent: 1_234,
      accepted: 1_234,
      rejected: 0,
      accounted: 1_234,
    });
    expect(summary.ledger?.terminal).to.deep.equal({ unmatched: 1_234 });
    expect(code).to.equal(0);
  });

  it('sends lines with CRLF without it, leaves blank lines out, and keeps bytes that are no UTF-8', async () => {
    const odd = Buffer.concat([Buffer.from(`${line(3)} `), Buffer.from([0xff, 0xfe]), Buffer.from('\r\n')]);
    const path = cli.file(
      'crlf.log',
      Buffer.concat([Buffer.from(`${line(1)}\r\n\r\n  \r\n${line(2)}\r\n`), odd]),
    );
    const { summary } = await summaryOf(path, '--batch', '10');
    expect(summary.events).to.equal(3);
    expect(server.requests.map(({ body }) => body.toString('latin1'))).to.deep.equal([
      `${line(1)}\n${line(2)}\n${line(3)} ÿþ`,
    ]);
  });

  it('reads gzip by its name', async () => {
    const { summary } = await summaryOf(cli.file('x.log.gz', gzipSync(lines(700).join('\n'))));
    expect(server.stored).to.have.lengthOf(700);
    expect(summary.accounted).to.equal(700);
  });

  it('sends what can be read of a gzip that is cut off, and says so', async () => {
    const whole = gzipSync(lines(20_000).join('\n'));
    const path = cli.file('cut.gz', whole.subarray(0, whole.length - 2_000));
    const code = await cli.run('replay', path, '--connections', '1');
    expect(server.stored.length).to.be.greaterThan(1_000);
    // The line in which it breaks off is a part of one at best: no event that anybody wrote.
    expect(server.stored).to.deep.equal(lines(server.stored.length));
    expect(cli.err).to.contain('E_FILE_DAMAGED');
    expect(cli.err).to.contain(`line ${server.stored.length + 1}, in which it breaks off, was not sent`);
    expect(code).to.equal(1);
  });

  it('batches lines of a mixed file by kind and labels them', async () => {
    const event = (n: number): string =>
      JSON.stringify({ hostname: 'h', message: `m${n}`, timestamp: '2024-05-01T12:00:00Z' });
    const mixed = [
      event(1),
      line(1),
      '<34>1 2024-05-01T12:00:00Z h app - - - five',
      event(2),
      `<13>${line(2)}`,
    ];
    const { summary } = await summaryOf(cli.file('mixed.log', mixed.join('\r\n')));
    expect(
      server.requests.map(({ contentType, body }) => [contentType, body.toString()]),
    ).to.have.deep.members([
      ['text/plain', [mixed[1], mixed[2], mixed[4]].join('\n')],
      ['application/x-ndjson', [event(1), event(2)].join('\n')],
    ]);
    expect(summary).to.include({ accepted: 5, accounted: 5 });
  });

  it('counts lines that look like JSON and are none as one reject each', async () => {
    const path = cli.file('odd.log', ['[notice] apache', '{broken', line(1), '{"a":', '[1,'].join('\n'));
    const { code, summary } = await summaryOf(path);
    expect(summary).to.include({ events: 5, accepted: 1, rejected: 4, accounted: 5 });
    expect(code).to.equal(1);
  });

  it('counts every element of a JSON array on a line', async () => {
    const element = { hostname: 'h', message: 'm', timestamp: 1_700_000_000 };
    const { code, summary } = await summaryOf(
      cli.file('a.json', `${JSON.stringify([element, element])}\n[]\n`),
    );
    expect(summary).to.include({ events: 2, accepted: 2, accounted: 2 });
    expect(code).to.equal(0);
  });

  it('shows the first reject reasons, and that a wholly unreadable batch is no end of the world', async () => {
    const path = cli.file(
      'bad.log',
      [...Array.from({ length: 5 }, () => 'no time here'), ...lines(5)].join('\n'),
    );
    const code = await cli.run('replay', path, '--batch', '5', '--connections', '1');
    expect(code).to.equal(1);
    expect(cli.out).to.match(/accepted +5\n/);
    expect(cli.out).to.match(/rejected +5\n/);
    expect(cli.out).to.match(/accounted +10 {2}every one\n/);
    expect(cli.out).to.contain(`${path}:1: E_LINE_UNREADABLE: The line is neither`);
  });

  it('names file and line of the first record of a reason, also behind blank lines, CRLF and JSON', async () => {
    const event = '{"hostname":"h","message":"m","timestamp":1700000000}';
    const good = cli.file('good.log', lines(3).join('\n'));
    const bad = cli.file('bad.log', ['', line(1), event, '', 'no time here', event, '{"a":1}'].join('\r\n'));
    const { summary } = await summaryOf(good, bad, '--connections', '1');
    expect(summary.reasons.map(({ file, line: at }) => `${file}:${at}`)).to.have.members([
      `${bad}:5`,
      `${bad}:7`,
    ]);
  });

  it('skips and counts a line that no server takes', async () => {
    const path = cli.file('long.log', [line(1), 'x'.repeat(3_000_000), line(2)].join('\n'));
    const { summary } = await summaryOf(path);
    expect(summary).to.include({ events: 3, sent: 2, accepted: 2, rejected: 1 });
    expect(summary.reasons[0]).to.include({ code: 'E_LINE_TOO_LONG', file: path, line: 2 });
  });

  describe('when the server says later, breaks off or is slow', () => {
    it('resends the same batch under the same Idempotency-Key until it is answered', async () => {
      const manners = ['later', 'slow', 'reset', 'lose-reply', 'later', 'take', 'reset'] as const;
      server.manner = (index) => manners[index] ?? 'take';
      const { code, summary } = await summaryOf(cli.file('a.log', lines(500).join('\n')), '--batch', '100');
      expect(server.stored.toSorted()).to.deep.equal(lines(500).toSorted());
      expect(summary).to.include({ accepted: 500, unanswered: 0, accounted: 500 });
      expect(code).to.equal(0);
      const bodies = new Map<string, Set<string>>();
      for (const { key, body } of server.requests) {
        bodies.set(key, (bodies.get(key) ?? new Set()).add(body.toString()));
      }
      expect(bodies.size).to.equal(5);
      for (const sent of bodies.values()) expect(sent.size).to.equal(1);
    });

    it('waits as long as Retry-After asks', async () => {
      server.retryAfter = '1';
      server.manner = (index) => (index === 0 ? 'later' : 'take');
      const startedAtMs = performance.now();
      expect(await cli.run('replay', cli.file('a.log', line(1)))).to.equal(0);
      expect(performance.now() - startedAtMs).to.be.within(990, 2_500);
    });

    it('halves a batch that is too large, down to the line that is', async () => {
      server.manner = (_index, body) => (body.includes('number 3') ? 'too-large' : 'take');
      const { summary } = await summaryOf(cli.file('a.log', lines(8).join('\n')));
      expect(summary).to.include({ accepted: 7, rejected: 1, accounted: 8 });
      expect(summary.reasons[0]?.code).to.equal('E_BODY_TOO_LARGE');
    });

    it('gives up on a server that never answers again, and says what is not known', async () => {
      server.manner = (index) => (index < 2 ? 'take' : 'reset');
      const path = cli.file('a.log', lines(30).join('\n'));
      const code = await cli.run('replay', path, '--batch', '10', '--connections', '1', '--timeout', '0.3');
      expect(code).to.equal(3);
      expect(cli.out).to.match(/accepted +20\n/);
      expect(cli.err).to.contain('broke the connection off');
    });
  });

  it('counts as unanswered what a server said "later" to for ever: a part of it may be stored', async () => {
    server.manner = (index) => (index < 2 ? 'take' : 'later');
    const path = cli.file('a.log', lines(30).join('\n'));
    const code = await cli.run('replay', path, '--batch', '10', '--connections', '1', '--timeout', '0.3');
    expect(code).to.equal(3);
    expect(cli.out)
      .to.match(/accepted +20\n/)
      .and.to.match(/unanswered +10 /);
  });

  describe('to another node', () => {
    let other: ContractServer;
    beforeEach(async () => {
      other = await ContractServer.start();
    });
    afterEach(() => other.close());

    it('does not ask the ledger of this one, and says so', async () => {
      const path = cli.file('a.log', lines(20).join('\n'));
      const key = cli.file('key', INGEST_KEY);
      expect(await cli.run('replay', path, '--url', other.url, '--key-file', key)).to.equal(0);
      expect(other.stored).to.have.lengthOf(20);
      expect(cli.out)
        .to.match(/accounted +not asked/)
        .and.not.to.contain('missing');
      expect(cli.err).to.contain('--admin-url');
    });

    it('asks the ledger that it is told to ask', async () => {
      const path = cli.file('a.log', lines(20).join('\n'));
      const { code, summary } = await summaryOf(path, '--url', other.url, '--admin-url', other.url);
      expect(summary).to.include({ accepted: 20, accounted: 20 });
      expect(code).to.equal(0);
    });

    it('asks the ledger of this node under another name of it', async () => {
      const path = cli.file('a.log', lines(20).join('\n'));
      const { summary } = await summaryOf(path, '--url', server.url.replace('127.0.0.1', 'localhost'));
      expect(summary).to.include({ accepted: 20, accounted: 20 });
    });

    it('sends the key of this node to no other machine', async () => {
      const path = cli.file('a.log', lines(1).join('\n'));
      expect(await cli.run('replay', path, '--no-ledger', '--url', 'http://192.0.2.1:8080')).to.equal(2);
      expect(cli.err).to.contain('not sent to another machine').and.contain('--key-file');
    });
  });

  it('says that events were not sent, and not that they are missing, when the key is refused', async () => {
    server.manner = () => 'unauthorized';
    const path = cli.file('a.log', lines(2_000).join('\n'));
    expect(await cli.run('replay', path)).to.equal(2);
    expect(cli.out)
      .to.match(/not sent +[1-9][\d,]* /)
      .and.not.to.contain('missing');
  });

  it('names events that do not reach a terminal state in time', async () => {
    server.stuck = 3;
    const code = await cli.run('replay', cli.file('a.log', lines(10).join('\n')), '--timeout', '0.5');
    expect(code).to.equal(1);
    expect(cli.out).to.match(/accounted +7 {2}3 events missing/);
    expect(cli.out).to.contain('still in flight on the node: 3');
  });

  it('keeps the rate', async () => {
    const path = cli.file('a.log', lines(300).join('\n'));
    const { summary } = await summaryOf(path, '--rate', '200');
    expect(summary.elapsed_ms).to.be.within(1_200, 2_000);
    expect(server.requests.length).to.be.greaterThan(10);
  });

  it('streams a file of 20 MB through as many connections as it was given', async () => {
    const path = cli.file('large.log', `${line(1).padEnd(199, '.')}\n`.repeat(100_000));
    server.manner = (index) => (index % 10 === 0 ? 'slow' : 'take');
    const { summary } = await summaryOf(path, '--batch', '2000', '--connections', '3');
    expect(summary.accounted).to.equal(100_000);
    expect(server.requests).to.have.lengthOf(50);
    // Where sending is slower than the server, the third has nothing to do.
    expect(server.openMax).to.be.within(2, 3);
  }).timeout(20_000);

  it('ends with the summary so far on Ctrl-C', async () => {
    setTimeout(() => cli.interrupt.abort(), 400);
    const { code, summary } = await summaryOf(cli.file('a.log', lines(5_000).join('\n')), '--rate', '500');
    expect(code).to.equal(130);
    expect(summary.interrupted).to.equal(true);
    expect(summary.accepted).to.be.within(50, 1_000);
    expect(summary.accepted).to.equal(server.stored.length);
  });

  describe('when the call is wrong', () => {
    it('names a file that is not there before sending anything', async () => {
      const code = await cli.run('replay', cli.file('a.log', line(1)), '/no/such.log');
      expect(code).to.equal(2);
      expect(cli.err).to.contain('/no/such.log cannot be read: there is no such file');
      expect(server.requests).to.be.empty;
    });

    it('hints at `mutt start` when nobody listens', async () => {
      await server.close();
      const code = await cli.run('replay', cli.file('a.log', line(1)), '--no-ledger');
      expect(code).to.equal(3);
      expect(cli.err).to.contain('connection refused').and.to.contain('`mutt start`');
      server = await ContractServer.start();
    });

    it('says that the key is refused, and never shows it', async () => {
      server.manner = () => 'unauthorized';
      const code = await cli.run('replay', cli.file('a.log', line(1)));
      expect(code).to.equal(2);
      expect(cli.err).to.contain('E_KEY_REFUSED');
      expect(cli.err + cli.out)
        .to.not.contain(INGEST_KEY)
        .and.not.contain(ADMIN_KEY);
    });

    it('recognises a port that is no ingest port', async () => {
      server.manner = () => 'page';
      expect(await cli.run('replay', cli.file('a.log', line(1)))).to.equal(2);
      expect(cli.err).to.contain('no ingest port of MUTT');
    });

    it('refuses an address with a password without repeating it', async () => {
      const path = cli.file('a.log', line(1));
      expect(await cli.run('replay', path, '--no-ledger', '--url', 'http://u:secret@h:1')).to.equal(2);
      expect(cli.err).to.contain('--url').and.not.contain('secret');
    });
  });

  it('draws a bar that fits the terminal', async () => {
    const program = buildProgram(terminal(cli, 80));
    server.manner = () => 'slow';
    await program.run(['replay', cli.file('a.log', lines(2_000).join('\n')), '--connections', '1']);
    const drawn = cli.err.split(/\r|\n|\u001b\[[0-9?]*[A-Za-z]/).filter((text) => text.startsWith('['));
    expect(drawn.length).to.be.greaterThan(2);
    expect(drawn.at(-1)).to.match(/^\[#{29}\] 100 % {2}2,000 sent {2}[\d,]+\/s {2}0:00$/);
    for (const text of drawn) expect(text.length).to.be.lessThan(80);
  });
});
