/**
 * The gateway process as the supervisor runs it: a real process with real stores, started, used and stopped.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { startGateway } from './gateway-under-test.ts';

const STOP_MS = 30_000;

describe('the gateway process', function () {
  this.timeout(90_000);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase();
  });
  after(() => database.drop());

  it('ends as asked, with everything it acknowledged in its witness', async () => {
    const { port, keys, params, child, heard } = await startGateway(database.url);
    try {
      const body = Array.from({ length: 7 }, (_, n) =>
        JSON.stringify({ hostname: 'fw-01', message: `m${n}`, timestamp: new Date().toISOString() }),
      ).join('\n');
      // The second is a resend: answered the same, and stored once.
      for (const _ of [1, 2]) {
        const reply = await fetch(`http://127.0.0.1:${port}/api/v2/ingest`, {
          method: 'POST',
          headers: { 'x-api-key': keys['relay'] ?? '', 'idempotency-key': 'k-1' },
          body,
        });
        expect(await reply.json()).to.include({ accepted: 7 });
      }
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
