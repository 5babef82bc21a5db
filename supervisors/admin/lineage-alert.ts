/** What has become of one alert: its receipt and its dead letter, as documents and as a state. No I/O. */
import { endedAs } from '../../actors/forward/unsent.ts';
import type { LineageAlertDocument } from '../../gateways/admin/lineage-documents.ts';
import type { StoredDeadLetter, StoredReceipt } from '../../gateways/postgres/lineage-log.ts';

/** `open` counts the alerts of its event that have not ended; of these `dead` are letters, and `untold` have left no trace. */
export function alertState(
  receipt: StoredReceipt | undefined,
  letter: StoredDeadLetter | undefined,
  { open, dead, untold }: { open: number | undefined; dead: number; untold: number },
): LineageAlertDocument['state'] {
  if (receipt !== undefined)
    return receipt.unsentReason === null ? 'delivered' : endedAs(receipt.unsentReason);
  if (letter !== undefined) return LETTER_STATES[letter.state];
  if (open === undefined) return 'unknown';
  // Dead letters are open until somebody ends them. What is not open was taken: its receipt is late, or was dropped.
  if (open <= dead) return 'delivered';
  // They are only counted: of some that are open, nobody says which.
  return open - dead >= untold ? 'waiting' : 'unknown';
}

/** While a letter has its turn or is thrown away, it is what it was. */
const LETTER_STATES: Readonly<Record<StoredDeadLetter['state'], LineageAlertDocument['state']>> = {
  kept: 'dead_lettered',
  queued: 'dead_lettered',
  discarding: 'dead_lettered',
  leaving: 'dead_lettered',
  replayed: 'waiting',
  delivered: 'delivered',
  superseded: 'superseded',
  discarded: 'discarded',
};

type Past = Pick<LineageAlertDocument, 'receipt' | 'unsent' | 'dead_letter' | 'mailbox' | 'outbox'>;

/** What has become of an alert as far as PostgreSQL knows; where it waits is not in it. */
export function pastOf(receipt: StoredReceipt | undefined, letter: StoredDeadLetter | undefined): Past {
  return {
    receipt: receipt === undefined || receipt.unsentReason !== null ? null : receiptDocument(receipt),
    unsent: unsentDocument(receipt),
    dead_letter: letter === undefined ? null : letterDocument(letter),
    mailbox: null,
    outbox: null,
  };
}

function unsentDocument(receipt: StoredReceipt | undefined): LineageAlertDocument['unsent'] {
  if (receipt === undefined || receipt.unsentReason === null) return null;
  return { reason: receipt.unsentReason, at: time(receipt.deliveredAtMs) };
}

function receiptDocument({
  status,
  attempts,
  deliveredAtMs,
}: StoredReceipt): LineageAlertDocument['receipt'] {
  return { status, attempts, delivered_at: time(deliveredAtMs) };
}

function letterDocument(letter: StoredDeadLetter): LineageAlertDocument['dead_letter'] {
  const { reason, error, attempts, firstFailedAtMs, lastFailedAtMs, endedAtMs } = letter;
  return {
    reason,
    error,
    attempts,
    first_failed_at: time(firstFailedAtMs),
    last_failed_at: time(lastFailedAtMs),
    ended_at: endedAtMs === undefined ? null : time(endedAtMs),
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
