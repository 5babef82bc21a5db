/**
 * The gateway process as the supervisor runs it: a real process with real decoding threads, Redis and PostgreSQL.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { effectiveSettings } from '../../../actors/settings.ts';
import { ProcessSlot } from '../../../runtime/process/process-slot.ts';
import { CounterCollector } from '../../../runtime/shared/counters.ts';
import type { RunningChild } from '../../../runtime/placement.ts';
import type { FromGateway, GatewayParams } from '../../../supervisors/gateway/gateway-process.ts';
import { freshPrefix } from '../../runtime/durable/store-under-test.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { specDirectory, specRedisUrl } from '../../support/servers.ts';

const ENTRY = fileURLToPath(new URL('../../../supervisors/gateway/gateway-process.ts', import.meta.url));

export interface GatewayUnderTest {
  port: number;
  pid: number;
  /** By name. */
  keys: Readonly<Record<string, string>>;
  heard: FromGateway[];
  collector: CounterCollector;
  params: GatewayParams;
  child: RunningChild;
}

export async function startGateway(
  databaseUrl: string,
  keyNames: readonly string[] = ['relay'],
): Promise<GatewayUnderTest> {
  const [port] = (await freePorts(1)) as [number];
  const pepper = randomBytes(32);
  const keys = Object.fromEntries(keyNames.map((name) => [name, randomBytes(32).toString('base64url')]));
  const dir = specDirectory('gateway');
  const params: GatewayParams = {
    redisUrl: await specRedisUrl(),
    keyPrefix: freshPrefix(),
    databaseUrl,
    host: '127.0.0.1',
    port,
    version: 1,
    settings: effectiveSettings({}, {}),
    partitions: 2,
    bounds: {
      ingest: { entriesMax: 10_000_000, bytesMax: 4_000_000_000 },
      overflow: { entriesMax: 10_000_000, bytesMax: 4_000_000_000 },
      resendKeysMax: 1_000,
    },
    safety: { boundsBytes: 1 },
    keys: Object.entries(keys).map(([name, key]) => ({
      name,
      scopes: ['ingest'],
      hmacSha256: createHmac('sha256', pepper).update(key).digest('hex'),
      expiresAt: null,
    })),
    pepper: pepper.toString('hex'),
    tls: undefined,
    witnessFile: join(dir, 'witness.json'),
    witnessed: [],
    hangAfterMs: 30_000,
    log: { level: 'error', file: join(dir, 'gateway.log') },
  };
  const heard: FromGateway[] = [];
  const collector = new CounterCollector();
  const slot = new ProcessSlot({
    id: 'gateway-0',
    entry: ENTRY,
    params: () => params,
    collector,
    hangAfterMs: 30_000,
    startTimeoutMs: 60_000,
    onMessage: (payload) => heard.push(payload as FromGateway),
  });
  const child = await slot.start({ epoch: 1, previousExit: undefined });
  return { port, pid: slot.pid ?? 0, keys, heard, collector, params, child };
}

/** A POST of so many events, as bytes. */
export function eventsRequest(key: string, events: number): Buffer {
  const body = Array.from({ length: events }, (_, at) =>
    JSON.stringify({
      hostname: `fw-${at % 40}`,
      message: `%LINK-3-UPDOWN: Interface GigabitEthernet0/${at}, changed state to down after ${at * 37} ms`,
      timestamp: new Date().toISOString(),
      program: 'ifmgr',
      syslog_severity: 3,
    }),
  ).join('\n');
  return Buffer.from(
    `POST /api/v2/ingest HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}
