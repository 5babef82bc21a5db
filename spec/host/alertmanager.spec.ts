/**
 * The real Alertmanager, unpacked from the archive: what we send it is taken, fires for as long as we say although nobody
 * says it again, is told once to its receiver, and ends when it is resolved.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { Alert } from '../../actors/event.ts';
import { deliverAlert } from '../../actors/forward/delivery.ts';
import type { DeliveryOutcome, Destination } from '../../actors/ports.ts';
import { SecretSource } from '../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../gateways/webhook/webhook-client.ts';
import { alertOf, destinationOf } from '../actors/forward/alerts.ts';
import { freePorts } from '../../supervisors/embedded/free-ports.ts';
import { until } from '../support/node-under-test.ts';
import { specDirectory } from '../support/servers.ts';
import { endChild, unpacked } from './relay-bed.ts';

const PROGRAM = 'prometheus-alertmanager';
const INSTALLED_DIR = '/usr/share/prometheus/alertmanager';
/** After so long an alert without an end of its own is resolved here; the default is five minutes. */
const RESOLVE_TIMEOUT_MS = 1_000;

interface Notice {
  status: string;
  signature: string;
  severities: string[];
}

/**
 * A copy of the program that finds its templates beside itself. Debian's build looks where the package is installed, in a
 * directory whose path is in the program; here it is exchanged for one as long, which is the working directory.
 */
function relocated(root: string, dir: string): string {
  const program = readFileSync(join(root, 'usr', 'bin', PROGRAM));
  const installed = Buffer.from(INSTALLED_DIR);
  const here = Buffer.from(`.${'/'.repeat(installed.length - 1)}`);
  for (let at = program.indexOf(installed); at !== -1; at = program.indexOf(installed, at))
    here.copy(program, at);
  for (const name of ['default.tmpl', 'email.tmpl'])
    copyFileSync(join(root, INSTALLED_DIR, name), join(dir, name));
  const copy = join(dir, PROGRAM);
  writeFileSync(copy, program, { mode: 0o755 });
  return copy;
}

