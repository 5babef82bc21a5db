/**
 * What passes between two threads that know each other: kinds of records on their rings, and the control messages on the
 * port beside them. Types and constants only.
 */
import type { MessagePort } from 'node:worker_threads';
import type { WireError } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { CodecIdentity } from './codec.ts';

export const RecordKind = {
  message: 1,
  /** A message whose sender waits for an answer; its sequence is the answer's reference. */
  ask: 2,
  reply: 3,
  /** An answer that is an error, as JSON. */
  failure: 4,
} as const;

/** The payload is too large for the ring and lies in shared memory of its own, which the sender keeps until settled. */
export const FLAG_PARCEL = 1;

/** Actors that one thread exposes. */
export const EXPOSURES_MAX = 4_096;

/** An actor that can be told from another thread. */
export interface Exposure extends CodecIdentity {
  actor: string;
  target: number;
}

/** "Something has come, or there is room": the one message that is sent often, so it is no object. */
export const LOOK = 0;

/** Between the two ends of a link. */
export type LinkMessage =
  | typeof LOOK
  /** All that is exposed, once every actor has started, and again at every change. */
  | { type: 'exposures'; list: Exposure[] }
  /** The actor is dead for good. */
  | { type: 'ended'; target: number; reason: ExitReason }
  /** Without bytes: the sender that had it is dead. */
  | { type: 'parcel'; sequence: number; bytes: SharedArrayBuffer | undefined }
  | { type: 'parcelWanted'; sequence: number }
  | SupervisorMessage;

/** Only from the supervising side, to a thread. */
export type SupervisorMessage =
  | { type: 'peer'; handout: LinkHandout }
  /** No incarnation of the peer will follow. */
  | { type: 'peerGone'; peer: string; reason: ExitReason }
  /** A question to the peer will not be answered. */
  | { type: 'askFailed'; peer: string; reference: number; error: WireError };

/** One end of a link, as it is given to its thread. */
export interface LinkHandout {
  peer: string;
  /** The ring that this end writes, and the one that it reads. */
  out: SharedArrayBuffer;
  in: SharedArrayBuffer;
  /** Absent while the peer is down. */
  port: MessagePort | undefined;
}
