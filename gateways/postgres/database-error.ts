/**
 * What went wrong in PostgreSQL or on the way to it, as a coded error that says whether to try again.
 *
 * The driver's own errors carry the parameters of the statement (events, credentials) and sometimes the URL, so none
 * is ever passed on, not even as a cause. Invariant: the password is in no message and no detail.
 */
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';

/** Server states that pass by themselves, by SQLSTATE or its class. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const PASSING_STATES = [
  '08', // connection exceptions
  '53', // out of disk, memory, connections
  '40001', // serialisation failure
  '40P01', // deadlock
  '55P03', // lock not available in time
  '57014', // statement timeout
  '57P01', // the server is shut down by its administrator
  '57P02', // a server process crashed
  '57P03', // starting up
  '57P05', // idle session ended
  '58', // its disk fails
  '25006', // read-only: a standby during fail-over
  '25P03', // idle in transaction for too long, as after our own pause
];
/** We are not let in: wrong password, no such database or role, no right, no TLS where it is demanded. */
const REFUSING_STATES = ['28', '3D000', '42501'];
/** The rows are at fault: bad value, broken constraint, value too large for an index. */
const ROW_STATES = ['22', '23', '54'];

const AWAY_SYSTEM_CODES = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'ENOENT', 'EMFILE', 'ENFILE'],
]);
const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH|EPROTO$)/;
/** The driver's errors without a code. */
const AWAY_TEXT =
  /terminated|timeout|not queryable|lost connection|not usable|connection (error|ended|closed)/i;
/** A quota or a limit on the size of files has no SQLSTATE of its own: PostgreSQL calls it an internal error. */
const NO_ROOM_TEXT = /(No space left on device|Disk quota exceeded|File too large)$/i;
const TLS_TEXT = /does not support SSL/i;
const CLOSED_TEXT = /pool of the database object has been destroyed|after calling end on the pool/i;

/**
 * The coded error for what the driver threw while doing `what` (a statement's name). Our own errors pass unchanged.
 * Codes: E_DATABASE_AWAY (transient), E_DATABASE_REFUSED, E_DATABASE_CLOSED, E_ROW_INVALID (permanent),
 * E_STATEMENT_FAILED (defect). Details: what, sqlstate, table, column, constraint.
 */
export function databaseError(thrown: unknown, what: string, password: string): Error {
  if (isOurs(thrown)) return thrown;
  const state = codeOf(thrown);
  const text = withoutPassword(firstMessage(thrown), password);
  const details = { what, ...serverFacts(thrown) };
  if (CLOSED_TEXT.test(text)) {
    return new CodedError('E_DATABASE_CLOSED', `${what}: our connection to PostgreSQL was closed`, {
      details,
    });
  }
  if (TLS_CODE.test(state) || TLS_TEXT.test(text) || startsWithAny(state, REFUSING_STATES)) {
    return new CodedError('E_DATABASE_REFUSED', `PostgreSQL does not let us in: ${text}`, {
      details,
      mend: 'Check user, password, database, rights and sslmode of the database URL.',
    });
  }
  const isAway =
    startsWithAny(state, PASSING_STATES) || AWAY_SYSTEM_CODES.has(state) || NO_ROOM_TEXT.test(text);
  if (isAway || (state === 'E_UNKNOWN' && AWAY_TEXT.test(text))) {
    return new CodedError('E_DATABASE_AWAY', `PostgreSQL is away: ${text}`, {
      kind: 'transient',
      details,
      mend: 'Nothing to do if it comes back by itself; otherwise check that the server runs and can be reached.',
    });
  }
  if (startsWithAny(state, ROW_STATES)) {
    return new CodedError('E_ROW_INVALID', `PostgreSQL refuses a row (${what}): ${text}`, { details });
  }
  return new CodedError('E_STATEMENT_FAILED', `the statement ${what} failed: ${text}`, {
    kind: 'defect',
    details,
  });
}

function isOurs(thrown: unknown): thrown is Error {
  return thrown instanceof Error && 'kind' in thrown && codeOf(thrown).startsWith('E_');
}

/** An attempt at several addresses fails with an AggregateError whose own message is empty. */
function firstMessage(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === '') return messageOf(thrown.errors[0]);
  return messageOf(thrown);
}

function serverFacts(thrown: unknown): Record<string, string> {
  const facts: Record<string, string> = {};
  if (typeof thrown !== 'object' || thrown === null) return facts;
  const fields = thrown as Record<string, unknown>;
  for (const [ours, theirs] of [
    ['sqlstate', 'code'],
    ['table', 'table'],
    ['column', 'column'],
    ['constraint', 'constraint'],
  ] as const) {
    const value = fields[theirs];
    if (typeof value === 'string') facts[ours] = value;
  }
  return facts;
}

function withoutPassword(text: string, password: string): string {
  if (password === '') return text;
  return text.replaceAll(password, '***').replaceAll(encodeURIComponent(password), '***');
}

function startsWithAny(state: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => state.startsWith(prefix));
}
