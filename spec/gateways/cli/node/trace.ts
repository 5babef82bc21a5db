import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { EventLineageDocument, LineageDocument } from '../../../../gateways/admin/lineage-documents.ts';
import type { EventAuditDocument } from '../../../../gateways/cli/admin-documents.ts';
import { until } from '../../../support/node-under-test.ts';
import type { CliRun } from '../cli-run.ts';
import { cliFor, json, LINK_DOWN } from './bed.ts';
import type { GivenNode } from './bed.ts';

const HOST = 'trace-rtr-01';
const REQUEST = 'trace-request-1';

export function describeTrace(node: GivenNode): void {
  describe('mutt trace', () => {
    let cli: CliRun;

    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(() => cli.close());

    async function traced(id: string, exitCode = 0): Promise<LineageDocument> {
      cli.out = '';
      expect(await cli.run('trace', id, '--json'), cli.err).to.equal(exitCode);
      return json<LineageDocument>(cli);
    }
    async function decided(): Promise<EventAuditDocument | undefined> {
      cli.out = '';
      expect(await cli.run('audit', 'events', '--json', '--host', HOST), cli.err).to.equal(0);
      return json<EventAuditDocument[]>(cli)[0];
    }

    it('shows an event from its sender to the receipt of its destination, by each of its ids', async () => {
      const event = {
        hostname: HOST,
        message: LINK_DOWN,
        timestamp: new Date().toISOString(),
        program: 'kernel',
      };
      const headers = { 'x-correlation-id': REQUEST, 'user-agent': 'Vector/0.40.0' };
      expect((await node().post(JSON.stringify(event), headers)).status).to.equal(200);
      let id = '';
      let way: LineageDocument | undefined;
      await until(
        async () => {
          id ||= (await decided())?.event_id ?? '';
          if (id === '') return false;
          way = await traced(id);
          return (
            way.state === 'forwarded' && way.event?.alerts.every(({ receipt }) => receipt !== null) === true
          );
        },
        30_000,
        () => `it is not forwarded: ${JSON.stringify(way)}`,
      );
      const { sender, normalized, matches, alerts, correlation_id } = way?.event as EventLineageDocument;
      expect(sender).to.deep.equal({
        api_key: 'ingest',
        address: '127.0.0.1',
        program: 'vector',
        protocol: 'http',
      });
      expect(normalized).to.include({ hostname: HOST, message: LINK_DOWN, program: 'kernel' });
      expect(matches[0]).to.include({ rule_id: 5, handling: 'Page_and_ticket' });
      expect(correlation_id).to.equal(REQUEST);
      expect(alerts[0]?.receipt).to.include({ status: 200, attempts: 1 });
      for (const [other, kind] of [
        [alerts[0]?.alert_id ?? '', 'alert'],
        [REQUEST, 'correlation_id'],
      ]) {
        const same = await traced(other ?? '');
        expect(same).to.include({ kind, state: 'forwarded' });
        expect(same.event).to.deep.equal(way?.event);
      }

      cli.out = '';
      expect(await cli.run('trace', id), cli.err).to.equal(0);
      const lines = cli.out.split('\n');
      expect(lines[0]).to.equal(`event ${id}  forwarded`);
      expect(lines[1]).to.match(/^It was decided as Page_and_ticket, and taken by /);
      expect(cli.out)
        .to.match(/\n\S+Z {2}received +\S+, partition \d, request trace-request-1\n/)
        .and.to.match(/\n +from +127\.0\.0\.1 by vector, http, API key ingest\n/)
        .and.to.match(/\n +read as +hostname trace-rtr-01, /)
        .and.to.match(/\n +matched +#5 .*v\d+: Page_and_ticket\n/)
        .and.to.match(/\n\S+Z {2}delivered +\S+, alert [0-9a-f]{32}: HTTP 200 after 1 attempt\n/);
    }).timeout(60_000);

    it('tells the socket, and an event that was not kept from one that is unknown', async () => {
      const event = JSON.stringify({
        hostname: 'trace-2',
        message: LINK_DOWN,
        timestamp: new Date().toISOString(),
      });
      expect(await cli.run('send', '--ws', cli.file('e.ndjson', `${event}\n`)), cli.err).to.equal(0);
      let found: EventAuditDocument | undefined;
      await until(
        async () => {
          cli.out = '';
          await cli.run('audit', 'events', '--json', '--host', 'trace-2');
          [found] = json<EventAuditDocument[]>(cli);
          return found !== undefined;
        },
        30_000,
        () => 'it is not decided',
      );
      const way = await traced(found?.event_id ?? '');
      expect(way.event?.sender).to.include({ address: '127.0.0.1', protocol: 'websocket' });

      const made = `${(found?.event_id ?? '').slice(0, 24)}${'0'.repeat(12)}-0`;
      expect(await traced(made)).to.include({ state: 'not_kept' });
      expect(await traced('nothing-of-this-name', 1)).to.include({ state: 'unknown' });
      cli.out = '';
      expect(await cli.run('trace', 'nothing-of-this-name')).to.equal(1);
      expect(cli.out).to.match(
        /^correlation id nothing-of-this-name {2}unknown\nNo decision and no reject has this id\./,
      );
      expect(await cli.run('trace', '../keys')).to.equal(2);
      expect(cli.err).to.contain('E_PARAMETER_INVALID');
    }).timeout(60_000);

    it('lists the events and rejects of a request', async () => {
      const lines = ['a', 'b'].map((host) =>
        JSON.stringify({
          hostname: `trace-${host}`,
          message: LINK_DOWN,
          timestamp: new Date().toISOString(),
        }),
      );
      const { body } = await node().post(`${lines.join('\n')}\n{"hostname":"trace-c"}\n`, {
        'x-correlation-id': 'trace-request-2',
      });
      expect(body).to.include({ accepted: 2, rejected: 1 });
      await until(
        async () => (await traced('trace-request-2')).events.length === 2,
        30_000,
        () => 'they are not decided',
      );
      cli.out = '';
      expect(await cli.run('trace', 'trace-request-2'), cli.err).to.equal(0);
      expect(cli.out)
        .to.contain('It is a request with 2 decided events and 1 reject.')
        .and.to.match(/\nreceived +event +host +decision\n/)
        .and.to.match(/\nreceived +reject +state +code +why\n\S+Z +\S+ +parked +E_FIELD_MISSING /);
    }).timeout(60_000);
  });
}
