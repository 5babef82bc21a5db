/**
 * The relay configurations of the how-to pages, as they are generated, under the relays that Debian has: lines go in by
 * syslog, the node is killed and started again in between, and every line must have been decided upon. How many came
 * twice is printed.
 *
 * The relays are unpacked from the distribution's archive and not installed. Without the archive these specs fail: a
 * check that was asked for is not left out. Debian has no omhttp, Fluent Bit, Vector or Collector, so those
 * configurations are not run here.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { libraryPathOf } from '../../supervisors/embedded/unpack-packages.ts';
import {
  KEY_VARIABLE,
  RSYSLOG_PROGRAM,
  rsyslogProgramConfiguration,
  syslogNgConfiguration,
} from '../docs/relay-configurations.ts';
import type { Places } from '../docs/relay-configurations.ts';
import { freePorts } from '../../supervisors/embedded/free-ports.ts';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { specDirectory } from '../support/servers.ts';
import { endChild, unpacked } from './relay-bed.ts';

const LINES = 1_000;
const LINES_AT_ONCE = 20;
/** So that the relay sends its first events before it has taken the last: 2 s for all lines. */
const PAUSE_MS = 40;
const OUTAGE_MS = 3_000;
const ARRIVAL_TIMEOUT_MS = 180_000;
const HOST = 'relay-under-test.example';
const PAGE_SIZE = 100;
const SEVERITY = 6;

interface Relay {
  name: string;
  packages: string[];
  program: string;
  configuration: (places: Places) => string;
  /** Arguments of the program, and what its environment has besides. */
  start: (root: string, configurationFile: string, dir: string) => string[];
  libraries: (root: string) => string[];
}

const RELAYS: Relay[] = [
  {
    name: 'rsyslog with omprog',
    packages: ['rsyslog'],
    program: 'rsyslogd',
    configuration: rsyslogProgramConfiguration,
    start: (root, file, dir) => {
      const modules = libraryPathOf(root)
        .split(':')
        .map((path) => join(path, 'rsyslog'));
      return ['-n', '-i', join(dir, 'pid'), '-M', modules.join(':'), '-f', file];
    },
    libraries: () => [],
  },
  {
    name: 'syslog-ng with http()',
    packages: ['syslog-ng-core', 'syslog-ng-mod-http'],
    program: 'syslog-ng',
    configuration: syslogNgConfiguration,
    start: (root, file, dir) => {
      const base = join(root, 'usr/lib/syslog-ng');
      const modules = readdirSync(base).filter((name) => /^\d/.test(name));
      return [
        ...[
          '-F',
          '--no-caps',
          '-f',
          file,
          '--module-path',
          modules.map((name) => join(base, name)).join(':'),
        ],
        ...['--persist-file', join(dir, 'persist'), '--control', join(dir, 'ctl')],
        ...['--pidfile', join(dir, 'pid')],
      ];
    },
    libraries: (root) => [join(root, 'usr/lib/syslog-ng')],
  },
];

const textOf = (index: number): string => `line ${index} of the relay check says "C:\\temp" and ünïcode`;

/** As RFC 3164 has it, in local time: `Jun  4 09:03:01`. */
function syslogTime(time: Date): string {
  const [, month = '', , , clock = ''] = time.toString().split(' ');
  return `${month} ${String(time.getDate()).padStart(2)} ${clock}`;
}

