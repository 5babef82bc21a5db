/**
 * What a ref promises about the messages told to it, as data that programs and people can compare.
 *
 * Not a promise of its own: each transport has one constant here and the specs that prove it. Invariant: a ref's guarantee
 * never changes.
 */

/**
 * Where a message is once the ref has taken it. `inMemory`: in this thread. `inSharedMemory`: where the next incarnation of
 * a thread finds it. `stored`: in a durable mailbox.
 */
export type Taken = 'inMemory' | 'inSharedMemory' | 'stored';

export interface Guarantee {
  /** `atLeastOnce`: what was in hand or waiting when its receiver's thread died is handled again. */
  readonly delivery: 'atMostOnce' | 'atLeastOnce';
  /**
   * `perSender`: messages of one sender through one ref are handled in the order told. `perKey`: those with the same key
   * are. `none`: the ref stands for several actors, which do not wait for each other.
   */
  readonly order: 'perSender' | 'perKey' | 'none';
  /** What `accepted` means as the answer of `tell`, */
  readonly told: Taken;
  /** and as the answer of `tellWhenAccepted`. */
  readonly accepted: Taken;
  /** The worst end of the receiver that a message outlives which `tellWhenAccepted` has accepted. */
  readonly survives: 'actorRestart' | 'threadDeath' | 'processDeath';
}

/** An actor in the same thread. */
export const LOCAL_GUARANTEE: Guarantee = Object.freeze({
  delivery: 'atMostOnce',
  order: 'perSender',
  told: 'inMemory',
  accepted: 'inMemory',
  survives: 'actorRestart',
});

/** An actor in another thread of the process. */
export const RING_GUARANTEE: Guarantee = Object.freeze({
  delivery: 'atLeastOnce',
  order: 'perSender',
  told: 'inSharedMemory',
  accepted: 'inSharedMemory',
  survives: 'threadDeath',
});

/** A durable mailbox. */
export const DURABLE_GUARANTEE: Guarantee = Object.freeze({
  delivery: 'atLeastOnce',
  order: 'perSender',
  told: 'inMemory',
  accepted: 'stored',
  survives: 'processDeath',
});
