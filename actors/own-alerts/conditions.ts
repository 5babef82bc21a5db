/**
 * What MUTT itself suffers, told from what a node knows about itself at one moment and knew before. No I/O.
 *
 * A look gives what is wrong now, each by a signature that is the same on every node that sees the same thing, and at
 * every look. A condition with a threshold ends only well below it, and one that has to last before it is told need not
 * last again while it is open, so that what swings is one thing and not many. Bounded: by destinations, partitions,
 * mailboxes, rules and workers, of which there are few, and an hour of looks.
 */
import type { Clock } from '../../runtime/clock.ts';
import type { LaneReport } from '../forward/lane-watch.ts';
import type { Settings } from '../settings.ts';

export const CONDITIONS = [
  'destination_down',
  'destination_unauthorized',
  'redis_away',
  'postgres_away',
  'ledger_imbalance',
  'events_lost',
  'events_quarantined',
  'partition_paused',
  'dead_letters',
  'alerts_shed',
  'mailbox_near_bound',
  'rule_suspended',
  'worker_restarting',
  'clock_jump',
] as const;
export type Condition = (typeof CONDITIONS)[number];

/** What a node knows about itself. */
export interface OwnFacts {
  /** The destinations that are not well. */
  lanes: readonly LaneReport[];
  /** Mailboxes of partitions that are not read on for a reason of their own. */
  waits: readonly { partition: number; mailbox: string; code: string; since: string }[];
  /** Why Redis cannot be used; undefined when it can. */
  redisTrouble: string | undefined;
  isDatabaseThere: boolean;
  /** Counted by this node since ever. */
  totals: {
    quarantined: number;
    deadLetters: number;
    shed: number;
    lost: number;
    restarts: ReadonlyMap<string, number>;
  };
  /** Rules that every node leaves out. */
  suspendedRules: readonly { id: number; reason: string }[];
  /** Of the ledger; undefined while it cannot be read. */
  books: { unbalanced: readonly number[]; fills: ReadonlyMap<string, number> } | undefined;
}

/** Whether it was found before and has not ended: then it need not last first. */
type IsOpen = (signature: string) => boolean;

/** One thing that is wrong. */
export interface Finding {
  /** `mutt::<condition>::<object>`. */
  signature: string;
  condition: Condition;
  /** A sentence for a person. */
  description: string;
  /** The destination that is in trouble: it is not the one to be told. */
  destination?: string;
  /** Every node of the installation may see it, and one has to tell. */
  isShared: boolean;
}

const HOUR_MS = 3_600_000;
const SECOND_MS = 1_000;
/** What is counted by the hour ends below this share of its threshold. */
const END_SHARE = 0.5;
/** A mailbox ends being near its bound so many percent below the threshold. */
const END_PERCENT_BELOW = 15;
/** A look that is so late says nothing of clocks: the process was stopped. */
const LOOK_LATE_MS = 30_000;
/** What waits for these is told as the trouble of a store, or passes by itself. */
const WAITS_OF_STORES = /^E_(DATABASE|STORE|LEASE)_/;

export class OwnConditions {
  readonly #clock: Clock;
  /** Names this node where only it can have the condition. */
  readonly #node: string;
  readonly #settings: () => Settings;
  /** Since when something is so without a break, monotonic. */
  readonly #since = new Map<string, number>();
  #seen = new Set<string>();
  /** Totals as they were at past looks, one a minute, oldest first. */
  readonly #past = new Map<string, { atMs: number; total: number }[]>();
  #clockOffset: { offsetMs: number; atMs: number } | undefined;
  #jumped: { byMs: number; atMs: number } | undefined;
  #lost: { events: number; atMs: number } | undefined;

  constructor(options: { clock: Clock; node: string; settings: () => Settings }) {
    this.#clock = options.clock;
    this.#node = options.node;
    this.#settings = options.settings;
  }

  /** `isOpen`: whether it was found before and has not ended. To be called about once a second. */
  look(facts: OwnFacts, isOpen: IsOpen): Finding[] {
    const nowMs = this.#clock.monotonicMs();
    const settings = this.#settings();
    this.#seen = new Set();
    const found = [
      ...this.#destinations(facts, settings, nowMs, isOpen),
      ...this.#stores(facts, settings, nowMs, isOpen),
      ...this.#ledger(facts, settings, nowMs, isOpen),
      ...this.#partitions(facts, settings, nowMs, isOpen),
      ...this.#counted(facts, settings, nowMs, isOpen),
      ...this.#mailboxes(facts, settings, isOpen),
      ...facts.suspendedRules.map(({ id, reason }) =>
        this.#shared(
          'rule_suspended',
          `rule-${id}`,
          `Rule ${id} is left out by every node: ${reason}. Save it again to lift that.`,
        ),
      ),
      ...this.#clockJump(settings, nowMs),
    ];
    for (const key of this.#since.keys()) if (!this.#seen.has(key)) this.#since.delete(key);
    return found;
  }

