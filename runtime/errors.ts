/**
 * Errors that keep their meaning everywhere.
 *
 * A class does not survive a thread boundary: an Error sent by `postMessage` arrives without its subclass, code and
 * fields. So an error here is known by its stable `code`, carries plain data only, and crosses every boundary through
 * `toWire` and `fromWire`. Match on `code`, never with `instanceof`.
 */

/** What a caller may do: try again later, give up, or treat it as a defect of ours (the actor dies, its supervisor decides). */
export type ErrorKind = 'transient' | 'permanent' | 'defect';

export interface CodedErrorOptions {
  kind?: ErrorKind;
  /** Plain, clonable facts. Never a secret, never an event's content. */
  details?: Record<string, unknown>;
  /** How to mend it: one sentence for the person who reads the message. */
  mend?: string;
  cause?: unknown;
}

export class CodedError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly details: Record<string, unknown>;
  readonly mend: string | undefined;

  constructor(code: string, message: string, options: CodedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CodedError';
    this.code = code;
    this.kind = options.kind ?? 'permanent';
    this.details = options.details ?? {};
    this.mend = options.mend;
  }
}

/** A ref that leads out of the system, given where only an actor of it will do. */
export function notLocal(ref: { readonly path: string }): CodedError {
  return new CodedError('E_NOT_LOCAL', `${ref.path} is not an actor of this system`, { kind: 'defect' });
}

/** The plain, clonable form of an error: the only form that crosses a thread, a process or a store. */
export interface WireError {
  code: string;
  kind: ErrorKind;
  message: string;
  details: Record<string, unknown>;
  mend?: string;
  stack?: string;
  cause?: WireError;
}

const CAUSE_DEPTH_MAX = 5;

/** The stable code of anything that was thrown: our own, Node's (`ECONNREFUSED`), or `E_UNKNOWN`. */
export function codeOf(thrown: unknown): string {
  const code = fieldOf(thrown, 'code');
  return typeof code === 'string' ? code : 'E_UNKNOWN';
}

/** The kind of anything that was thrown. What we do not know is a defect: it must not be retried for ever. */
export function kindOf(thrown: unknown): ErrorKind {
  const kind = fieldOf(thrown, 'kind');
  return kind === 'transient' || kind === 'permanent' || kind === 'defect' ? kind : 'defect';
}

/** One line for a person, whatever was thrown. */
export function messageOf(thrown: unknown): string {
  const message = fieldOf(thrown, 'message');
  if (typeof message !== 'string') return textOf(thrown);
  return message === '' ? codeOf(thrown) : message;
}

/** Makes anything that was thrown clonable. Total: never throws, whatever it is given. */
export function toWire(thrown: unknown, depth = 0): WireError {
  const wire: WireError = {
    code: codeOf(thrown),
    kind: kindOf(thrown),
    message: messageOf(thrown),
    details: plainDetails(thrown),
  };
  const mend = fieldOf(thrown, 'mend');
  if (typeof mend === 'string') wire.mend = mend;
  const stack = fieldOf(thrown, 'stack');
  if (typeof stack === 'string') wire.stack = stack;
  const cause = fieldOf(thrown, 'cause');
  if (cause !== undefined && depth < CAUSE_DEPTH_MAX) wire.cause = toWire(cause, depth + 1);
  return wire;
}

/** Rebuilds an error from its wire form. Total: what is not a wire error becomes `E_UNKNOWN`. */
export function fromWire(wire: unknown): CodedError {
  if (typeof wire !== 'object' || wire === null || !('code' in wire) || typeof wire.code !== 'string') {
    return new CodedError('E_UNKNOWN', messageOf(wire), { kind: 'defect' });
  }
  const record = wire as WireError;
  const error = new CodedError(record.code, messageOf(record), {
    kind: kindOf(record),
    details: record.details ?? {},
    ...(record.mend === undefined ? {} : { mend: record.mend }),
    ...(record.cause === undefined ? {} : { cause: fromWire(record.cause) }),
  });
  if (typeof record.stack === 'string') error.stack = record.stack;
  return error;
}

/** Of an error and its causes the deepest that says how to mend it: what a person has to be told. */
export function mendableCause(thrown: unknown): unknown {
  let found = thrown;
  for (let at: unknown = thrown; at !== undefined && at !== null; at = (at as { cause?: unknown }).cause) {
    const { mend, code } = at as { mend?: unknown; code?: unknown };
    if (typeof code === 'string' && mend !== undefined) found = at;
  }
  return found instanceof Error ? found : fromWire(found);
}

function plainDetails(thrown: unknown): Record<string, unknown> {
  const details = fieldOf(thrown, 'details');
  if (details === undefined || details === null) return {};
  if (typeof details !== 'object') return { details: textOf(details) };
  try {
    return structuredClone(details) as Record<string, unknown>;
  } catch {
    return { details: textOf(details) };
  }
}

/** Anything may have been thrown, also what throws when it is looked at. */
function fieldOf(thrown: unknown, name: string): unknown {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  try {
    return (thrown as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return `a value of type ${typeof value} that has no text`;
  }
}
