/** What a forward actor is told, by others and by itself. */
import type { Entry } from '../../runtime/durable/durable-store.ts';
import type { PaceAnswer } from '../../runtime/durable/pace.ts';
import type { CodedError } from '../../runtime/errors.ts';
import type { Destination } from '../ports.ts';
import type { ReadEntries } from './lane-reading.ts';
import type { LaneItem } from './lane.ts';
import type { StoredAlert } from './messages.ts';
import type { SetAsideFound } from './set-aside-reading.ts';
import type { Settlement } from './settlements.ts';
import type { SignatureQueue } from './signature-queues.ts';

export type ForwardMessage =
  /** All there are: to one that is left out nothing is sent any more, its alerts stay in their mailboxes. */
  | { type: 'destinations'; destinations: readonly Destination[] }
  | { type: 'pump' }
  | { type: 'look for due' }
  /** Of an earlier incarnation it is void: the mailbox outlives restarts. */
  | ({ epoch: number } & OwnMessage);

export type OwnMessage =
  | ({ type: 'read' } & ReadEntries)
  /** What the shared pace allows; undefined when it could not be asked. */
  | { type: 'pace'; destination: string; answer: PaceAnswer | undefined }
  | { type: 'due'; partition: number; destination: string; payloads: Buffer[]; generation: number }
  /** All that was found due has been told. */
  | { type: 'looked' }
  /** All that a destination's retry sets hold; `loads` is that of `SignatureQueues.beginLoad`. */
  | { type: 'set aside'; destination: string; loads: number; found: SetAsideFound[]; generation: number }
  /** What was found at the places of followers; undefined when it could not be read. */
  | { type: 'followers'; queue: SignatureQueue<Item>; round: number; entries: Entry[] | undefined }
  /** Deliveries have ended. */
  | { type: 'outcomes' }
  /** The end of an unsent alert is committed: a later one of its signature may go. */
  | { type: 'ended' }
  | { type: 'fail'; error: CodedError };

/** Where an alert was found, and how it is taken out of there. */
export interface Origin {
  partition: number;
  destination: string;
  generation: number;
  source: Pick<Settlement, 'inputs' | 'removeDelayed'>;
  storedAtMs?: number;
}

export type Item = LaneItem & Origin & { stored: StoredAlert };
