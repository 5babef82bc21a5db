/**
 * Requests as real relays send them, with their headers and bytes, and what must be known of their events.
 *
 * Shapes: captures of rsyslog 8.2302, syslog-ng 3.38 and Fluent Bit 5.1; sources of the others. `spec/fixtures/relays` was
 * written by other serialisers than ours: the OpenTelemetry SDK for JavaScript, winston-loki, the reference snappy.
 */
import { readFileSync } from 'node:fs';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { ExtData, encode } from '@msgpack/msgpack';
import { snappyCompress } from 'hysnappy';
import type { NormalizedEvent } from '../../../actors/event.ts';
import { KEY } from './ingest-under-test.ts';

export interface Sent {
  body: string | Uint8Array;
  headers?: Record<string, string>;
  path?: string;
  status?: number;
}

export const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../../fixtures/relays/${name}`, import.meta.url));

const TIME = '2024-05-01T12:00:00.123Z';
export const TIME_MS = Date.parse(TIME);
export const event = (n: number): Record<string, unknown> => ({
  timestamp: TIME,
  hostname: `r${n}`,
  program: 'sshd',
  syslog_severity: 4,
  message: `message ${n}`,
});
export const json = (n: number): string => JSON.stringify(event(n));
const array = `[${json(1)},${json(2)}]`;
const lines = `${json(1)}\n${json(2)}`;

const OMHTTP = { 'User-Agent': '', Accept: '*/*' };
const OMHTTP_JSON = { ...OMHTTP, 'Content-Type': 'application/json; charset=utf-8' };
const SYSLOG_NG = { 'User-Agent': 'syslog-ng 3.38.1/libcurl 7.88.1', Accept: '*/*' };
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
const FLUENT = { 'User-Agent': 'Fluent-Bit' };
const VECTOR = { 'User-Agent': 'Vector/0.40.0 (x86_64-unknown-linux-gnu)' };
const NDJSON = { 'Content-Type': 'application/x-ndjson' };
/** Resource and scope of the fixtures of OTLP. */
const ORIGIN = {
  resource: {
    'host.name': 'Web-01.example.net',
    'service.name': 'checkout',
    'process.pid': 4711,
    tags: ['a', 'b'],
  },
  scope: { name: 'app.orders', version: '1.2.3' },
};

/** Requests whose two events are `event(1)` and `event(2)`, or as many of them as the body has. */
export const NATIVE: Record<string, Sent> = {
  'omhttp, batch off': { body: `${json(1)}\n`, headers: OMHTTP_JSON },
  'omhttp, newline, with the empty lines of its template': {
    body: `${json(1)}\n\n${json(2)}\n`,
    headers: { ...OMHTTP, 'Content-Type': 'text/plain' },
  },
  'omhttp, jsonarray': { body: array, headers: OMHTTP_JSON },
  'omhttp, jsonarray, compressed': {
    body: gzipSync(array),
    headers: { ...OMHTTP_JSON, 'Content-Encoding': 'gzip' },
  },
  'omhttp, kafkarest': {
    body: `{"records":[{"value":${json(1)}},{"value":${json(2)}}]}`,
    headers: { ...OMHTTP, 'Content-Type': 'application/vnd.kafka.v1+json' },
  },
  'Kafka REST v2, with keys, pretty-printed': {
    body: `{\n "records": [\n {"key": "k", "value": ${json(1)}},\n {"partition": 1, "value": ${json(2)}}\n]\n}\n`,
    headers: { 'Content-Type': 'application/vnd.kafka.json.v2+json' },
  },
  'Kafka REST, events as texts': {
    body: JSON.stringify({ records: [{ value: json(1) }, { value: json(2) }] }),
    headers: { 'Content-Type': 'application/vnd.kafka.v1+json' },
  },
  'syslog-ng, one': {
    body: json(1),
    headers: {
      ...SYSLOG_NG,
      'X-Syslog-Host': 'other',
      'X-Syslog-Program': 'sshd',
      'X-Syslog-Facility': 'auth',
      'X-Syslog-Level': 'warning',
      'Content-Type': 'application/json',
    },
  },
  'syslog-ng, lines': { body: lines, headers: { ...SYSLOG_NG, ...NDJSON } },
  'syslog-ng, array': { body: array, headers: { ...SYSLOG_NG, 'Content-Type': 'application/json' } },
  'syslog-ng, labelled as a form': { body: array, headers: { ...SYSLOG_NG, ...FORM } },
  'syslog-ng, deflated': {
    body: deflateSync(lines),
    headers: { ...SYSLOG_NG, ...FORM, 'Content-Encoding': 'deflate' },
  },
  'Fluent Bit, json': { body: array, headers: { ...FLUENT, 'Content-Type': 'application/json' } },
  'Fluent Bit, json_lines': { body: `${lines}\n`, headers: { ...FLUENT, ...NDJSON } },
  'Fluent Bit, json_stream': {
    body: json(1) + json(2),
    headers: { ...FLUENT, 'Content-Type': 'application/json' },
  },
  'Fluent Bit, json, gzip': {
    body: gzipSync(array),
    headers: { ...FLUENT, 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
  },
  'Fluent Bit, json, snappy': {
    body: snappyCompress(Buffer.from(array)),
    headers: { ...FLUENT, 'Content-Type': 'application/json', 'Content-Encoding': 'snappy' },
  },
  'Fluent Bit, json, zstd': {
    body: zstdCompressSync(array),
    headers: { ...FLUENT, 'Content-Type': 'application/json', 'Content-Encoding': 'zstd' },
  },
  'Vector, ndjson': { body: lines, headers: { ...VECTOR, ...NDJSON } },
  'Vector, array': { body: array, headers: { ...VECTOR, 'Content-Type': 'application/json' } },
  'Vector, gzip': { body: gzipSync(lines), headers: { ...VECTOR, ...NDJSON, 'Content-Encoding': 'gzip' } },
  'Vector, zlib': { body: deflateSync(lines), headers: { ...VECTOR, ...NDJSON, 'Content-Encoding': 'zlib' } },
  'Vector, zstd': {
    body: zstdCompressSync(lines),
    headers: { ...VECTOR, ...NDJSON, 'Content-Encoding': 'zstd' },
  },
  'Vector, snappy': {
    body: snappyCompress(Buffer.from(lines)),
    headers: { ...VECTOR, ...NDJSON, 'Content-Encoding': 'snappy' },
  },
  'the predecessor, one object': { body: json(1), path: '/api/v1/ingest' },
};

/** Requests, and what must be known of their events, in the order of their messages. */
export const OTHERS: Record<string, Sent & { events: Partial<NormalizedEvent>[] }> = {
  'omhttp, batch off, a template that is no JSON': {
    body: '<36>May  1 12:00:00 r1 sshd[77]: refused\n',
    headers: OMHTTP_JSON,
    events: [{ hostname: 'r1', program: 'sshd', pid: '77', severity: 4, facility: 4, message: 'refused' }],
  },
  'Vector, text of RFC 5424': {
    body: `<165>1 ${TIME} r1 app 7 ID47 - first\n<34>1 ${TIME} r2 su - - - second`,
    headers: { ...VECTOR, 'Content-Type': 'text/plain' },
    events: [
      { hostname: 'r1', message: 'first', severity: 5, eventTimeMs: TIME_MS },
      { hostname: 'r2', message: 'second', severity: 2 },
    ],
  },
  'syslog-ng by default: the message alone, the rest in headers': {
    body: 'refused connect from 10.0.0.1',
    headers: {
      ...SYSLOG_NG,
      ...FORM,
      'X-Syslog-Host': 'R1',
      'X-Syslog-Program': 'sshd',
      'X-Syslog-Facility': 'auth',
      'X-Syslog-Level': 'warning',
    },
    events: [
      {
        hostname: 'r1',
        message: 'refused connect from 10.0.0.1',
        program: 'sshd',
        facility: 4,
        severity: 4,
        clockSkewed: false,
        fields: { time_source: 'receipt' },
      },
    ],
  },
  'syslog-ng, format-json with its own names': {
    body: JSON.stringify({
      HOST: 'r1',
      MESSAGE: 'm',
      ISODATE: '2024-05-01T12:00:00+00:00',
      PROGRAM: 'rpd',
      PID: '7',
    }),
    headers: { ...SYSLOG_NG, ...FORM },
    events: [
      { hostname: 'r1', message: 'm', program: 'rpd', pid: '7', eventTimeMs: TIME_MS - 123, fields: {} },
    ],
  },
  'Fluent Bit, json with its own names': {
    body: JSON.stringify([
      { date: 1714564800.123, host: 'r1', ident: 'sshd', pid: '7', message: 'a' },
      { date: TIME, hostname: 'r2', log: 'b' },
    ]),
    headers: { ...FLUENT, 'Content-Type': 'application/json' },
    events: [
      { hostname: 'r1', message: 'a', program: 'sshd', eventTimeMs: TIME_MS, fields: {} },
      { hostname: 'r2', message: 'b', eventTimeMs: TIME_MS },
    ],
  },
  'Fluent Bit, gelf': {
    body: JSON.stringify({
      version: '1.1',
      host: 'r1',
      short_message: 'm',
      timestamp: 1714564800.123,
      level: 3,
    }),
    headers: { ...FLUENT, 'Content-Type': 'application/json' },
    events: [{ hostname: 'r1', message: 'm', severity: 3, eventTimeMs: TIME_MS }],
  },
  'Fluent Bit, msgpack of [time, record], byte by byte': {
    // 92: two elements; d7 00: EventTime, 1,714,564,800 s and 123 ms; 83: three members.
    body: Buffer.from(
      '92d700663230c00754d4c083' + 'a4686f7374a27231' + 'a36c6f67a3616263' + 'a870726f6772616d6d01',
      'hex',
    ),
    headers: { ...FLUENT, 'Content-Type': 'application/msgpack' },
    events: [
      { hostname: 'r1', message: 'abc', fields: { programm: 1 }, eventTimeMs: 0x663230c0 * 1000 + 123 },
    ],
  },
  'Fluent Bit 2.1, msgpack of [[time, metadata], record]': {
    body: Buffer.concat([
      encode([[eventTime(1714564800, 123_000_000), {}], { hostname: 'r1', message: 'a', big: 7 }]),
      encode([[eventTime(1714564800, 123_000_000), { otlp: { x: 1 } }], { host: 'r2', log: 'b' }]),
    ]),
    headers: { ...FLUENT, 'Content-Type': 'application/msgpack' },
    events: [
      { hostname: 'r1', message: 'a', eventTimeMs: TIME_MS, fields: { big: 7 } },
      { hostname: 'r2', message: 'b', eventTimeMs: TIME_MS, fields: { metadata: { otlp: { x: 1 } } } },
    ],
  },
  'Fluentd, msgpack of records alone, and of a list': {
    body: Buffer.concat([
      encode(event(1)),
      encode([
        [1714564800.123, { host: 'r2', message: 'message 2' }],
        [1, event(3)],
      ]),
    ]),
    headers: { 'User-Agent': 'fluentd', 'Content-Type': 'application/msgpack' },
    events: [1, 2, 3].map((n) => ({ hostname: `r${n}`, message: `message ${n}`, eventTimeMs: TIME_MS })),
  },
  'Vector, native JSON of its syslog source': {
    body: JSON.stringify({
      appname: 'sshd',
      facility: 'auth',
      host: 'r1',
      message: 'm',
      procid: 77,
      severity: 'err',
      source_type: 'syslog',
      timestamp: TIME,
    }),
    headers: { ...VECTOR, ...NDJSON },
    events: [{ hostname: 'r1', program: 'sshd', pid: '77', facility: 4, severity: 3, eventTimeMs: TIME_MS }],
  },
  'a CloudEvent, structured': {
    body: JSON.stringify({
      specversion: '1.0',
      type: 'net.link.down',
      source: 'https://nms.example.net/probe',
      id: 'A-1',
      time: TIME,
      data: { message: 'link down', port: 'ge-0/0/1' },
    }),
    headers: { 'Content-Type': 'application/cloudevents+json' },
    events: [
      {
        hostname: 'nms.example.net',
        message: 'link down',
        source: 'webhook',
        eventTimeMs: TIME_MS,
        fields: {
          port: 'ge-0/0/1',
          cloud_event: { id: 'A-1', type: 'net.link.down', source: 'https://nms.example.net/probe' },
        },
      },
    ],
  },
  Alertmanager: {
    body: JSON.stringify({
      receiver: 'mutt',
      status: 'firing',
      alerts: [
        {
          status: 'firing',
          labels: { alertname: 'DiskFull', instance: 'db-1:9100', severity: 'critical' },
          annotations: { summary: 'disk of db-1 is full' },
          startsAt: TIME,
          endsAt: '0001-01-01T00:00:00Z',
          generatorURL: 'http://prom/graph',
          fingerprint: 'c0ffee',
        },
        {
          status: 'resolved',
          labels: { alertname: 'LinkDown', instance: '[2001:db8::7]:9100' },
          annotations: {},
          startsAt: '2024-05-01T11:00:00Z',
          endsAt: TIME,
        },
      ],
      groupLabels: {},
      commonLabels: {},
      commonAnnotations: {},
      externalURL: 'http://am',
      version: '4',
      groupKey: '{}:{}',
      truncatedAlerts: 0,
    }),
    headers: { 'User-Agent': 'Alertmanager/0.27.0', 'Content-Type': 'application/json' },
    events: [
      { hostname: '2001:db8::7', message: 'LinkDown', eventTimeMs: TIME_MS, source: 'webhook' },
      { hostname: 'db-1', message: 'disk of db-1 is full', severity: 2, eventTimeMs: TIME_MS },
    ],
  },
  'OTLP, protobuf': {
    path: '/v1/logs',
    body: fixture('otlp-logs.pb'),
    headers: { 'User-Agent': 'OTel-OTLP-Exporter-JavaScript/0.5', 'Content-Type': 'application/x-protobuf' },
    events: [
      {
        hostname: 'web-01.example.net',
        message: 'payment gateway timed out',
        severity: 3,
        program: 'checkout',
        eventTimeMs: TIME_MS,
        fields: {
          ...ORIGIN,
          severity_text: 'ERROR',
          attributes: { 'http.status': 504, ratio: 0.25, ok: false, nested: { a: [1, 'x', { b: true }] } },
        },
      },
      { hostname: 'web-01.example.net', message: 'structured: order placed', severity: 6 },
    ],
  },
  'OTLP, JSON, gzip': {
    path: '/v1/logs',
    body: gzipSync(fixture('otlp-logs-json.body')),
    headers: {
      'User-Agent': 'OpenTelemetry Collector Contrib/0.100.0 (linux/amd64)',
      'Content-Type': 'application/json',
      'Content-Encoding': 'gzip',
    },
    events: [
      {
        hostname: 'web-01.example.net',
        message: 'payment gateway timed out',
        severity: 3,
        eventTimeMs: TIME_MS,
        fields: {
          ...ORIGIN,
          severity_text: 'ERROR',
          attributes: { 'http.status': 504, ratio: 0.25, ok: false, nested: { a: [1, 'x', { b: true }] } },
        },
      },
      {
        message: 'structured: order placed',
        fields: {
          ...ORIGIN,
          severity_text: 'INFO',
          body: { message: 'structured: order placed', order: 17 },
          event_name: 'order.placed',
        },
      },
    ],
  },
  "OTLP, of the collector's syslog receiver": {
    path: '/v1/logs',
    body: JSON.stringify({
      resourceLogs: [
        {
          scopeLogs: [
            {
              logRecords: [
                {
                  observedTimeUnixNano: '1714564800123000000',
                  severityNumber: 13,
                  severityText: 'warning',
                  body: { stringValue: '<36>1 - r1 sshd 77 - - refused' },
                  attributes: Object.entries({
                    hostname: 'r1',
                    appname: 'sshd',
                    proc_id: '77',
                    message: 'refused',
                  })
                    .map(([key, stringValue]): unknown => ({ key, value: { stringValue } }))
                    .concat([
                      { key: 'priority', value: { intValue: '36' } },
                      { key: 'facility', value: { intValue: '4' } },
                    ]),
                },
              ],
            },
          ],
          resource: { attributes: [{ key: 'host.name', value: { stringValue: 'the-collector' } }] },
        },
      ],
    }),
    headers: { 'Content-Type': 'application/json' },
    events: [
      {
        hostname: 'r1',
        program: 'sshd',
        pid: '77',
        facility: 4,
        severity: 4,
        message: 'refused',
        source: 'syslog',
        eventTimeMs: TIME_MS,
      },
    ],
  },
  'omhttp with the profile of Splunk': {
    path: '/services/collector/event',
    body: [
      { event: 'a', host: 'r1', time: 1714564800.123, sourcetype: 'syslog' },
      {
        event: { message: 'b', severity: 'err' },
        host: 'r2',
        time: '1714564800.123',
        fields: { rack: 'B-7' },
      },
      { event: { code: 7 }, host: 'r3' },
    ]
      .map((envelope) => JSON.stringify(envelope))
      .join('\n'),
    headers: { 'User-Agent': 'Rsyslog-omhttp', 'X-API-KEY': '', Authorization: `Splunk ${KEY}` },
    events: [
      { hostname: 'r1', message: 'a', eventTimeMs: TIME_MS, fields: { sourcetype: 'syslog' } },
      { hostname: 'r2', message: 'b', severity: 3, eventTimeMs: TIME_MS, fields: { rack: 'B-7' } },
      {
        hostname: 'r3',
        message: '{"code":7}',
        clockSkewed: false,
        fields: { code: 7, time_source: 'receipt' },
      },
    ].sort((a, b) => (a.message < b.message ? -1 : 1)),
  },
  'Splunk raw, with the host in the query': {
    path: '/services/collector/raw?channel=1&host=R1&sourcetype=app',
    body: `something happened\n<34>1 ${TIME} r2 su - - - with a host of its own\n`,
    headers: { 'User-Agent': 'Rsyslog-omhttp', 'X-API-KEY': '', Authorization: `Splunk ${KEY}` },
    events: [
      { hostname: 'r1', message: 'something happened', clockSkewed: false },
      { hostname: 'r2', message: 'with a host of its own', eventTimeMs: TIME_MS },
    ],
  },
  'Splunk with Basic, as its own clients may': {
    path: '/services/collector',
    body: JSON.stringify({ event: 'a', host: 'r1', time: 1714564800.123 }),
    headers: {
      'User-Agent': 'Splunk-Forwarder',
      'X-API-KEY': '',
      Authorization: `Basic ${Buffer.from(`x:${KEY}`).toString('base64')}`,
    },
    events: [{ hostname: 'r1', message: 'a', eventTimeMs: TIME_MS }],
  },
  'omhttp, lokirest': {
    path: '/loki/api/v1/push',
    status: 204,
    body: JSON.stringify({
      streams: [
        { stream: { host: 'r1', job: 'rsyslog', level: 'err' }, values: [['1714564800123000000', 'a']] },
        { values: [['1714564800123456789', 'b', { trace: 't-1' }]], stream: { job: 'j1' } },
      ],
    }),
    headers: { ...OMHTTP_JSON },
    events: [
      { hostname: 'r1', message: 'a', severity: 3, eventTimeMs: TIME_MS },
      {
        hostname: 'j1',
        message: 'b',
        eventTimeMs: TIME_MS,
        fields: { labels: { job: 'j1' }, metadata: { trace: 't-1' } },
      },
    ],
  },
  'Promtail: protobuf in snappy, which no header says': {
    path: '/loki/api/v1/push',
    status: 204,
    body: fixture('loki-push.snappy'),
    headers: {
      'User-Agent': 'promtail/2.9.4',
      'Content-Type': 'application/x-protobuf',
      'X-API-KEY': '',
      Authorization: `Basic ${Buffer.from(`tenant:${KEY}`).toString('base64')}`,
    },
    events: [
      { hostname: '10.0.0.7', message: 'disk full' },
      { hostname: 'sw-7', message: 'link down on ge-0/0/1', eventTimeMs: TIME_MS },
      { hostname: 'sw-7', message: 'link up', fields: { labels: { host: 'sw-7', job: 'net"work' } } },
    ],
  },
  'Vector to Loki: protobuf in snappy, which a header says': {
    path: '/loki/api/v1/push',
    status: 204,
    body: fixture('loki-push.snappy'),
    headers: { ...VECTOR, 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy' },
    events: ['10.0.0.7', 'sw-7', 'sw-7'].map((hostname) => ({ hostname })),
  },
};

function eventTime(seconds: number, nanos: number): ExtData {
  const data = Buffer.alloc(8);
  data.writeUInt32BE(seconds, 0);
  data.writeUInt32BE(nanos, 4);
  return new ExtData(0, data);
}
