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
/** Levels of actors below one another: their ends run through all levels on one stack. */
export const ACTOR_DEPTH_MAX = 512;

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
/** Messages one actor may have stashed unless its options say otherwise. */
export const STASH_CAPACITY_DEFAULT = 1_024;
export const STASH_CAPACITY_MAX = 65_536;
/** What one mailbox can hold at all: its messages, one for each timer, and what comes back from the stash. */
export const MAILBOX_MESSAGES_MAX = MAILBOX_CAPACITY_MAX + TIMERS_PER_ACTOR_MAX + STASH_CAPACITY_MAX;
/** Actors watched by one actor: the bound of its supervision lane. */
export const WATCHES_PER_ACTOR_MAX = 65_536;
/** Actors linked to one actor, those included whose end it has not heard of yet. */
export const LINKS_PER_ACTOR_MAX = 4_096;
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

/** Actors in one view of a system unless it asks for others, and at most: about 400 bytes each. */
export const ACTORS_SHOWN_DEFAULT = 1_000;
export const ACTORS_SHOWN_MAX = 100_000;

/** What waits for one subscriber of a stream of events unless it asks for another bound, and at most. */
export const EVENTS_WAITING_DEFAULT = 1_024;
export const EVENTS_WAITING_MAX = 65_536;
/** What an actor may say of its state, as JSON: it crosses threads and is read by people. */
export const INSPECTION_BYTES_MAX = 65_536;

/** Last dead letters kept for a person to read: path, type and reason, about 200 bytes each. */
export const DEAD_LETTERS_KEPT = 256;
/** Messages in quarantine. Each is kept whole, so they must be few; a person decides about each. */
export const QUARANTINED_MAX = 256;
/** Failures that one message may be charged with. */
export const REDELIVERY_ATTEMPTS_MAX = 100;
/** Messages quarantined one after the other, none handled in between, until the actor itself is held to be broken. */
export const POISON_IN_A_ROW_MAX = 5;

export const CHILDREN_PER_SUPERVISOR_MAX = 4_096;
/** Bound of the sliding window's memory: 8 bytes for each restart that may be allowed. */
export const RESTARTS_IN_WINDOW_MAX = 10_000;
export const RESTART_WINDOW_MS_MAX = 86_400_000;
/** Last exits kept per child for the tree view. */
export const EXITS_KEPT_PER_CHILD = 8;
export const BACKOFF_MS_MAX = 3_600_000;

/** Members of one group. Choosing the least busy looks at all of them, so a default that is never slow. */
export const GROUP_MEMBERS_DEFAULT = 256;
export const GROUP_MEMBERS_MAX = 65_536;
/** Listeners for the changes of one group. */
export const GROUP_LISTENERS_MAX = 1_024;
/** Named groups of one system. */
export const GROUPS_MAX = 4_096;
/**
 * Virtual shards that keys are spread over: the unit in which they move between members. Fixed, so that every router
 * agrees; sixteen times the members of the largest pool, so that their shares differ little.
 */
export const SHARDS = 1_024;
export const POOL_MEMBERS_MAX = 64;
/** Messages held for one shard while it moves, unless said otherwise: 65,536 for a pool all of whose shards move. */
export const HELD_PER_SHARD_DEFAULT = 64;
/** How long a member may take to handle what was told to it before a shard leaves it, unless said otherwise. */
export const DRAIN_DEADLINE_MS_DEFAULT = 5_000;
/** How soon a full member is tried again for what cannot wait in its line. */
export const ROUTE_RETRY_MS = 10;

assert(GROUP_MEMBERS_DEFAULT <= GROUP_MEMBERS_MAX, 'the default size of a group is allowed');
assert(SHARDS >= 16 * POOL_MEMBERS_MAX, 'every member of a pool has several shards');
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
