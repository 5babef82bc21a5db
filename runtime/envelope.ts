/**
 * What waits in a mailbox when it is more than its message: a timer's tick, or a message that came from elsewhere.
 *
 * A message told in this thread waits as itself and costs nothing of this. Invariants: `open` is called each time the
 * message's turn comes, before its handler; `settled` once, when the message has been handled or never will be; a message
 * that is to be handled again has not been settled.
 */
import type { ExitReason } from './exit-reason.ts';

/** `failed`: its handler did, and it is not tried again. `lost`: nobody will handle it, as the dead letters say. */
export type Outcome = 'handled' | 'failed' | 'lost' | 'quarantined';

/** Why what was accepted is not handled: a newer message has displaced it, or its actor is dead. */
export type LossCode = 'E_MAILBOX_FULL' | 'E_ACTOR_STOPPED';

export abstract class Envelope {
  /** What makes it one: no proxy has it, and no trap of a message is asked, as `instanceof` would. */
  readonly #brand = true;

  static isOne(entry: unknown): entry is Envelope {
    return typeof entry === 'object' && entry !== null && #brand in entry;
  }

  /** Read after `open`, and kept by a quarantine: it must stay what it is after `settled('quarantined')`. */
  abstract readonly message: unknown;
  /**
   * False when its message is not wanted any more; then it is forgotten, and not settled. `lostBy`: it is not to be handled
   * but to be noted as lost. Must not throw.
   */
  abstract open(lostBy?: LossCode): boolean;
  /** Its actor has put it off: it is not in hand any more, and is opened again when its turn comes. Must not throw. */
  putOff?(): void;
  /** `reason`: how the incarnation ended that had it in hand, if one had. Must not throw. */
  settled?(outcome: Outcome, reason?: ExitReason): void;
}

/** The message of whatever was in a mailbox. */
export function messageIn(entry: unknown): unknown {
  return Envelope.isOne(entry) ? entry.message : entry;
}

/** No entry: any value may be a message, `undefined` too. */
export const NOTHING: unique symbol = Symbol('nothing');
export type Nothing = typeof NOTHING;
