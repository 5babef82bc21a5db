/**
 * One message of a socket on its way to the ingest threads, and what comes back. Types only.
 */
import type { IngestVerdict } from './ingest-port.ts';
import type { Refusal } from './replies.ts';

export interface RunMessage {
  /** At most LARGE_BODY_BYTES; must not change any more. */
  body: Uint8Array;
  /** Empty for none. */
  idempotencyKey: string;
  /** Called once, in a later turn; gives false when nobody is there any more. Must not throw. */
  tell: (outcome: RunOutcome) => boolean;
}

/** A refusal here means: not stored as far as anybody knows. */
export type RunOutcome = IngestVerdict | Refusal;
