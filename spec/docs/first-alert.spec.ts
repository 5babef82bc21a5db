/**
 * The tutorial "Your first alert", run as it stands: its `sh` blocks in order, in the clone, against a node that its own
 * first block starts. What they print is compared with what the page shows, ids and durations masked.
 *
 * Where the spec departs from a reader: the node has ports and a data directory of its own (so that specs can run beside
 * a real node), so the two default addresses and the prefix `var/` are replaced, in the commands and the output alike,
 * and the node's environment says the same; and instead of a person's pause it waits until nothing is in flight.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { metricsOfLayout, metricsOfPage, metricsOfScrape } from './metric-tables.ts';
import { TLS_LAYOUT } from '../../supervisors/tls-keeper.ts';
import { isShownBy, tutorialOf } from './tutorial-blocks.ts';

const CLONE_DIR = fileURLToPath(new URL('../..', import.meta.url));
const STOP_MS = 30_000;

function readPage(path: string): string {
  return readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8');
}

describe('The tutorial "Your first alert"', function () {
  this.timeout(90_000);
  const { steps, lastOutput } = tutorialOf(readPage('tutorials/first-alert.md'));
  let node: NodeUnderTest;
  let started: ChildProcess;
  let printedByNode = '';

  /** The page's addresses and directory, as this node's. */
  const here = (text: string): string =>
    text
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${node.ports.ingest}`)
      .replaceAll('127.0.0.1:8090', `127.0.0.1:${node.ports.admin}`)
      .replace(/(?<![\w/])var\//g, `${node.dir}/`);

  const launch = (command: string): ChildProcess =>
    spawn('sh', ['-c', here(command)], {
      cwd: CLONE_DIR,
      env: node.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });

  const printedBy = (command: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = launch(command);
      let printed = '';
      child.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString('utf8')));
      child.once('error', reject);
      child.once('close', () => resolve(printed));
    });

  before(async () => {
    node = await NodeUnderTest.prepare();
    started = launch(steps[0]?.command ?? '');
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on('data', (chunk: Buffer) => (printedByNode += chunk.toString('utf8')));
    }
    await until(
      async () => printedByNode.includes('Ctrl-C') && (await node.isReady()),
      60_000,
      () => `the tutorial's node is not ready:\n${printedByNode}`,
    );
  });

  after(async () => {
    const isRunning = started.exitCode === null && started.signalCode === null;
    if (isRunning && started.pid !== undefined) process.kill(-started.pid, 'SIGKILL');
    await node.close();
  });

  it('begins by starting the node, and shows what that prints', () => {
    expect(steps[0]?.command).to.equal('npm start\n');
    const greeting = printedByNode.slice(printedByNode.indexOf('MUTT '));
    expect(isShownBy(here(steps[0]?.output ?? ''), greeting), greeting).to.equal(true);
  });

  for (const [at, { command, output }] of steps.entries()) {
    if (at === 0) continue;
    it(`shows what step ${at} prints: ${command.split('\n')[0]?.slice(0, 60)}`, async () => {
      await node.settled();
      const printed = await printedBy(command);
      expect(isShownBy(here(output ?? ''), printed), `it prints:\n${printed}`).to.equal(true);
    });
  }

  it('uses the command that the node itself prints as its first event', () => {
    const told = printedByNode.split('\n').find((line) => line.includes("-d '{"));
    const body = /-d '.*'/.exec(steps[1]?.command ?? '')?.[0] ?? 'none';
    expect(told).to.include(body);
  });

  it('leaves a node whose scrape holds the metrics of the metrics page, and no others', async () => {
    const { body } = await node.admin<string>('/metrics');
    // A node without a certificate has nothing to say of one.
    const ofTls = metricsOfLayout(TLS_LAYOUT);
    const page = metricsOfPage(readPage('reference/metrics.md')).filter((line) => !ofTls.includes(line));
    expect(metricsOfScrape(body)).to.deep.equal(page);
  });

  it('ends with Ctrl-C, and shows what that prints', async () => {
    // As a terminal does: to the whole group of the first command.
    process.kill(-(started.pid as number), 'SIGINT');
    await until(
      async () => started.exitCode !== null || started.signalCode !== null,
      STOP_MS,
      () => `the node does not end:\n${printedByNode}`,
    );
    expect(isShownBy(lastOutput ?? '', printedByNode), printedByNode).to.equal(true);
  });
});

describe('The comparison of a tutorial with what its commands print', () => {
  for (const [title, shown, printed, isSame] of [
    ['takes equal lines', 'a\nb\n', 'a\nb\n', true],
    ['refuses another line', 'a\nb\n', 'a\nc\n', false],
    ['refuses a line too many', 'a\n', 'a\nb\n', false],
    ['refuses a line too few', 'a\nb\n', 'a\n', false],
    ['lets … stand for lines', 'a\n…\nd\n', 'a\nb\nc\nd\n', true],
    ['masks durations', 'after 1 ms\n', 'after 250 ms\n', true],
    ['takes characters as they are', 'a.c\n', 'abc\n', false],
  ] as const) {
    it(title, () => {
      expect(isShownBy(shown, printed)).to.equal(isSame);
    });
  }
});