  *#destinations({ lanes }: OwnFacts, settings: Settings, nowMs: number, isOpen: IsOpen): Iterable<Finding> {
    for (const { name, state, last_error: error } of lanes) {
      if (state === 'unauthorized' || state === 'secret_unreadable') {
        const why =
          state === 'unauthorized' ? 'refuses the credential' : 'gets nothing: its credential cannot be read';
        const description = `Destination ${name} ${why} (${error}). Its alerts wait, and none is lost.`;
        yield { ...this.#shared('destination_unauthorized', name, description), destination: name };
      } else {
        const description = `Destination ${name} takes no alerts (${error}). They wait, and none is lost.`;
        const finding = { ...this.#shared('destination_down', name, description), destination: name };
        const isLong = this.#heldMs(`lane ${name}`, nowMs) >= settings['alerts.own.destinationDownMs'];
        if (isLong || isOpen(finding.signature)) yield finding;
      }
    }
  }

  *#stores(
    { redisTrouble, isDatabaseThere }: OwnFacts,
    settings: Settings,
    nowMs: number,
    isOpen: IsOpen,
  ): Iterable<Finding> {
    const awayMs = settings['alerts.own.storeAwayMs'];
    if (redisTrouble !== undefined) {
      const finding = this.#ofNode(
        'redis_away',
        '',
        `${redisTrouble}. Events are refused with 503, and senders keep them.`,
      );
      if (this.#heldMs('redis', nowMs) >= awayMs || isOpen(finding.signature)) yield finding;
    }
    if (!isDatabaseThere) {
      const finding = this.#shared(
        'postgres_away',
        'postgres',
        'PostgreSQL does not answer. Events are taken, and wait in Redis until they can be matched.',
      );
      if (this.#heldMs('postgres', nowMs) >= awayMs || isOpen(finding.signature)) yield finding;
    }
  }

