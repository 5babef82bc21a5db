/**
 * The routes of the ingest port, which dialect each speaks, and what its requests say beside their bodies.
 */
import { DIALECTS, HINT_CHARS_MAX } from '../../actors/ingest/messages.ts';
import type { Dialect } from '../../actors/ingest/messages.ts';
import type { KeySchemes } from '../http/presented-key.ts';
import type { RequestHead } from './request-head.ts';

export interface IngestRoute {
  path: string;
  family: 'native' | 'otlp' | 'hec_event' | 'hec_raw' | 'loki';
  isDeprecated?: true;
}

export const INGEST_ROUTES: readonly IngestRoute[] = [
  { path: '/api/v2/ingest', family: 'native' },
  { path: '/ingest', family: 'native' },
  { path: '/api/v1/ingest', family: 'native', isDeprecated: true },
  { path: '/v1/logs', family: 'otlp' },
  { path: '/services/collector', family: 'hec_event' },
  { path: '/services/collector/event', family: 'hec_event' },
  { path: '/services/collector/event/1.0', family: 'hec_event' },
  { path: '/services/collector/raw', family: 'hec_raw' },
  { path: '/services/collector/raw/1.0', family: 'hec_raw' },
  { path: '/loki/api/v1/push', family: 'loki' },
];

/** GET: what the senders of the event collector ask before they send. Needs no key. */
export const HEC_HEALTH_ROUTES = ['/services/collector/health', '/services/collector/health/1.0'] as const;

/** Where the key may be, beside the two headers of every route. */
export const KEY_SCHEMES: Readonly<Record<IngestRoute['family'], KeySchemes>> = {
  native: 'bearer',
  otlp: 'bearer',
  hec_event: 'splunk',
  hec_raw: 'splunk',
  loki: 'password',
};

const NATIVE = codeOf('native');
const HOST_CHARS_MAX = 255;
/** Printable Latin-1: what a hint can hold. */
const PRINTABLE = /^[\x20-\x7e\xa0-\xff]+$/;

/** The code (position in DIALECTS) of a request. The Content-Type counts where the reply must have it too. */
export function dialectCodeOf(family: IngestRoute['family'], contentType: string): number {
  if (family === 'native') return NATIVE;
  const isJson = /json/i.test(contentType);
  switch (family) {
    case 'otlp':
      return codeOf(isJson ? 'otlp_json' : 'otlp_protobuf');
    case 'loki':
      return codeOf(isJson || contentType === '' ? 'loki_json' : 'loki_protobuf');
    default:
      return codeOf(family);
  }
}

/**
 * What the sender said of its records beside the body, as HINT_FIELDS orders it; empty for nothing. `query` is that of
 * the address, looked at only where a sender has no other place for it.
 */
export function hintOf(family: IngestRoute['family'], head: RequestHead, query: string | undefined): string {
  if (family === 'native' && head.syslogHost !== '') {
    const { syslogHost, syslogProgram, syslogFacility, syslogLevel } = head;
    const hint = `${syslogHost}\n${syslogProgram}\n${syslogFacility}\n${syslogLevel}`;
    return hint.length <= HINT_CHARS_MAX ? hint : '';
  }
  if (family !== 'hec_raw' || query === undefined || query === '') return '';
  const host = new URLSearchParams(query).get('host') ?? '';
  return host.length <= HOST_CHARS_MAX && PRINTABLE.test(host) ? host : '';
}

function codeOf(dialect: Dialect): number {
  return DIALECTS.indexOf(dialect);
}
