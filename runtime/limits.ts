/**
 * Every maximum and default of the in-thread runtime, with its unit, and how they relate.
 *
 * Not configuration: a value that an operator may change comes in through options and is checked against these. The
 * relations are asserted when this module loads, so a careless edit fails at the first start and not under load.
 */
import { assert } from './assert.ts';

/** Messages one actor handles before the next ready actor has its turn: long enough to stay in cache, short to be fair. */
export const MESSAGES_PER_TURN_MAX = 64;
/** How long actors may run before timers and I/O get the event loop. 4 ms keeps a heartbeat of 250 ms exact. */
export const TIME_SLICE_MS = 4;
/** The same bound in messages, for a clock that stands still (tests) or has a coarse resolution. */
export const MESSAGES_PER_SLICE_MAX = 65_536;

/** Actors in one system: about 300 bytes each when idle, so 1.2 GB; more is a leak. */
export const ACTORS_MAX = 4_194_304;

/** Messages waiting in one mailbox unless its options say otherwise. */
export const MAILBOX_CAPACITY_DEFAULT = 1_024;
export const MAILBOX_CAPACITY_MAX = 1_048_576;
/** Senders that wait for room at one `block` mailbox. Each holds a message, so they must be bounded too. */
export const WAITING_SENDERS_MAX = 1_024;
/** Empty rings kept per thread for the next mailbox that needs one, and the largest worth keeping: 170 KB at most. */
export const FREE_RINGS_MAX = 256;
export const FREE_RING_SLOTS_MAX = 64;

/** Live timers of one actor. A timer has at most one message in the mailbox, so this bounds those as well. */
export const TIMERS_PER_ACTOR_MAX = 1_024;
/** What one mailbox can hold at all: its messages, and one for each timer. */
export const MAILBOX_MESSAGES_MAX = MAILBOX_CAPACITY_MAX + TIMERS_PER_ACTOR_MAX;
/** Actors watched by one actor: the bound of its supervision lane. */
export const WATCHES_PER_ACTOR_MAX = 65_536;
/** Listeners for the end of one actor. */
export const WATCHERS_PER_ACTOR_MAX = 1_048_576;
/** Unanswered asks at one actor. Each ends by its deadline at the latest. */
export const ASKS_PER_ACTOR_MAX = 65_536;

/** The longest delay that Node's timers take; a longer one would fire at once. */
export const TIMER_DELAY_MS_MAX = 2_147_483_647;
/** An actor's factory must have settled by then. */
export const START_TIMEOUT_MS_DEFAULT = 10_000;
/** A stop without a deadline of its own, and a clean-up after a failure, are cut off after this. */
export const STOP_DEADLINE_MS_DEFAULT = 5_000;
export const STOP_DEADLINE_MS_MAX = 600_000;

/** Last dead letters kept for a person to read: path, type and reason, about 200 bytes each. */
export const DEAD_LETTERS_KEPT = 256;

export const CHILDREN_PER_SUPERVISOR_MAX = 4_096;
/** Bound of the sliding window's memory: 8 bytes for each restart that may be allowed. */
export const RESTARTS_IN_WINDOW_MAX = 10_000;
export const RESTART_WINDOW_MS_MAX = 86_400_000;
/** Last exits kept per child for the tree view. */
export const EXITS_KEPT_PER_CHILD = 8;
export const BACKOFF_MS_MAX = 3_600_000;

assert(MESSAGES_PER_TURN_MAX < MESSAGES_PER_SLICE_MAX, 'a slice has room for many turns');
assert(MAILBOX_CAPACITY_DEFAULT <= MAILBOX_CAPACITY_MAX, 'the default capacity is allowed');
assert(
  FREE_RING_SLOTS_MAX <= MAILBOX_CAPACITY_DEFAULT,
  'a ring worth keeping is smaller than a full mailbox',
);
assert(STOP_DEADLINE_MS_DEFAULT <= STOP_DEADLINE_MS_MAX, 'the default stop deadline is allowed');
assert(STOP_DEADLINE_MS_MAX <= TIMER_DELAY_MS_MAX, 'every stop deadline can be timed');
assert(BACKOFF_MS_MAX <= TIMER_DELAY_MS_MAX, 'every back-off can be timed');
assert(RESTART_WINDOW_MS_MAX <= TIMER_DELAY_MS_MAX, 'every window can be timed');
