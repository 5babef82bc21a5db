/**
 * The gateway process as the supervisor runs it: a real process with real stores, started, used and stopped.
 */
import { effectiveSettings } from '../../../actors/settings.ts';
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { ProcessSlot } from '../../../runtime/process/process-slot.ts';
import { CounterCollector } from '../../../runtime/shared/counters.ts';
import type { FromGateway, GatewayParams } from '../../../supervisors/gateway/gateway-process.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { WIDE, freshPrefix } from '../../runtime/durable/store-under-test.ts';
import { freePorts } from '../../support/free-port.ts';
import { specDirectory, specRedisUrl } from '../../support/servers.ts';

const ENTRY = fileURLToPath(new URL('../../../supervisors/gateway/gateway-process.ts', import.meta.url));
const STOP_MS = 30_000;

describe('the gateway process', function () {
  this.timeout(90_000);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase();
  });
  after(() => database.drop());

  it('ends as asked, with everything it acknowledged in its witness', async () => {
    const [port] = (await freePorts(1)) as [number];
    const key = randomBytes(32).toString('base64url');
    const pepper = randomBytes(32);
    const dir = specDirectory('gateway');
    const params: GatewayParams = {
      redisUrl: await specRedisUrl(),
      keyPrefix: freshPrefix(),
      databaseUrl: database.url,
      host: '127.0.0.1',
      port,
      version: 1,
      settings: effectiveSettings({}, {}),
      partitions: 2,
      bounds: WIDE,
      safety: { boundsBytes: 1 },
      keys: [
        {
          name: 'relay',
          scopes: ['ingest'],
          hmacSha256: createHmac('sha256', pepper).update(key).digest('hex'),
          expiresAt: null,
        },
      ],
      pepper: pepper.toString('hex'),
      witnessFile: join(dir, 'witness.json'),
      witnessed: [],
      hangAfterMs: 30_000,
      log: { level: 'error', file: join(dir, 'gateway.log') },
    };
    const heard: FromGateway[] = [];
    const slot = new ProcessSlot({
      id: 'gateway-0',
      entry: ENTRY,
      params: () => params,
      collector: new CounterCollector(),
      hangAfterMs: 30_000,
      startTimeoutMs: 60_000,
      onMessage: (payload) => heard.push(payload as FromGateway),
    });
    const child = await slot.start({ epoch: 1, previousExit: undefined });
    try {
      const reply = await fetch(`http://127.0.0.1:${port}/api/v2/ingest`, {
        method: 'POST',
        headers: { 'x-api-key': key },
        body: Array.from({ length: 7 }, (_, n) =>
          JSON.stringify({ hostname: 'fw-01', message: `m${n}`, timestamp: new Date().toISOString() }),
        ).join('\n'),
      });
      expect(await reply.json()).to.include({ accepted: 7 });
      expect(await child.stop(STOP_MS)).to.deep.equal({ kind: 'shutdown' });
      const { highest } = JSON.parse(readFileSync(params.witnessFile, 'utf8')) as {
        highest: Record<string, number>;
      };
      expect(Object.values(highest).reduce((sum, accepted) => sum + accepted, 0)).to.equal(7);
      expect(heard.filter(({ type }) => type === 'lost')).to.deep.equal([]);
    } finally {
      child.kill('the spec is over');
      await child.exited;
    }
  });
});
