import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { CliRun } from '../cli-run.ts';
import { PagerDuty } from '../../../support/destinations/pagerduty.ts';
import { until } from '../../../support/node-under-test.ts';
import { adminUrlOf, cliFor, json, sendEvent } from './bed.ts';
import type { GivenNode } from './bed.ts';

const KEY = 'f00dfacef00dfacef00dfacef00dface';

export function describeDestinationEdit(node: GivenNode): void {
  describe('mutt destinations', () => {
    let cli: CliRun;
    let server: Server;
    let url: string;
    let seen: { headers: IncomingMessage['headers']; body: string }[];
    /** What the destination answers. */
    let answer: { status: number; body: string };

    beforeEach(async () => {
      cli = cliFor(node());
      seen = [];
      answer = { status: 200, body: 'fine' };
      server = createServer((request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          seen.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
          response.writeHead(answer.status).end(answer.body);
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
      const secrets = join(node().dir, 'secrets');
      mkdirSync(secrets, { recursive: true });
      writeFileSync(join(secrets, 'spec.key'), `${KEY}\n`);
    });
    afterEach(() => {
      cli.close();
      server.closeAllConnections();
      server.close();
    });
    const secretRef = (): string => `file:${join(node().dir, 'secrets', 'spec.key')}`;

    it('adds one that takes nothing, shows it as a file that can be added again, replaces and removes it', async () => {
      const file = cli.file(
        'noc.yaml',
        `kind: webhook\nurl: ${url}\nroutes: [{team: nobody-at-all}]\ntimeout_ms: 2000\n`,
      );
      expect(
        await cli.run('destinations', 'add', 'cli-noc', '--from', file, '--reason', 'spec'),
        cli.err,
      ).to.equal(0);
      expect(cli.out).to.contain('cli-noc is added').and.contain('mutt destinations test cli-noc');
      expect(await cli.run('destinations', 'add', 'cli-noc', '--from', file)).to.equal(1);
      cli.out = '';
      expect(await cli.run('destinations', 'show', 'cli-noc'), cli.err).to.equal(0);
      const shown = cli.file('shown.yaml', cli.out);
      expect(
        await cli.run(
          'destinations',
          'add',
          'cli-noc',
          '--from',
          shown,
          '--auth',
          'basic',
          '--secret-ref',
          'env:NOC',
          '--replace',
        ),
        cli.err,
      ).to.equal(0);
      cli.out = '';
      expect(await cli.run('destinations', 'show', 'cli-noc', '--json'), cli.err).to.equal(0);
      expect(json<object>(cli)).to.include({ kind: 'webhook', timeout_ms: 2_000, auth: 'basic', version: 2 });
      expect(await cli.run('destinations', 'remove', 'cli-noc'), cli.err).to.equal(0);
      expect(await cli.run('destinations', 'show', 'cli-noc')).to.equal(2);
    });

    it('refuses what cannot be used, and says what, why and how to mend it', async () => {
      const refused: [string[], RegExp][] = [
        [['--kind', 'pigeon', '--url', url], /kind.*moogsoft, moogsoft_cloud, pagerduty/],
        [['--kind', 'pagerduty'], /secret_ref is needed by pagerduty/],
        [['--kind', 'webhook', '--url', `${url}#x`], /fragment/],
        [
          ['--kind', 'webhook', '--url', url, '--secret-ref', 'file:/etc/passwd'],
          /directory of secrets.*secrets/,
        ],
        [
          ['--kind', 'webhook', '--url', url, '--secret-ref', `file:${join(node().dir, 'keys', 'pepper')}`],
          /directory of secrets/,
        ],
        [['--kind', 'webhook', '--url', url, '--secret-ref', 'env:DATABASE_URL'], /variable of the node/],
        [
          ['--kind', 'alertmanager', '--url', url, '--auth', 'auth_token', '--secret-ref', 'env:X'],
          /bearer, basic/,
        ],
        [['--kind', 'moogsoft', '--url', url, '--resolve-after', '1h'], /it is for alertmanager/],
        [
          ['--kind', 'webhook', '--url', url, '--template', cli.file('bad.liquid', '{"a":\n {{ hostnam }}}')],
          /template.*hostnam.*line:2/,
        ],
        [['--from', cli.file('no.yaml', '[1]')], /cannot be read: it is no document/],
      ];
      for (const [args, why] of refused) {
        cli.err = '';
        expect(await cli.run('destinations', 'add', 'cli-bad', ...args), args.join(' ')).to.be.above(0);
        expect(cli.err).to.match(why);
      }
      expect(await cli.run('destinations', 'show', 'cli-bad')).to.equal(2);
    });

    it('tests one that is there: shows what went and came, and never the credential', async () => {
      const how = ['--kind', 'webhook', '--url', url, '--secret-ref', secretRef()];
      expect(await cli.run('destinations', 'add', 'cli-test', ...how), cli.err).to.equal(0);
      cli.out = '';
      answer = { status: 201, body: `made, ${KEY}` };
      expect(await cli.run('destinations', 'test', 'cli-test'), cli.err).to.equal(0);
      expect(seen).to.have.length(1);
      expect(seen[0]?.headers.authorization).to.equal(`Bearer ${KEY}`);
      expect(JSON.parse(seen[0]?.body ?? '')).to.include({ status: 'firing', team: 'mutt-test' });
      expect(cli.out).to.contain(`POST ${url}`).and.contain('authorization: Bearer ***');
      expect(cli.out)
        .to.contain('Nothing is wrong; please ignore it')
        .and.contain('HTTP 201')
        .and.contain('made, ***');
      expect(cli.out).to.contain('delivered. The destination took the alert.');
      expect(await cli.run('destinations', 'test', 'cli-test', '--resolve'), cli.err).to.equal(0);
      expect(JSON.parse(seen[1]?.body ?? '')).to.include({ status: 'resolved' });
      answer = { status: 403, body: 'go away' };
      cli.out = '';
      expect(await cli.run('destinations', 'test', 'cli-test', '--json')).to.equal(1);
      expect(cli.out + cli.err).to.not.contain(KEY);
      expect(json<object>(cli)).to.deep.include({
        outcome: 'unauthorized',
        is_saved: true,
        answer: { status: 403, excerpt: 'go away' },
      });
      await cli.run('destinations', 'remove', 'cli-test');
    });

    it('tests one that is not there yet, and what nobody answers', async () => {
      const template = cli.file('body.liquid', '{"says": "{{ description }}", "level": {{ severity }}}');
      expect(
        await cli.run(
          'destinations',
          'test',
          'cli-new',
          '--kind',
          'webhook',
          '--url',
          url,
          '--template',
          template,
        ),
        cli.err,
      ).to.equal(0);
      expect(JSON.parse(seen[0]?.body ?? '')).to.include({ level: 5 });
      expect(await cli.run('destinations', 'test', 'cli-new')).to.equal(2);
      cli.out = '';
      expect(
        await cli.run('destinations', 'test', 'cli-new', '--kind', 'webhook', '--url', 'http://noc.invalid/'),
      ).to.equal(1);
      expect(cli.out)
        .to.contain('no answer that is HTTP')
        .and.match(/ENOTFOUND|EAI_AGAIN/);
      cli.out = '';
      const missing = `file:${join(node().dir, 'secrets', 'none')}`;
      expect(
        await cli.run(
          'destinations',
          'test',
          'cli-new',
          '--kind',
          'pagerduty',
          '--url',
          url,
          '--secret-ref',
          missing,
        ),
      ).to.equal(1);
      expect(cli.out).to.contain('Nothing was sent').and.contain('ENOENT');
      expect(seen).to.have.length(1);
    });

    it('adds one that real events open an incident at, once, and close it, however they are routed', async () => {
      const pagerduty = await PagerDuty.start();
      pagerduty.routingKeys = [KEY];
      const host = 'cli-pager-1';
      const rule = { prod_handling: 'Page_only', dev_handling: 'Ignore', team_assignment: 'CLI-PAGER' };
      const made: { id: number; version: number }[] = [];
      const make = async (fields: object): Promise<{ id: number; version: number }> => {
        const { body } = await node().admin<{ id: number; version: number }>('/api/v2/rules', {
          method: 'POST',
          body: { ...rule, ...fields },
        });
        made.push(body);
        return body;
      };
      try {
        const file = cli.file('pager.yaml', 'routes: [{team: CLI-PAGER, severity_at_most: 3}]\n');
        const how = ['--kind', 'pagerduty', '--url', pagerduty.url, '--secret-ref', secretRef()];
        expect(await cli.run('destinations', 'add', 'cli-pager', ...how, '--from', file), cli.err).to.equal(
          0,
        );
        const down = await make({ match_string: 'gizmo fell over', severity: 2, priority: 1 });
        // Of another team, and no severity that the route takes.
        await make({
          match_string: 'gizmo stands again',
          clears: down.id,
          priority: 1,
          team_assignment: 'OTHERS',
          severity: 6,
        });
        await node().whenApplied((await node().admin<{ version: number }>('/api/v2/rule-set')).body.version);
        await sendEvent(node(), host, 'gizmo fell over');
        await sendEvent(node(), host, 'gizmo fell over');
        const incidents = (): unknown[] => [...pagerduty.incidents.values()];
        const told = (): string => `${JSON.stringify(incidents())} ${pagerduty.faults.join()}`;
        const summary = `${host}: gizmo fell over`;
        await until(
          async () =>
            JSON.stringify(incidents()) === JSON.stringify([{ isOpen: true, triggers: 2, summary }]),
          20_000,
          told,
        );
        await sendEvent(node(), host, 'gizmo stands again');
        await until(async () => JSON.stringify(incidents()).includes('"isOpen":false'), 20_000, told);
        expect(pagerduty.faults).to.deep.equal([]);
        expect(pagerduty.incidents.size).to.equal(1);
      } finally {
        for (const { id, version } of made.reverse()) {
          const headers = { 'x-api-key': node().adminKey, 'if-match': `"${version}"` };
          await fetch(`${adminUrlOf(node())}/api/v2/rules/${id}`, { method: 'DELETE', headers });
        }
        await cli.run('destinations', 'remove', 'cli-pager');
        await pagerduty.close();
      }
    });
  });
}