/** All lines, in small writes. */
async function sendLines(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  // What a relay that dies has not taken shows as lines that are missing.
  socket.on('error', () => undefined);
  for (let index = 0; index < LINES; index += LINES_AT_ONCE) {
    const lines = Array.from({ length: LINES_AT_ONCE }, (_, offset) => {
      return `<${16 * 8 + SEVERITY}>${syslogTime(new Date())} ${HOST} relaycheck[4711]: ${textOf(index + offset)}\n`;
    });
    socket.write(lines.join(''));
    await delay(PAUSE_MS);
  }
  if (socket.destroyed) return;
  socket.end();
  await once(socket, 'close');
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** How often each line has been decided upon. */
async function arrivals(node: NodeUnderTest): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  let cursor: string | null = null;
  do {
    const at: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { body } = await node.admin<{
      items: { raw_message: string; severity: number | null }[];
      next: string | null;
    }>(`/api/v2/audit-logs?hostname=${HOST}&limit=${PAGE_SIZE}${at}`);
    for (const { raw_message: raw, severity } of body.items) {
      expect(severity).to.equal(SEVERITY);
      const { message } = JSON.parse(raw) as { message: string };
      counts.set(message, (counts.get(message) ?? 0) + 1);
    }
    cursor = body.next;
  } while (cursor !== null);
  return counts;
}

describe('the relay configurations of the how-to pages', function () {
  this.timeout(420_000);

  for (const relay of RELAYS) {
    it(`lose no line under ${relay.name} while the node is killed and started again`, async () => {
      const root = await unpacked(relay);
      const dir = specDirectory('relay');
      const stateDir = join(dir, 'state');
      mkdirSync(stateDir);
      const node = await NodeUnderTest.start({ MUTT_AUDIT_UNMATCHED: 'all' });
      const [inputPort] = (await freePorts(1)) as [number];
      const places: Places = {
        host: '127.0.0.1',
        port: node.ports.ingest,
        inputPort,
        stateDir,
        headerFile: join(dir, 'relay.header'),
        programFile: join(dir, 'mutt-omprog'),
      };
      writeFileSync(places.headerFile, `X-API-KEY: ${node.ingestKey}\n`, { mode: 0o600 });
      writeFileSync(places.programFile, RSYSLOG_PROGRAM);
      chmodSync(places.programFile, 0o755);
      const file = join(dir, 'relay.conf');
      writeFileSync(file, relay.configuration(places));

      let said = '';
      const child = spawn(join(root, 'usr/sbin', relay.program), relay.start(root, file, dir), {
        cwd: dir,
        env: {
          ...process.env,
          LD_LIBRARY_PATH: [libraryPathOf(root), ...relay.libraries(root)].join(':'),
          [KEY_VARIABLE]: node.ingestKey,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-5_000)));
      }
      try {
        await until(
          async () => {
            if (child.exitCode !== null) throw new Error(`${relay.program} has ended:\n${said}`);
            return isListening(inputPort);
          },
          20_000,
          () => `${relay.program} does not listen:\n${said}`,
        );
        let before = 0;
        const sending = sendLines(inputPort);
        await until(
          async () => (before = (await node.ledger()).accepted) > 0,
          30_000,
          () => `nothing arrives:\n${said}`,
        );
        node.kill('SIGKILL');
        await node.exited();
        await sending;
        await delay(OUTAGE_MS);
        const startedAtMs = performance.now();
        await node.start();

        const wanted = Array.from({ length: LINES }, (_, index) => textOf(index));
        let counts = new Map<string, number>();
        let accepted = 0;
        await until(
          async () => {
            ({ accepted } = await node.ledger());
            if (accepted < LINES) return false;
            counts = await arrivals(node);
            return wanted.every((text) => counts.has(text));
          },
          ARRIVAL_TIMEOUT_MS,
          () => `lines are missing: of ${LINES}, ${accepted} were stored and ${counts.size} found:\n${said}`,
        );
        const seconds = (performance.now() - startedAtMs) / 1_000;
        await node.settled();
        counts = await arrivals(node);
        const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
        console.log(
          `      ${relay.name}: ${counts.size} of ${LINES} lines, ${total - counts.size} duplicates; ` +
            `${before} were stored before the kill, the rest within ${seconds.toFixed(1)} s of the restart`,
        );
        // So that there was something to lose.
        expect(before).to.be.below(LINES);
        expect([...counts.keys()].sort()).to.deep.equal([...wanted].sort());
        expect((await node.ledger()).rejected).to.equal(0);
      } finally {
        await endChild(child);
        await node.close();
      }
    });
  }
});
