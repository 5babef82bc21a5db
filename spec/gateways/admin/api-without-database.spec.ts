/**
 * The API of a real node whose PostgreSQL is away: what needs it says so and that it passes, what does not goes on, and
 * nothing is half changed.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { PrivateServer } from '../../../supervisors/embedded/private-server.ts';
import { NodeUnderTest, until } from '../../support/node-under-test.ts';
import { specDirectory, startOwnPostgres } from '../../support/servers.ts';
import { ApiUnderTest } from './api-under-test.ts';
import type { ApiReply } from './api-under-test.ts';
import { DESTINATION, GOOD_CALLS, RULE } from './good-calls.ts';

const TIMEOUT_MS = 120_000;
const WAIT_MS = 60_000;
/** What the supervisor or this process knows by itself. */
const WITHOUT_DATABASE = [
  'getMetrics',
  'getHealth',
  'getStatus',
  'getVersion',
  'getRates',
  'getSlo',
  'getEffectiveSettings',
  'getActors',
  'getActor',
  'suspendActor',
  'inspectActor',
  'resumeActor',
  'getLedger',
  'getPartition',
  'listPartitions',
  'listRecentAlerts',
  'getOpenApi',
  'getRuleFileSchema',
];

describe('The API of a node whose PostgreSQL is away', function () {
  this.timeout(TIMEOUT_MS);
  let postgres: PrivateServer;
  let node: NodeUnderTest;
  let api: ApiUnderTest;
  const dir = specDirectory('away');

  before(async () => {
    postgres = await startOwnPostgres({ dir });
    node = await NodeUnderTest.start({ DATABASE_URL: postgres.url });
    api = await ApiUnderTest.of(node);
    // The figures that PostgreSQL has for the ledger are remembered.
    await api.call('getLedger');
    await postgres.stop();
  });
  after(async () => {
    await node.close();
    await postgres.stop();
  });

  const bodies: Record<string, unknown> = {
    createRule: RULE,
    replaceRule: RULE,
    putDestination: DESTINATION,
    applyRuleSet: { development_hosts: ['away'] },
    checkRuleSet: { rules: [{ ...RULE, clears: 1 }] },
    addDevHost: { hostname: 'away' },
    putTeam: { team: 'AWAY' },
    putSetting: { value: 1_234 },
    resubmitFailures: { ids: ['away'] },
    discardFailures: { ids: ['away'] },
    replayDeadLetters: { ids: ['away'] },
    adoptFailures: { store: 'away' },
    pauseDestination: { reason: 'away' },
    muteDestination: { reason: 'away' },
    createKey: { name: 'away', scopes: ['read'] },
    testRules: { line: '<13>May  1 12:00:00 away test: link down' },
    backtestRules: {},
  };
  const params = {
    id: 1,
    hostname: 'away',
    name: 'away',
    key: 'match.batch.eventsMax',
    n: 0,
    fingerprint: '0123456789abcdef',
  };
  const call = (operationId: string): Promise<ApiReply> => {
    const body = bodies[operationId];
    const actor = operationId === 'getActor' ? 'match-0' : 'match-0/match';
    const named = operationId.endsWith('Actor') ? { id: actor } : params;
    const headers = operationId === 'putTeam' ? {} : { 'if-match': '*' };
    return api.call(operationId, { params: named, headers, ...(body === undefined ? {} : { body }) });
  };

  for (const operationId of new Set(GOOD_CALLS.map((good) => good.operationId))) {
    if (['sendToSink', 'restartActor'].includes(operationId)) continue;
    const isServed = WITHOUT_DATABASE.includes(operationId);
    it(`${operationId} ${isServed ? 'is answered' : 'says that it passes, with 503'}`, async () => {
      const reply = await call(operationId);
      if (isServed) expect(reply.status, reply.text).to.equal(200);
      else {
        expect(reply.status, reply.text).to.equal(503);
        expect(reply.body['code']).to.equal('E_DATABASE_AWAY');
        expect(reply.text).to.not.match(/postgres:\/\/|password/);
      }
    });
  }

  it('keeps taking events and keys, and answers again when it is back', async () => {
    const event = JSON.stringify({ hostname: 'h', message: 'm', timestamp: new Date().toISOString() });
    expect((await node.post(event)).status).to.equal(200);
    const matching = async (): Promise<string[]> => {
      const partitions = (await call('listPartitions')).body['items'] as {
        paused: { reason: string; detail: string } | null;
        eta_seconds: number | null;
        mailboxes: { depth: number }[];
      }[];
      return partitions
        .filter(({ paused, mailboxes }) => paused !== null || mailboxes.some(({ depth }) => depth > 0))
        .map(({ paused, eta_seconds }) => `${paused?.reason} ${paused?.detail} ${eta_seconds}`);
    };
    let paused: string[] = [];
    await until(
      async () => (paused = await matching())[0]?.startsWith('database_away PostgreSQL is away') === true,
      WAIT_MS,
      () => `the partition does not say what it waits for: ${paused.join()}`,
    );
    expect(paused).to.have.length(1);
    expect(paused[0]).to.match(/ null$/);
    postgres = await startOwnPostgres({ dir, port: Number(new URL(postgres.url).port) });
    await until(
      async () => (await call('listTeams')).status === 200,
      WAIT_MS,
      () => 'it does not come back',
    );
    await until(
      async () => (paused = await matching()).length === 0,
      WAIT_MS,
      () => `the partition still waits: ${paused.join()}`,
    );
    const teams = await api.call('listTeams');
    expect(teams.text).to.not.include('AWAY');
    expect((await api.call('listDevHosts')).text).to.not.include('away');
    expect((await api.call('getSetting', { params })).body['source']).to.equal('default');
    expect((await api.call('verifyConfigAudit')).body['intact']).to.equal(true);
  });
});
