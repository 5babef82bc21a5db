/**
 * What an answer, or the lack of one, means for the alert that was sent (wire formats, section 5.7): delivered, try
 * again, stop the lane because the credential is refused, or never to be taken.
 *
 * An alert is only given up for what the alert itself is to blame for. Redirects are not followed (the credential would
 * go along) and not the alert's fault: they are tried again until somebody corrects the address.
 */
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';
import type { DeliveryFailure, DeliveryOutcome } from '../ports.ts';

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

/** The outcome of a request that was answered. `nowMs` (wall clock) turns a date in Retry-After into a wait. */
export function classifyResponse(response: ResponseHead, nowMs: number): DeliveryOutcome {
  const { status } = response;
  if (status >= 200 && status < 300) return { kind: 'delivered', status };
  const error = described(response);
  if (status === 401 || status === 403) return { kind: 'unauthorized', reason: 'auth', error, status };
  if (isRetried(status)) {
    const reason: DeliveryFailure =
      status === 429 || status === 425 ? 'throttled' : status === 408 ? 'timeout' : 'server';
    const retryAfterMs = readRetryAfter(response.headers['retry-after'], nowMs);
    return { kind: 'retry', reason, error, status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
  return { kind: 'refused', reason: 'rejected', error, status };
}

function isRetried(status: number): boolean {
  return status < 400 || status === 408 || status === 425 || status === 429 || status >= 500;
}

const TIMEOUT_CODES = /TIMEOUT|ETIMEDOUT|ABORT/;
/** EPROTO is what a handshake with something else than TLS fails with. */
const TLS_CODES = /CERT|TLS|SSL|ERR_OSSL|SELF_SIGNED|UNABLE_TO_|^EPROTO$/;

/** The outcome of a request that was never answered. Always tried again: nothing says the alert is at fault. */
export function classifyFailure(thrown: unknown): DeliveryOutcome {
  const codes = codesOf(thrown);
  const code = codes.find((known) => known !== 'E_UNKNOWN') ?? 'E_UNKNOWN';
  const reason: DeliveryFailure = codes.some((known) => TIMEOUT_CODES.test(known))
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

function described({ status, excerpt }: ResponseHead): string {
  const text = excerpt?.trim() ?? '';
  return `HTTP ${status}${text === '' ? '' : `: ${withoutSecrets(text)}`}`.slice(0, EXCERPT_CHARS_MAX);
}

/** Answers and errors echo requests: credentials in addresses and headers do not get into what we keep. */
function withoutSecrets(text: string): string {
  return text
    .slice(0, EXCERPT_CHARS_MAX * 4)
    .replace(/\/\/[^\s/@]{1,256}@/g, '//***@')
    .replace(
      /\b(bearer|basic|token|apikey|api[-_]key|password|secret)\b(["']?\s{0,4}[:=]?\s{0,4}["']?)[^\s"',;&]{1,512}/gi,
      '$1$2***',
    );
}
