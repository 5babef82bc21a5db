/**
 * The way of traps that the how-to page shows, under the snmptrapd of the archive: `snmptrap` sends version 1 and 2c, the node
 * is killed and started again in between, and every trap must have been decided upon. How many came twice is printed.
 */
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { libraryPathOf } from '../../supervisors/embedded/unpack-packages.ts';
import { SNMPTRAPD_CONFIGURATION, trapProgram } from '../docs/relay-configurations.ts';
import { queryNode } from '../product/node-database.ts';
import { freePorts } from '../support/free-port.ts';
import { NodeUnderTest, processesOf, until } from '../support/node-under-test.ts';
import { specDirectory } from '../support/servers.ts';
import { unpacked } from './relay-bed.ts';

const TRAPS = 600;
const SENDERS = 4;
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

describe('snmptrapd as the how-to page starts it', function () {
  this.timeout(300_000);

  it('loses no trap while the node is killed and started again', async () => {
    const packages = ['snmptrapd', 'snmp', 'libsnmp-base'];
    const root = await unpacked({ packages, program: 'snmptrapd' });
    const dir = specDirectory('traps');
    const stateDir = join(dir, 'state');
    mkdirSync(stateDir);
    const env = {
      ...process.env,
      LD_LIBRARY_PATH: libraryPathOf(root),
      SNMP_PERSISTENT_DIR: stateDir,
      SNMPCONFPATH: stateDir,
    };
    const node = await NodeUnderTest.start({ MUTT_AUDIT_UNMATCHED: 'all' });
    const [inputPort] = (await freePorts(1)) as [number];
    const configurationFile = join(dir, 'snmptrapd.conf');
    const keyFile = join(dir, 'relay.key');
    const programFile = join(dir, 'mutt-traps');
    writeFileSync(configurationFile, SNMPTRAPD_CONFIGURATION);
    writeFileSync(keyFile, node.ingestKey, { mode: 0o600 });
    const program = trapProgram({
      host: '127.0.0.1',
      port: node.ports.ingest,
      inputPort,
      configurationFile,
      keyFile,
      mutt: `${process.execPath} ${fileURLToPath(new URL('../../supervisors/bootstrap.mjs', import.meta.url))}`,
      snmptrapd: join(root, 'usr/sbin/snmptrapd'),
    });
    writeFileSync(programFile, program);
    chmodSync(programFile, 0o755);

    let said = '';
    const child = spawn(programFile, { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-5_000)));
    }

    const send = async (index: number): Promise<void> => {
      const peer = `127.0.0.1:${inputPort}`;
      const varbind = [TEXT_OID, 's', textOf(index)];
      const what =
        index % 2 === 0
          ? ['-v', '2c', '-c', 'public', peer, '', LINK_DOWN, ...varbind]
          : ['-v', '1', '-c', 'public', peer, ENTERPRISE, AGENT, '6', '17', '', ...varbind];
      await run(join(root, 'usr/bin/snmptrap'), ['-m', '', ...what], { env });
    };
    /** How often each trap has been decided upon. */
    const arrivals = async (): Promise<Map<string, number>> => {
      const counts = new Map<string, number>();
      const rows = await queryNode<{ raw: string }>(
        node.dir,
        `SELECT raw_message AS raw FROM event_audit_log WHERE raw_message LIKE '%of the check says%'`,
        [],
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
    };

    try {
      // What is sent before snmptrapd listens is lost: nobody could know of it.
      await until(
        async () => {
          if (child.exitCode !== null) throw new Error(`it has ended:\n${said}`);
          return isBound(inputPort);
        },
        30_000,
        () => `snmptrapd does not listen:\n${said}`,
      );
      let next = 0;
      const sending = Promise.all(
        Array.from({ length: SENDERS }, async () => {
          while (next < TRAPS) await send(next++);
        }),
      );
      let before = 0;
      await until(
        async () => (before = (await node.ledger()).accepted) > TRAPS / 10,
        30_000,
        () => `nothing arrives:\n${said}`,
      );
      node.kill('SIGKILL');
      await node.exited();
      await sending;
      await delay(OUTAGE_MS);
      const startedAtMs = performance.now();
      await node.start();

      const wanted = Array.from({ length: TRAPS }, (_, index) => textOf(index));
      let counts = new Map<string, number>();
      await until(
        async () => {
          counts = await arrivals();
          return counts.size >= TRAPS;
        },
        ARRIVAL_TIMEOUT_MS,
        () => `traps are missing: of ${TRAPS}, ${counts.size} were found:\n${said}`,
      );
      const seconds = (performance.now() - startedAtMs) / 1_000;
      await node.settled();
      counts = await arrivals();
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      console.log(
        `      snmptrapd: ${counts.size} of ${TRAPS} traps, ${total - counts.size} duplicates; ` +
          `${before} were stored before the kill, the rest within ${seconds.toFixed(1)} s of the restart`,
      );
      // So that there was something to lose.
      expect(before).to.be.below(TRAPS);
      expect([...counts.keys()].sort()).to.deep.equal([...wanted].sort());
      expect((await node.ledger()).rejected).to.equal(0);
    } finally {
      for (const pid of processesOf(dir)) process.kill(pid, 'SIGTERM');
      await until(
        async () => processesOf(dir).length === 0,
        15_000,
        () => 'snmptrapd or mutt does not end',
      );
      await node.close();
    }
  });
});

/** Whether anybody has the UDP port. */
function isBound(port: number): boolean {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  return readFileSync('/proc/net/udp', 'utf8')
    .split('\n')
    .some((line) => line.split(' rem')[0]?.includes(wanted) === true);
}
