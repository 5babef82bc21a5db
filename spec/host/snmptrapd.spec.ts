/**
 * The way of traps that the how-to page shows, under the snmptrapd of the archive: `snmptrap` sends version 1 and 2c, the node
 * is killed and started again in between, and every trap must have been decided upon. How many came twice is printed.
 */
import { execFile, spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { libraryPathOf } from '../../supervisors/embedded/unpack-packages.ts';
import {
  SNMPTRAPD_CONFIGURATION,
  trapHandleConfiguration,
  trapProgram,
} from '../docs/relay-configurations.ts';
import type { TrapPlaces } from '../docs/relay-configurations.ts';
import { queryNode } from '../product/node-database.ts';
import { freePorts } from '../../supervisors/embedded/free-ports.ts';
import { NodeUnderTest, processesOf, until } from '../support/node-under-test.ts';
import { specDirectory } from '../support/servers.ts';
import { unpacked } from './relay-bed.ts';

const TRAPS = 600;
const SENDERS = 4;
/** Where each of them costs the start of a process. */
const HANDLED_TRAPS = 6;
const OUTAGE_MS = 3_000;
const ARRIVAL_TIMEOUT_MS = 60_000;
const AGENT = '192.0.2.77';
const LINK_DOWN = '1.3.6.1.6.3.1.1.5.3';
const ENTERPRISE = '1.3.6.1.4.1.8072.2.3';
const TEXT_OID = '1.3.6.1.4.1.8072.2.1';

const run = promisify(execFile);
const textOf = (index: number): string => `trap ${index} of the check says "C:\\temp"\nand ünïcode`;

interface Found {
  hostname: string;
  source: string;
  trap_oid: string;
  source_ip: string;
  varbinds: { oid: string; value: unknown }[];
}

/** A node and an snmptrapd that sends to it. */
class TrapBed {
  readonly node: NodeUnderTest;
  readonly places: TrapPlaces;
  readonly dir = specDirectory('traps');
  readonly #root: string;
  readonly #env: NodeJS.ProcessEnv;
  said = '';

  private constructor(root: string, node: NodeUnderTest, inputPort: number) {
    this.#root = root;
    this.node = node;
    this.places = {
      host: '127.0.0.1',
      port: node.ports.ingest,
      inputPort,
      configurationFile: join(this.dir, 'snmptrapd.conf'),
      keyFile: join(this.dir, 'relay.key'),
      mutt: `${process.execPath} ${fileURLToPath(new URL('../../supervisors/bootstrap.mjs', import.meta.url))}`,
      snmptrapd: join(root, 'usr/sbin/snmptrapd'),
    };
    this.#env = {
      ...process.env,
      LD_LIBRARY_PATH: libraryPathOf(root),
      SNMP_PERSISTENT_DIR: this.dir,
      SNMPCONFPATH: this.dir,
    };
    writeFileSync(this.places.keyFile, node.ingestKey, { mode: 0o600 });
  }

  static async start(): Promise<TrapBed> {
    const root = await unpacked({ packages: ['snmptrapd', 'snmp', 'libsnmp-base'], program: 'snmptrapd' });
    const [inputPort] = (await freePorts(1)) as [number];
    return new TrapBed(root, await NodeUnderTest.start({ MUTT_AUDIT_UNMATCHED: 'all' }), inputPort);
  }

  /** What is sent before snmptrapd listens is lost: nobody could know of it. */
  async listen(configuration: string, program: string, args: string[] = []): Promise<void> {
    writeFileSync(this.places.configurationFile, configuration);
    const child = spawn(program, args, { cwd: this.dir, env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (this.said = (this.said + chunk.toString('utf8')).slice(-5_000)));
    }
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`it has ended:\n${this.said}`);
        return isBound(this.places.inputPort);
      },
      30_000,
      () => `snmptrapd does not listen:\n${this.said}`,
    );
  }

  async send(index: number): Promise<void> {
    const peer = `127.0.0.1:${this.places.inputPort}`;
    const varbind = [TEXT_OID, 's', textOf(index)];
    const what =
      index % 2 === 0
        ? ['-v', '2c', '-c', 'public', peer, '', LINK_DOWN, ...varbind]
        : ['-v', '1', '-c', 'public', peer, ENTERPRISE, AGENT, '6', '17', '', ...varbind];
    await run(join(this.#root, 'usr/bin/snmptrap'), ['-m', '', ...what], { env: this.#env });
  }

  /** How often each trap has been decided upon. */
  async arrivals(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const rows = await queryNode<{ raw: string }>(
      this.node.dir,
      `SELECT raw_message AS raw FROM event_audit_log WHERE raw_message LIKE '%of the check says%'`,
    );
    for (const { raw } of rows) {
      const event = JSON.parse(raw) as Found;
      const text = String(event.varbinds.find(({ oid }) => oid === TEXT_OID)?.value);
      const isVersion1 = Number(/\d+/.exec(text)) % 2 === 1;
      expect(event).to.include({
        source: 'snmp',
        trap_oid: isVersion1 ? `${ENTERPRISE}.0.17` : LINK_DOWN,
        source_ip: isVersion1 ? AGENT : '127.0.0.1',
      });
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    return counts;
  }

  async whenArrived(count: number): Promise<void> {
    let found = 0;
    await until(
      async () => (found = (await this.arrivals()).size) >= count,
      ARRIVAL_TIMEOUT_MS,
      () => `traps are missing: of ${count}, ${found} were found:\n${this.said}`,
    );
  }

  async close(): Promise<void> {
    for (const pid of processesOf(this.dir)) process.kill(pid, 'SIGTERM');
    await until(
      async () => processesOf(this.dir).length === 0,
      15_000,
      () => 'snmptrapd or mutt does not end',
    );
    await this.node.close();
  }
}

const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => textOf(index)).sort();

describe('snmptrapd as the how-to page starts it', function () {
  this.timeout(300_000);
  let bed: TrapBed;
  beforeEach(async () => {
    bed = await TrapBed.start();
  });
  afterEach(() => bed?.close());

  it('loses no trap while the node is killed and started again', async () => {
    const { node } = bed;
    const programFile = join(bed.dir, 'mutt-traps');
    writeFileSync(programFile, trapProgram(bed.places));
    chmodSync(programFile, 0o755);
    await bed.listen(SNMPTRAPD_CONFIGURATION, programFile);
    let next = 0;
    const sending = Promise.all(
      Array.from({ length: SENDERS }, async () => {
        while (next < TRAPS) await bed.send(next++);
      }),
    );
    let before = 0;
    await until(
      async () => (before = (await node.ledger()).accepted) > TRAPS / 10,
      30_000,
      () => `nothing arrives:\n${bed.said}`,
    );
    node.kill('SIGKILL');
    await node.exited();
    await sending;
    await delay(OUTAGE_MS);
    const startedAtMs = performance.now();
    await node.start();
    await bed.whenArrived(TRAPS);
    const seconds = (performance.now() - startedAtMs) / 1_000;
    await node.settled();
    const counts = await bed.arrivals();
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    console.log(
      `      snmptrapd: ${counts.size} of ${TRAPS} traps, ${total - counts.size} duplicates; ` +
        `${before} were stored before the kill, the rest within ${seconds.toFixed(1)} s of the restart`,
    );
    // So that there was something to lose.
    expect(before).to.be.below(TRAPS);
    expect([...counts.keys()].sort()).to.deep.equal(texts(TRAPS));
    expect((await node.ledger()).rejected).to.equal(0);
  });

  it('starts a process for each trap', async () => {
    const { snmptrapd, configurationFile, inputPort } = bed.places;
    const args = ['-f', '-Ln', '-C', '-c', configurationFile, '-m', '', `udp:127.0.0.1:${inputPort}`];
    await bed.listen(trapHandleConfiguration(bed.places), snmptrapd, args);
    for (let index = 0; index < HANDLED_TRAPS; index++) await bed.send(index);
    await bed.whenArrived(HANDLED_TRAPS);
    expect([...(await bed.arrivals()).keys()].sort()).to.deep.equal(texts(HANDLED_TRAPS));
  });
});

/** Whether anybody has the UDP port. */
function isBound(port: number): boolean {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  return readFileSync('/proc/net/udp', 'utf8')
    .split('\n')
    .some((line) => line.split(' rem')[0]?.includes(wanted) === true);
}
