/**
 * Runs benchmarks with small values and looks whether they report what they are there to report. No time is judged.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { specDirectory } from '../support/servers.ts';
import { STAGES } from '../../supervisors/threads/stage-latency.ts';

interface Report {
  bench: string;
  full: boolean;
  parameters: Record<string, number>;
  notes: string[];
  rows: { what: string; value: number; unit: string; baseline?: { value: number }; details?: object }[];
}

const entry = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

const TIMEOUT_MS = 120_000;

/** Words that must each occur in the name of a row. */
const ROWS = {
  runtime: [
    'tell, 4 senders',
    'ping-pong',
    'ask',
    'spawn',
    'heap per idle actor',
    'skynet',
    'full mailbox: refused',
    ...['supervised', 'with a black box', 'a bare MessagePort', 'nact', 'XState', 'comedy'].map(
      (name) => `ping-pong, ${name}`,
    ),
    'another thread, 325 B',
    'round trip to another thread',
    'tell over a ring',
    'ask over a ring',
    'a full ring',
    'durable ref, stored',
    'durable ref, drained',
    'restart of an actor',
    'restart of a thread, one spare',
    'restart of a thread, no spare',
    'restart of a process',
    'hang of a thread',
    'hang of a process',
  ],
  durable: ['always', 'everysec'].flatMap((fsync) => [
    `append, 1 event a frame, ${fsync}`,
    `append, 100 events a frame, ${fsync}`,
    `consume and commit, 100 events a frame, ${fsync}`,
    `writer, single events, ${fsync}`,
  ]),
  pipeline: [
    'time to ready, first start',
    'time to ready, later start',
    'RSS',
    'stored, fsynced, single',
    'stored, fsynced, 100-event',
    'answered without work',
    'CPU, fsynced, single',
    ...[0, 10, 50, 80].flatMap((load) => ['p50', 'p99'].map((p) => `POST to webhook, ${load} % load, ${p}`)),
  ],
  ingest: [
    'JSON.parse alone, JSON, 1 a request',
    'answered without work, JSON, 1 a request',
    'answer at 70 %, fsynced, JSON, 1 a request, p99',
    ...[
      'JSON, 1 a request',
      ...[10, 100, 1_000].map((size) => `JSON array, ${size} a request`),
      'NDJSON, 100 a request',
      'gzip array, 100 a request',
      'syslog line, 1 a request',
      'syslog lines, 100 a request',
      'WebSocket, 1 a message',
      'WebSocket, 100 a message',
    ].flatMap((shape) => [`stored, fsynced, ${shape}`, `CPU, fsynced, ${shape}`]),
    'stored beside matching, fsynced, JSON array, 100 a request',
  ],
  audit: ['ignored', 'one alert'].flatMap((shape) =>
    ['1 connection', '2 connections'].flatMap((connections) =>
      ['first', 'all again', 'half again', 'COPY', 'COPY without indexes'].map(
        (way) => `${way}, ${shape}, ${connections}`,
      ),
    ),
  ),
  soak: ['soak, events stored'],
  control: [
    'change to every worker, 1 match threads',
    'change to every worker, 2 match threads',
    'API, one setting, idle',
    'API, a change, idle',
    'API, ledger, ingest at 70 %',
    'ingest at 70 %, API idle',
    'ingest at 70 %, API at 50 requests/s',
  ],
  rules: [
    ...['10 rules', '1,000 rules'].flatMap((of) => [
      `set built, ${of}`,
      `set applied by a thread, ${of}`,
      `match, ${of}`,
      `decode, normalise, match, decide, ${of}`,
      `a plain includes/RegExp loop, ${of}`,
      `modern-ahocorasick, then RegExp, ${of}`,
      `@monyone/aho-corasick, then RegExp, ${of}`,
    ]),
    'cost of an event, 1,000 rules over 10',
    'traps, 1,000 OIDs',
    '64 KiB: 1,000 literals, each a suffix of the next',
    '64 KiB: 500 expressions that nothing narrows',
  ],
  'whole-way': ['whole way, 100 rules', 'rule change to every worker, 200 rules'],
  deliver: [1, 8, 64].flatMap((concurrency) => [
    `deliveries, ${concurrency} at once`,
    `CPU of a delivery, ${concurrency} at once`,
  ]),
  remediation: ['remediation, dead letters delivered'],
  latency: [
    'a stored request',
    ...[1, 100, 1_000].map((events) => `a committed frame of ${events}, per event`),
    'a delivery',
  ],
} satisfies Record<string, string[]>;
export type BenchName = keyof typeof ROWS;

const WITHOUT_CORPUS: ReadonlySet<BenchName> = new Set<BenchName>(['runtime', 'latency', 'remediation']);
/** Of the others, always the same: figures are compared by it. */
const CORPUS =
  'corpus: seed 20261121, sha256 960080fa418c48d2e5daca8927409a6a26b68be4971ada11864853828701c83f';

export function runBench(...args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.on('close', (code) => resolve({ code, output }));
  });
}

export function describeBenches(names: readonly BenchName[]): void {
  describe('npm run bench', function () {
    this.timeout(TIMEOUT_MS);

    /** All at once: nothing here is judged by its time. */
    const runs = new Map<string, { file: string; ended: ReturnType<typeof runBench> }>();

    before(() => {
      for (const name of names) {
        const file = join(specDirectory(`bench-${name}`), 'report.json');
        runs.set(name, { file, ended: runBench(name, '--json', file) });
      }
    });

    for (const name of names) {
      it(`runs ${name} with small values and reports every row as a number`, async () => {
        const { file, ended } = runs.get(name) as { file: string; ended: ReturnType<typeof runBench> };
        const { code, output } = await ended;
        expect(code, output).to.equal(0);
        const [report] = JSON.parse(readFileSync(file, 'utf8')) as Report[];
        expect(report).to.include({ bench: name, full: false });
        if (!WITHOUT_CORPUS.has(name)) expect(report?.notes.join()).to.contain(CORPUS);
        for (const what of ROWS[name]) {
          const found = report?.rows.find((row) => row.what.includes(what));
          expect(found, `${what} in ${output}`).to.exist;
          expect(found?.value, what).to.be.finite.and.above(0);
        }
        if (name === 'ingest') {
          const bare = report?.rows.filter(({ baseline }) => baseline !== undefined);
          expect(bare).to.have.length(2);
        }
        if (name === 'pipeline') {
          const cpu = report?.rows.find(({ what }) => what.startsWith('CPU, fsynced, single'));
          expect(cpu?.details).to.include.keys('gateway/main', 'gateway/ingest', 'supervisor/match');
          const way = report?.rows.find(({ what }) => what === 'POST to webhook, 50 % load, p50');
          expect(way?.details).to.include.keys(
            ...STAGES.map((stage) => `${stage.replaceAll('_', ' ')} p50 ms up to`),
          );
        }
      });
    }
  });
}