  *#ledger(
    { books, totals }: OwnFacts,
    settings: Settings,
    nowMs: number,
    isOpen: IsOpen,
  ): Iterable<Finding> {
    const unbalanced = books?.unbalanced ?? [];
    if (unbalanced.length > 0) {
      const which = unbalanced.join(', ');
      const finding = this.#ofNode(
        'ledger_imbalance',
        '',
        `The books of partition ${which} do not balance: see GET /api/v2/ledger.`,
      );
      const isLong = this.#heldMs('ledger', nowMs) >= settings['alerts.own.imbalanceMs'];
      if (isLong || isOpen(finding.signature)) yield finding;
    }
    if (totals.lost > (this.#lost?.events ?? 0)) this.#lost = { events: totals.lost, atMs: nowMs };
    if (this.#lost !== undefined && nowMs - this.#lost.atMs < HOUR_MS) {
      const { events } = this.#lost;
      yield this.#ofNode(
        'events_lost',
        '',
        `Redis came back older than it was: ${events} acknowledged events are gone. GET /api/v2/ledger says of which partitions.`,
      );
    }
  }

  *#partitions({ waits }: OwnFacts, settings: Settings, nowMs: number, isOpen: IsOpen): Iterable<Finding> {
    for (const { partition, mailbox, code } of waits) {
      if (WAITS_OF_STORES.test(code)) continue;
      const object = `partition-${partition}/${mailbox}`;
      const description = `Mailbox ${mailbox} of partition ${partition} is not read on (${code}): see GET /api/v2/partitions.`;
      const finding = this.#ofNode('partition_paused', object, description);
      const isLong = this.#heldMs(`wait ${object}`, nowMs) >= settings['alerts.own.partitionPausedMs'];
      if (isLong || isOpen(finding.signature)) yield finding;
    }
  }

  *#counted({ totals }: OwnFacts, settings: Settings, nowMs: number, isOpen: IsOpen): Iterable<Finding> {
    const judge = (
      condition: Condition,
      object: string,
      key: string,
      total: number,
      max: number,
      say: (n: number) => string,
    ): Finding[] => {
      const count = this.#withinHour(key, total, nowMs);
      const finding = this.#ofNode(condition, object, say(count));
      const limit = isOpen(finding.signature) ? max * END_SHARE : max;
      return count > limit ? [finding] : [];
    };
    yield* judge(
      'events_quarantined',
      '',
      'quarantined',
      totals.quarantined,
      settings['alerts.own.quarantinedPerHourMax'],
      (n) =>
        `${n} events within an hour broke their handler and are in quarantine: see GET /api/v2/failures?kind=quarantine.`,
    );
    yield* judge(
      'dead_letters',
      '',
      'dead letters',
      totals.deadLetters,
      settings['alerts.own.deadLettersPerHourMax'],
      (n) =>
        `${n} alerts within an hour became dead letters: mutt failures list --kind dead_letter says why.`,
    );
    yield* judge(
      'alerts_shed',
      '',
      'shed',
      totals.shed,
      0,
      (n) =>
        `${n} alerts within an hour became dead letters unsent, since the outbox was about to be full: see mutt failures list --kind dead_letter.`,
    );
    for (const [worker, restarts] of totals.restarts) {
      yield* judge(
        'worker_restarting',
        worker,
        `restarts ${worker}`,
        restarts,
        settings['alerts.own.restartsPerHourMax'],
        (n) => `${worker} had to be restarted ${n} times within an hour: mutt actors tree says why.`,
      );
    }
  }

  *#mailboxes({ books }: OwnFacts, settings: Settings, isOpen: IsOpen): Iterable<Finding> {
    for (const [mailbox, percent] of books?.fills ?? []) {
      const finding = this.#ofNode(
        'mailbox_near_bound',
        mailbox,
        `A partition of mailbox ${mailbox} is ${Math.round(percent)} % full: see GET /api/v2/partitions for what holds it back.`,
      );
      const limit = settings['alerts.own.mailboxFillPercent'];
      if (percent >= (isOpen(finding.signature) ? limit - END_PERCENT_BELOW : limit)) yield finding;
    }
  }

  /** Both clocks are read at every look: by how much the wall clock has moved against the other is a jump. */
  *#clockJump(settings: Settings, nowMs: number): Iterable<Finding> {
    const offsetMs = this.#clock.wallMs() - nowMs;
    const before = this.#clockOffset;
    this.#clockOffset = { offsetMs, atMs: nowMs };
    if (before !== undefined && nowMs - before.atMs < LOOK_LATE_MS) {
      const byMs = offsetMs - before.offsetMs;
      if (Math.abs(byMs) >= settings['alerts.own.clockJumpMs']) this.#jumped = { byMs, atMs: nowMs };
    }
    if (this.#jumped === undefined || nowMs - this.#jumped.atMs >= HOUR_MS) return;
    const { byMs } = this.#jumped;
    const way = byMs > 0 ? 'forward' : 'back';
    yield this.#ofNode(
      'clock_jump',
      '',
      `The clock of this machine was set ${way} by ${Math.round(Math.abs(byMs) / SECOND_MS)} s: times of receipt are wrong by as much on one side of it.`,
    );
  }

  /** How long it has been so at this look and all before it without a break. */
  #heldMs(key: string, nowMs: number): number {
    this.#seen.add(key);
    const since = this.#since.get(key);
    if (since !== undefined) return nowMs - since;
    this.#since.set(key, nowMs);
    return 0;
  }

  /** By how much a total has risen within an hour. All began at 0 with the node. */
  #withinHour(key: string, total: number, nowMs: number): number {
    let past = this.#past.get(key);
    if (past === undefined) this.#past.set(key, (past = [{ atMs: nowMs, total: 0 }]));
    while (past.length > 1 && nowMs - (past[1]?.atMs ?? nowMs) >= HOUR_MS) past.shift();
    if (nowMs - (past.at(-1)?.atMs ?? 0) >= HOUR_MS / 60) past.push({ atMs: nowMs, total });
    return total - (past[0]?.total ?? total);
  }

  #shared(condition: Condition, object: string, description: string): Finding {
    return { signature: `mutt::${condition}::${object}`, condition, description, isShared: true };
  }

  #ofNode(condition: Condition, object: string, description: string): Finding {
    const named = object === '' ? this.#node : `${this.#node}/${object}`;
    const signature = `mutt::${condition}::${named}`;
    return { signature, condition, description: `${description} (node ${this.#node})`, isShared: false };
  }
}
