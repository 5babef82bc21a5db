/**
 * What a failed call to the store means, as coded errors. The one question a caller has after a failed write is whether
 * it was done: `details.stored` is `no` when the server refused it, `unknown` when no answer came.
 */
import { CodedError, messageOf } from '../errors.ts';

/** Server replies that say "not now": the same call may succeed later, and this time nothing was written. */
const REFUSED_FOR_NOW =
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|MISCONF|BUSY|TRYAGAIN|MOVED|ASK|UNBLOCKED)\b/;
const DENIED = /^(NOPERM|NOAUTH|WRONGPASS|DENIED)\b/;
/** Before version 7 a server wraps what a command within a script was refused with. */
const WRAPPED = /^ERR Error running script .*?@user_script: ?\d+: -(?=[A-Z]+ )/;

/** The coded error for anything a store connection rejected with. */
export function storeError(thrown: unknown): CodedError {
  const message = messageOf(thrown).replace(WRAPPED, '');
  const isReply = thrown instanceof Error && thrown.name === 'ReplyError';
  if (!isReply) {
    const wasSent = !message.includes("isn't writeable");
    return storeAway(message, wasSent ? 'unknown' : 'no', thrown);
  }
  if (message.startsWith('OOM')) {
    return new CodedError('E_STORE_MEMORY', 'the store is at its memory limit', {
      kind: 'transient',
      details: { stored: 'no' },
      mend: 'Let the mailboxes drain, or raise maxmemory; the sum of all bounds must stay at or below 60 % of it.',
      cause: thrown,
    });
  }
  if (REFUSED_FOR_NOW.test(message)) {
    return new CodedError('E_STORE_UNAVAILABLE', `the store refuses for now: ${message}`, {
      kind: 'transient',
      details: { stored: 'no' },
      cause: thrown,
    });
  }
  if (DENIED.test(message)) {
    return new CodedError('E_STORE_DENIED', `the store denies access: ${message}`, {
      details: { stored: 'no' },
      mend: 'Check the user, its password and its permissions.',
      cause: thrown,
    });
  }
  if (message.includes('TAMPERED') || message.startsWith('WRONGTYPE')) {
    return new CodedError('E_STORE_TAMPERED', `the store's keys do not fit together: ${message}`, {
      details: { stored: 'no' },
      mend: 'Something else changed these keys. Restore them all from one backup, or move to another key prefix.',
      cause: thrown,
    });
  }
  return new CodedError('E_STORE_SCRIPT', `the store failed in a script: ${message}`, {
    kind: 'defect',
    details: { stored: 'unknown' },
    cause: thrown,
  });
}

/** The store cannot be reached. */
export function storeAway(message: string, stored: 'no' | 'unknown', cause?: unknown): CodedError {
  return new CodedError('E_STORE_AWAY', `the store cannot be reached: ${message}`, {
    kind: 'transient',
    details: { stored },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The store did not answer in time. */
export function storeTimeout(waitedMs: number): CodedError {
  return new CodedError('E_STORE_TIMEOUT', `the store did not answer within ${waitedMs} ms`, {
    kind: 'transient',
    details: { stored: 'unknown', waitedMs },
  });
}

/** The server has it, but may still lose it to a fail-over. */
export function storeUnconfirmed(replicas: number): CodedError {
  return new CodedError('E_STORE_UNCONFIRMED', `fewer than ${replicas} replicas have confirmed it in time`, {
    kind: 'transient',
    details: { stored: 'unknown', replicas },
    mend: 'If this lasts, look at the replicas of the store and at the network between.',
  });
}

/** The connection is new, and the server behind it has not passed its check. */
export function storeUntrusted(): CodedError {
  return new CodedError('E_STORE_UNTRUSTED', 'the store has not been found safe since it was away', {
    kind: 'transient',
    details: { stored: 'no' },
    mend: 'If this lasts, the log says which of its settings is unsafe.',
  });
}

/** The store's connection was lost since the inputs were read. */
export function generationChanged(): CodedError {
  return new CodedError('E_STORE_GENERATION', 'the store was away since these entries were read', {
    kind: 'transient',
    details: { stored: 'no' },
    mend: 'Read them again from the head.',
  });
}

/** A commit would put more into a lane or delayed set than it may hold. */
export function laneFull(lane: string): CodedError {
  return new CodedError('E_LANE_FULL', `output lane ${lane} is full`, {
    kind: 'transient',
    details: { lane },
  });
}

/** What a full lane cannot take has no room outside either. */
export function spillFull(lane: string): CodedError {
  return new CodedError('E_SPILL_FULL', `lane ${lane} is full, and so is what is kept outside`, {
    kind: 'transient',
    details: { lane },
    mend: 'Let what reads the lane drain it, or raise the bound of what is kept outside.',
  });
}

/** Another incarnation has put messages under the same numbers later. */
export function spillOvertaken(lane: string): CodedError {
  return new CodedError('E_SPILL_OVERTAKEN', `a later attempt has put messages of lane ${lane} outside`, {
    kind: 'transient',
    details: { lane },
    mend: 'If this lasts, the clock of the store has been set back since: it goes on once that time is reached again.',
  });
}