describe('Alertmanager', function () {
  this.timeout(180_000);
  let manager: ChildProcess;
  let said = '';
  let url: string;
  let receiver: Server;
  const notices: Notice[] = [];
  const client = new HttpWebhookClient({
    secrets: new SecretSource(() => performance.now(), { directory: '/nowhere', files: [] }),
    connectionsMax: 4,
  });

  before(async () => {
    const root = await unpacked({ packages: [PROGRAM], program: PROGRAM });
    receiver = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const notice = JSON.parse(Buffer.concat(chunks).toString()) as {
          status: string;
          alerts: { labels: { signature: string; severity: string } }[];
        };
        const [first] = notice.alerts;
        const severities = notice.alerts.map(({ labels }) => labels.severity);
        notices.push({ status: notice.status, signature: first?.labels.signature ?? '', severities });
        response.end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const dir = specDirectory('alertmanager');
    mkdirSync(join(dir, 'data'), { recursive: true });
    const configuration = {
      global: { resolve_timeout: `${RESOLVE_TIMEOUT_MS}ms` },
      route: {
        receiver: 'spec',
        // As the page says; by the signature alone the end of an alert would list all severities.
        group_by: ['signature', 'severity'],
        group_wait: '100ms',
        group_interval: '200ms',
        repeat_interval: '1h',
      },
      receivers: [
        {
          name: 'spec',
          webhook_configs: [
            { url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`, send_resolved: true },
          ],
        },
      ],
    };
    const file = join(dir, 'alertmanager.yml');
    // JSON is YAML too.
    writeFileSync(file, JSON.stringify(configuration));
    const [port] = await freePorts(1);
    url = `http://127.0.0.1:${port}`;
    manager = spawn(
      relocated(root, dir),
      [
        `--config.file=${file}`,
        `--storage.path=${join(dir, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--cluster.listen-address=',
      ],
      { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    for (const stream of [manager.stdout, manager.stderr])
      stream?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-10_000)));
    await until(
      async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok === true,
      30_000,
      () => `it is not ready: ${said}`,
    );
  });
  after(async () => {
    client.close();
    if (manager !== undefined) await endChild(manager);
    receiver?.closeAllConnections();
    receiver?.close();
  });

  const send = (alert: Alert, fields: Partial<Destination> = {}): Promise<DeliveryOutcome> =>
    deliverAlert(
      { alert, attempts: 0 },
      destinationOf({ kind: 'alertmanager', url, ...fields }),
      client,
      () => Date.now(),
    );
  const fired = (signature: string, fields: Partial<Alert> = {}): Alert =>
    alertOf(signature, { signature, received_at: new Date().toISOString(), ...fields });
  async function firing(signature: string): Promise<number> {
    const reply = await fetch(
      `${url}/api/v2/alerts?filter=signature%3D%22${encodeURIComponent(signature)}%22`,
    );
    return ((await reply.json()) as unknown[]).length;
  }
  const noticesOf = (signature: string): Notice[] =>
    notices.filter((notice) => notice.signature === signature);

  it('takes an alert, lets it fire past its own time-out, tells it once, and tells its end once', async () => {
    const signature = 'r1::4::Gi0/1';
    expect(await send(fired(signature))).to.deep.equal({ kind: 'delivered', status: 200 });
    expect(await send(fired(signature, { id: 'again' }))).to.include({ kind: 'delivered' });
    await until(
      async () => noticesOf(signature).length > 0,
      10_000,
      () => said,
    );
    await delay(RESOLVE_TIMEOUT_MS * 3);
    expect(await firing(signature)).to.equal(1);
    expect(noticesOf(signature)).to.deep.equal([{ status: 'firing', signature, severities: ['error'] }]);
    const end = fired(signature, { id: 'end', status: 'resolved', severity: 5, rule_id: 5 });
    expect(await send(end)).to.include({ kind: 'delivered' });
    await until(
      async () => (await firing(signature)) === 0,
      10_000,
      () => said,
    );
    await until(
      async () => noticesOf(signature).length > 1,
      10_000,
      () => said,
    );
    await delay(1_000);
    // Of the severities that never fired nobody is told.
    expect(noticesOf(signature).slice(1)).to.deep.equal([
      { status: 'resolved', signature, severities: ['error'] },
    ]);
  });

  it('tells nobody of the end of what never fired', async () => {
    const signature = 'r2::4::Gi0/1';
    expect(await send(fired(signature, { status: 'resolved' }))).to.include({ kind: 'delivered' });
    await delay(1_000);
    expect([await firing(signature), noticesOf(signature).length]).to.deep.equal([0, 0]);
  });

  it('ends an alert that nobody resolves after resolve_after_ms', async () => {
    const signature = 'r3::4::Gi0/1';
    expect(await send(fired(signature), { resolveAfterMs: 3_000 })).to.include({ kind: 'delivered' });
    await until(
      async () => (await firing(signature)) === 1,
      2_000,
      () => said,
    );
    await until(
      async () => (await firing(signature)) === 0,
      10_000,
      () => said,
    );
    await until(
      async () => noticesOf(signature).some(({ status }) => status === 'resolved'),
      10_000,
      () => said,
    );
  });

  it('takes everything that an alert can have in it, and is another address elsewhere', async () => {
    const signature = `r4::${'é'.repeat(370)}`;
    const description = 'say "x"\n\u0001\ud83d \u2028 {{ $labels }}';
    for (const severity of [0, 1, 2, 3, 4, 5, 6, 7, null]) {
      const alert = fired(signature, { severity, description, event_time: '2099-01-01T00:00:00.000Z' });
      expect(await send(alert)).to.deep.equal({ kind: 'delivered', status: 200 });
    }
    expect(await send(fired(signature), { url: `${url}/prefix` })).to.include({ kind: 'retry', status: 404 });
  });
});
