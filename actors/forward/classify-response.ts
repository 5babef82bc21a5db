/**
 * What an answer, or the lack of one, means for the alert that was sent (wire formats, section 5.7): delivered, try
 * again, stop the lane because the credential is refused, or never to be taken.
 *
 * An alert is only given up for what the alert itself is to blame for. Redirects are not followed (the credential would
 * go along) and not the alert's fault, and neither is an address where nothing takes alerts: they are tried again until
 * somebody corrects the address.
 */
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';
import type { DeliveryFailure, SentOutcome } from '../ports.ts';

/** Longest wait a destination may ask for. */
export const RETRY_AFTER_MS_MAX = 3_600_000;
const EXCERPT_CHARS_MAX = 300;

export interface ResponseHead {
  status: number;
  /** Header names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The beginning of the body, for the person who reads why an alert was refused. */
  excerpt?: string;
}

/** The outcome of a request that was answered. `nowMs` (wall clock) is for a Retry-After that is a date. */
export function classifyResponse(response: ResponseHead, nowMs: number): SentOutcome {
  const { status } = response;
  if (status >= 200 && status < 300) return { kind: 'delivered', status };
  const error = describeResponse(response);
  if (status === 401 || status === 403) return { kind: 'unauthorized', reason: 'auth', error, status };
  if (isRetried(status)) {
    const reason: DeliveryFailure =
      status === 429 || status === 425 ? 'throttled' : status === 408 ? 'timeout' : 'server';
    const retryAfterMs = readRetryAfter(response.headers['retry-after'], sentAtMs(response) ?? nowMs);
    return { kind: 'retry', reason, error, status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
  return { kind: 'refused', reason: 'rejected', error, status };
}

const ADDRESS_STATUSES: readonly number[] = [404, 405, 410];

/** Nothing is there, or nothing that is posted to: of the address, and not of what was sent to it. */
export function isAddressWrong(status: number): boolean {
  return ADDRESS_STATUSES.includes(status);
}

function isRetried(status: number): boolean {
  if (status < 400 || status >= 500 || isAddressWrong(status)) return true;
  return status === 408 || status === 425 || status === 429;
}

const TIMEOUT_CODES = /TIMEOUT|ETIMEDOUT|ABORT/;
/** EPROTO is what a handshake with something else than TLS fails with. */
const TLS_CODES = /CERT|TLS|SSL|ERR_OSSL|SELF_SIGNED|UNABLE_TO_|^EPROTO$/;

/** The outcome of a request that was never answered. Always tried again: nothing says the alert is at fault. */
export function classifyFailure(thrown: unknown): SentOutcome {
  const codes = codesOf(thrown);
  const code = codes.find((known) => known !== 'E_UNKNOWN') ?? 'E_UNKNOWN';
  const reason: DeliveryFailure = codes.some((known) => known.startsWith('E_SECRET_'))
    ? 'auth'
    : codes.some((known) => TIMEOUT_CODES.test(known))
      ? 'timeout'
      : codes.some((known) => TLS_CODES.test(known))
        ? 'tls'
        : 'network';
  return {
    kind: 'retry',
    reason,
    // Our own errors hold no secret, and may name where one should be.
    error:
      `${code}: ${thrown instanceof CodedError ? thrown.message : withoutSecrets(messageOf(thrown))}`.slice(
        0,
        EXCERPT_CHARS_MAX,
      ),
  };
}

/** What the error and its causes are known by: `fetch` hides the reason in a cause, an abort only has a name. */
function codesOf(thrown: unknown): string[] {
  const codes: string[] = [];
  let current = thrown;
  for (let depth = 0; depth < 5 && typeof current === 'object' && current !== null; depth++) {
    codes.push(codeOf(current));
    if ('name' in current && (current.name === 'TimeoutError' || current.name === 'AbortError'))
      codes.push('TIMEOUT');
    current = 'cause' in current ? current.cause : undefined;
  }
  return codes;
}

/**
 * When the destination says that it answered, by its own clock (Date, RFC 9110 section 6.6.1): a date in Retry-After is by
 * the same, whatever the clock here says.
 */
function sentAtMs({ headers: { date } }: ResponseHead): number | undefined {
  const atMs = typeof date === 'string' ? Date.parse(date) : NaN;
  return Number.isNaN(atMs) ? undefined : atMs;
}

/**
 * Milliseconds to wait from a Retry-After header: seconds or an HTTP date (RFC 9110 section 10.2.3), at most an hour.
 * Undefined when it is absent or says neither.
 */
export function readRetryAfter(header: string | string[] | undefined, nowMs: number): number | undefined {
  const value = (Array.isArray(header) ? header[0] : header)?.trim();
  if (value === undefined || value === '') return undefined;
  const waitMs = /^\d+$/.test(value)
    ? Number(value) * 1000
    : /[A-Za-z]/.test(value)
      ? Date.parse(value) - nowMs
      : NaN;
  return Number.isNaN(waitMs) ? undefined : Math.min(RETRY_AFTER_MS_MAX, Math.max(0, waitMs));
}

/** The status, what it says about the address, and the beginning of the answer. */
export function describeResponse({ status, headers, excerpt }: ResponseHead): string {
  const text = (excerpt ?? '').replace(UNPRINTABLE, ' ').trim();
  return `HTTP ${status}${ofAddress(status, headers)}${text === '' ? '' : `: ${withoutSecrets(text)}`}`.slice(
    0,
    EXCERPT_CHARS_MAX,
  );
}

/** Control characters, and what was no text: an answer may be anything. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\uFFFD]+/gu;

function ofAddress(status: number, headers: ResponseHead['headers']): string {
  if (isAddressWrong(status)) return ', nothing takes alerts at this address';
  if (status < 300 || status > 399) return '';
  const { location } = headers;
  const target = typeof location === 'string' && URL.canParse(location) ? new URL(location) : undefined;
  // Without its query, in which there may be anything.
  const to = target === undefined ? '' : ` to ${target.origin}${target.pathname}`;
  return `, a redirect${to} that is not followed`;
}

/** Answers and errors echo requests: credentials in addresses and headers do not get into what we keep. */
function withoutSecrets(text: string): string {
  return text
    .slice(0, EXCERPT_CHARS_MAX * 4)
    .replace(/\/\/[^\s/@]{1,256}@/g, '//***@')
    .replace(
      /\b(bearer|basic|(?:auth[-_])?token|apikey|(?:api|routing)[-_]key|password|secret)\b(["']?\s{0,4}[:=]?\s{0,4}["']?)[^\s"',;&]{1,512}/gi,
      '$1$2***',
    );
}
