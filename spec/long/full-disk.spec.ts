/**
 * A disk that becomes really full under a running node: under Redis, under PostgreSQL, and under everything it keeps
 * (both stores, the witness, the rule set, the log). Nothing answered may be lost, and with room again all must heal.
 *
 * The node runs on small disks that `spec/support/small-disk.ts` finds a way to, as root and as an ordinary user.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { diskWay, smallDiskCommand } from '../support/small-disk.ts';
import { specDirectory } from '../support/servers.ts';
import type { FullDiskResult, FullDiskRow, Place } from '../product/full-disk-run.ts';

const TIMEOUT_MS = 240_000;
/** A node refuses to start with less than 128 MiB; a new PostgreSQL takes about 60 of them. */
const DISK_BYTES = 256 * 1024 ** 2;
const PROGRAM = fileURLToPath(new URL('../product/full-disk-run.ts', import.meta.url));

async function run(): Promise<FullDiskResult> {
  const base = specDirectory('full-disk');
  const [probe = '', ...disks] = ['probe', 'redis', 'postgres', 'whole'].map((name) => {
    const directory = join(base, name);
    mkdirSync(directory);
    // The servers may run as other users.
    chmodSync(directory, 0o755);
    return directory;
  });
  const way = diskWay(probe);
  const [file = '', ...args] = [
    ...smallDiskCommand(way, disks, DISK_BYTES),
    process.execPath,
    PROGRAM,
    way,
    ...disks,
  ];
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let complaints = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString('utf8')));
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the run ended with ${String(code)}:\n${output}${complaints}`);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as FullDiskResult;
}

describe('A node whose disk becomes full under traffic', function () {
  this.timeout(TIMEOUT_MS);
  let result: FullDiskResult;

  before(async () => {
    result = await run();
    console.log(`      by the way "${result.way}"`);
    for (const row of result.rows) console.log(`      ${JSON.stringify(row)}`);
  });

  const row = (place: Place): FullDiskRow => {
    const found = result.rows.find((each) => each.place === place);
    if (found === undefined) throw new Error(`no row for ${place}`);
    return found;
  };

  for (const place of ['redis', 'everything'] as const) {
    it(`refuses with 503, Retry-After and a code while the disk is full under ${place}`, () => {
      const { refusals } = row(place);
      expect(Object.keys(refusals)).to.include('E_STORE_AWAY');
    });
  }

  it('goes on taking events while only the disk of PostgreSQL is full', () => {
    expect(row('postgres').answeredWhileFull).to.be.at.least(500);
  });

  it('says of a store that ends or cannot start that its disk is full', () => {
    const reasons = result.rows.flatMap(({ ends }) => Object.values(ends).map(({ reason }) => reason));
    for (const reason of reasons) expect(reason).to.include('E_DISK_FULL');
    expect(reasons).to.have.lengthOf(4);
  });

  it('loses no part but the stores, which are started again until there is room', () => {
    for (const { place, restarted, counted, recoveryMs } of result.rows) {
      expect({ restarted, counted }, place).to.deep.equal({ restarted: [], counted: 0 });
      expect(recoveryMs, place).to.be.a('number');
    }
  });

  it('has stored every answered event exactly once, brought every alert, and the ledger balances', () => {
    for (const { wrong, balanced, lost, doubled, answered } of result.runs) {
      expect({ wrong, balanced, lost, doubled }).to.deep.equal({
        wrong: [],
        balanced: true,
        lost: 0,
        doubled: 0,
      });
      expect(answered).to.be.above(1_000);
    }
  });
});
