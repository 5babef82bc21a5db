/**
 * The admin process as the supervisor runs it: a real process with real stores.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { effectiveSettings } from '../../../actors/settings.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { FromProcess, ToProcess } from '../../../runtime/process/protocol.ts';
import type { AdminParams } from '../../../supervisors/admin/admin-process.ts';
import { Calls } from '../../../runtime/calls.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { freshPrefix } from '../../runtime/durable/store-under-test.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { until } from '../../support/node-under-test.ts';
import { specDirectory, specRedisUrl } from '../../support/servers.ts';

const ENTRY = fileURLToPath(new URL('../../../supervisors/admin/admin-process.ts', import.meta.url));
const STOP_MS = 30_000;

describe('the admin process', function () {
  this.timeout(90_000);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase();
  });
  after(() => database.drop());

  /**
   * It hears no answer before its start is through: a question that the start waits for is waited for until it is given
   * up, and the node is ready that much later.
   */
  it('asks nothing before it is ready, and afterwards tells what it is answered', async () => {
    const [adminPort, healthPort] = (await freePorts(2)) as [number, number];
    const params: AdminParams = {
      redisUrl: await specRedisUrl(),
      keyPrefix: freshPrefix(),
      storeName: 'spec',
      databaseUrl: database.url,
      version: 1,
      settings: effectiveSettings({}, {}),
      destinations: [],
      keys: [],
      storedKeys: [],
      partitions: 2,
      bounds: { entriesMax: 1_000, bytesMax: 1_000_000 },
      safety: { ackLevel: 'written', boundsBytes: 1_000_000 },
      pepper: 'ab'.repeat(32),
      secretPlaces: { directory: '/nowhere', files: [] },
      addresses: { adminHost: '127.0.0.1', adminPort, healthHost: '127.0.0.1', healthPort },
      log: { level: 'error', file: join(specDirectory('admin'), 'admin.log') },
    };
    // Started by hand: a slot does not tell whether a message came before the process was ready.
    const child = fork(ENTRY, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    });
    const send = (message: ToProcess): boolean => child.send(message);
    const calls = new Calls((payload) => send({ type: 'message', payload }), systemClock, {
      readiness: () => ({ ready: true, reasons: [] }),
    });
    const seen: string[] = [];
    child.on('message', (message: FromProcess) => {
      const isCall = message.type === 'message' && calls.receive(message.payload);
      seen.push(isCall ? 'call' : message.type);
    });
    const exited = once(child, 'exit');
    try {
      send({
        type: 'start',
        slotId: 'admin',
        treePath: 'admin',
        epoch: 1,
        params,
        previousExit: undefined,
        beatEveryMs: 250,
      });
      await until(
        async () =>
          (await fetch(`http://127.0.0.1:${healthPort}/ready`).catch(() => undefined))?.status === 200,
        60_000,
        () => `it does not tell that the node is ready: ${seen.join(', ')}`,
      );
      expect(seen).to.include.members(['ready', 'call']);
      expect(seen.slice(0, seen.indexOf('ready'))).to.not.include('call');
      send({ type: 'stop', deadlineMs: STOP_MS });
      expect(await exited).to.deep.equal([0, null]);
    } finally {
      child.kill('SIGKILL');
      await exited;
    }
  });
});
