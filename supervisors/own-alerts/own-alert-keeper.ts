/**
 * The own alerts of a node: gathers once a second what the supervisor knows of the node, and has what is wrong told.
 *
 * Judged here, in the supervisor process, since it alone sees all parts and outlives them; sent by a thread of its own,
 * which needs neither store. While that thread is down, what is to be told waits. What only Redis knows comes from the
 * admin process, which reads the books every few seconds.
 */
import { OwnConditions } from '../../actors/own-alerts/conditions.ts';
import type { OwnFacts } from '../../actors/own-alerts/conditions.ts';
import { OwnAlerts } from '../../actors/own-alerts/own-alerts.ts';
import type { OpenOwnAlert, OwnAlertClaims } from '../../actors/own-alerts/own-alerts.ts';
import { OwnAlertQueue } from '../../actors/own-alerts/post.ts';
import type { LaneReport } from '../../actors/forward/lane-watch.ts';
import { INPUT_LANES, OVERFLOW_LANE } from '../../actors/ingest/ingest-actor.ts';
import { DEAD_LANE } from '../../actors/forward/messages.ts';
import { holdAt } from '../../actors/ports.ts';
import type { SentOutcome, Snapshot } from '../../actors/ports.ts';
import type { Settings } from '../../actors/settings.ts';
import type { SecretPlaces } from '../../gateways/secrets/secret-source.ts';
import { Calls } from '../../runtime/calls.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { StartChild } from '../../runtime/placement.ts';
import { CounterBlock } from '../../runtime/shared/counters.ts';
import type { CounterSample } from '../../runtime/shared/counters.ts';
import type { TreeEvent } from '../../runtime/supervision/tree-event.ts';
import type { Log } from '../../runtime/telemetry/log.ts';
import { ThreadPool } from '../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../runtime/thread/thread-slot.ts';
import type { MailboxBounds } from '../mailbox-bounds.ts';
import { isOwnFault } from '../restart-policy.ts';
import { threadLog } from '../thread-reports.ts';
import type { BeatRequest, DeliverRequest, OwnAlertsThreadParams } from '../threads/own-alerts-thread.ts';
import type { PartitionWait } from '../threads/partition-waits.ts';
import { suspectOf } from '../threads/suspect.ts';
import { Beat } from './beat.ts';
import { ToldFile } from './told-file.ts';
import type { BeatState } from './beat.ts';
import type { BooksRead } from './books-read.ts';
import { AT, OWN_ALERT_LAYOUT } from './own-alert-counters.ts';

export interface OwnAlertKeeperOptions {
  clock: Clock;
  log: Log;
  /** Where it is remembered what was told, beyond this process. */
  file: string;
  /** Tells this node from others in alerts. */
  node: string;
  version: string;
  settings: () => Settings;
  snapshot: () => Snapshot | undefined;
  /** Undefined before the ground is there. */
  stores: () =>
    { redisTrouble: string | undefined; isDatabaseThere: boolean; bounds: MailboxBounds } | undefined;
  claims: OwnAlertClaims;
  reports: () => { lanes: readonly LaneReport[]; waits: readonly PartitionWait[] };
  samples: () => readonly CounterSample[];
  /** Acknowledged events that Redis has lost, as this node found out. */
  lostEvents: () => number;
  readiness: () => Pick<BeatState, 'ready' | 'reasons'>;
  beat: { address: string; format: 'webhook' | 'alertmanager'; everyMs: number } | undefined;
  hangAfterMs: number;
  secretPlaces: SecretPlaces;
}

const ID = 'own-alerts';
const LOOK_EVERY_MS = 1_000;
/** The admin process reads the books every 5 s; without news for so long they are not known. */
const BOOKS_STALE_MS = 30_000;
const CALL_MARGIN_MS = 1_000;
const START_TIMEOUT_MS = 30_000;
const HEAP_MB_MAX = 128;
/** Workers whose restarts are counted: far more than there are. */
const WORKERS_MAX = 1_024;

export class OwnAlertKeeper {
  readonly counters = new CounterBlock(OWN_ALERT_LAYOUT);
  readonly #options: OwnAlertKeeperOptions;
  readonly #threads = new ThreadPool({ spareThreads: 0, threadsMax: 2, heapMbMax: HEAP_MB_MAX });
  readonly #slot: ThreadSlot;
  readonly #calls: Calls;
  readonly #conditions: OwnConditions;
  readonly #queue: OwnAlertQueue;
  readonly #alerts: OwnAlerts;
  readonly #beat: Beat | undefined;
  readonly #restarts = new Map<string, number>();
  #books: { atMs: number; read: BooksRead } | undefined;
  #suspended: { of: Snapshot; rules: OwnFacts['suspendedRules'] } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OwnAlertKeeperOptions) {
    this.#options = options;
    const { clock, log, node, settings, snapshot, claims } = options;
    this.#slot = new ThreadSlot({
      id: ID,
      pool: this.#threads,
      moduleUrl: new URL('../threads/own-alerts-thread.ts', import.meta.url).href,
      params: async () => ({ secretPlaces: options.secretPlaces }) satisfies OwnAlertsThreadParams,
      counterLayout: [],
      hangAfterMs: options.hangAfterMs,
      startTimeoutMs: START_TIMEOUT_MS,
      onMessage: (payload) => void this.#calls.receive(payload),
      onLog: threadLog(log, ID),
    });
    this.#calls = new Calls((message) => this.#slot.post(message), clock);
    this.#conditions = new OwnConditions({ clock, node, settings });
    const file = new ToldFile(options.file, log);
    const remembered = file.read();
    this.#queue = new OwnAlertQueue({
      clock,
      remembered,
      onTold: (records) => file.keep(records),
      node,
      settings,
      destinations: () => {
        const held = this.#heldDestinations();
        return (snapshot()?.destinations ?? []).filter(({ name }) => !held.has(name));
      },
      troubled: () => new Set(options.reports().lanes.map(({ name }) => name)),
      deliver: (alert, destination) =>
        this.#ask('deliver', { alert, destination } satisfies DeliverRequest, destination.timeoutMs),
      onPosted: (outcome, to, { signature }, rounds) => {
        this.counters.add(outcome.kind === 'delivered' ? AT.posted : AT.failed);
        if (outcome.kind === 'delivered' || rounds > 0) return;
        // In the log alone: an own alert about own alerts would go round for ever.
        log.warn({ to, signature, reason: outcome.reason }, 'an own alert was not taken; tried again');
      },
      onGivenUp: ({ signature, status }) => {
        this.counters.add(AT.dropped);
        log.error({ signature, status }, 'no destination took an own alert for a day');
      },
    });
    this.#alerts = new OwnAlerts({
      clock,
      claims,
      post: this.#queue,
      resolveAfterMs: () => settings()['alerts.own.resolveAfterMs'],
      onChange: (status, { signature, description }) => {
        this.counters.add(AT[status]);
        log.warn({ signature, status, description }, 'own alert');
      },
    });
    this.#alerts.restore(remembered);
    this.#beat = this.#openBeat();
  }

  get id(): string {
    return ID;
  }

  get start(): StartChild {
    return this.#slot.start;
  }

  /** What is wrong now. */
  get open(): OpenOwnAlert[] {
    return this.#alerts.open;
  }

  /** From the moment that the node is up for the first time. */
  begin(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS);
    this.#beat?.start();
  }

  /** Before the thread is stopped. */
  stop(): void {
    clearInterval(this.#timer);
    this.#beat?.stop();
    this.#queue.stop();
    this.#calls.close(new CodedError('E_STOPPED', 'the node stops', { kind: 'transient' }));
  }

  /** After everything has stopped. */
  async close(): Promise<void> {
    await this.#threads.close();
  }

  noteTreeEvent(event: TreeEvent): void {
    if (event.type !== 'childExited') return;
    if (!isOwnFault(event.reason) && suspectOf(event.reason) === undefined) return;
    const { child } = event;
    if (!this.#restarts.has(child) && this.#restarts.size >= WORKERS_MAX) return;
    this.#restarts.set(child, (this.#restarts.get(child) ?? 0) + 1);
  }

  noteBooks(read: BooksRead): void {
    this.#books = { atMs: this.#options.clock.monotonicMs(), read };
  }

  look(): void {
    const { settings } = this.#options;
    const facts = this.#facts();
    if (facts === undefined) return;
    const found = this.#conditions.look(facts, (signature) => this.#alerts.isOpen(signature));
    this.#alerts.look(settings()['alerts.own.policy'] === 'on' ? found : []);
    this.counters.set(AT.open, this.#alerts.open.length);
    this.counters.set(AT.waiting, this.#queue.waiting);
  }

  /** Paused or muted by somebody: no own alert goes there, and none is about them. */
  #heldDestinations(): ReadonlySet<string> {
    const { snapshot, clock } = this.#options;
    const nowMs = clock.wallMs();
    const held = (snapshot()?.destinations ?? []).filter((each) => holdAt(each, nowMs) !== undefined);
    return new Set(held.map(({ name }) => name));
  }

  #facts(): OwnFacts | undefined {
    const { stores: storesNow, reports, lostEvents, samples, clock } = this.#options;
    const stores = storesNow();
    if (stores === undefined) return undefined;
    const { lanes, waits } = reports();
    const held = this.#heldDestinations();
    const counted = samples();
    const total = (name: string, status?: string): number =>
      (counted.find((sample) => sample.name === name)?.values ?? []).reduce(
        (sum, { labels, value }) => (status === undefined || labels['status'] === status ? sum + value : sum),
        0,
      );
    const books =
      this.#books !== undefined && clock.monotonicMs() - this.#books.atMs < BOOKS_STALE_MS
        ? { unbalanced: this.#books.read.unbalanced, fills: this.#fillsOf(this.#books.read, stores.bounds) }
        : undefined;
    return {
      // That nothing is sent there somebody has decided, and status says who: it is no trouble.
      lanes: lanes.filter(({ name }) => !held.has(name)),
      waits,
      redisTrouble: stores.redisTrouble,
      isDatabaseThere: stores.isDatabaseThere,
      totals: {
        quarantined: total('mutt_alerter_events_processed_total', 'quarantined'),
        deadLetters: total('mutt_remediation_dead_letters_total'),
        shed: total('mutt_alerter_shed_events_total'),
        lost: lostEvents(),
        restarts: this.#restarts,
      },
      suspendedRules: this.#suspendedRules(),
      books,
    };
  }

  /** Percent of the bound that is reached first. */
  #fillsOf({ fullest }: BooksRead, bounds: MailboxBounds): ReadonlyMap<string, number> {
    const settings = this.#options.settings();
    return new Map(
      fullest.map(({ mailbox, entries, messages, bytes }) => {
        const isInput = INPUT_LANES.includes(mailbox);
        const bound = isInput
          ? bounds[mailbox === OVERFLOW_LANE ? 'overflow' : 'ingest']
          : bounds[mailbox === DEAD_LANE ? 'dead' : 'alert'];
        const most = isInput
          ? messages / settings['mailbox.ingest.eventsMax']
          : mailbox === DEAD_LANE
            ? 0
            : entries / settings['mailbox.alert.alertsMax'];
        return [mailbox, 100 * Math.max(most, entries / bound.entriesMax, bytes / bound.bytesMax)];
      }),
    );
  }

  /** Of a snapshot they are the same at every look. */
  #suspendedRules(): OwnFacts['suspendedRules'] {
    const snapshot = this.#options.snapshot();
    if (snapshot === undefined) return [];
    if (this.#suspended?.of !== snapshot) {
      const rules = snapshot.rules.flatMap(({ id, suspended, is_active: isActive }) =>
        isActive && suspended !== undefined && suspended !== null ? [{ id, reason: suspended.reason }] : [],
      );
      this.#suspended = { of: snapshot, rules };
    }
    return this.#suspended.rules;
  }

  /** Never rejects: a thread that is down or does not answer is a delivery to be tried again. */
  async #ask(
    name: 'deliver' | 'beat',
    request: DeliverRequest | BeatRequest,
    timeoutMs: number,
  ): Promise<SentOutcome> {
    try {
      return await this.#calls.ask<SentOutcome>(name, request, timeoutMs + CALL_MARGIN_MS);
    } catch (thrown) {
      return { kind: 'retry', reason: 'timeout', error: codeOf(thrown) };
    }
  }

  #openBeat(): Beat | undefined {
    const { beat, clock, log, node, version, readiness } = this.#options;
    if (beat === undefined) return undefined;
    return new Beat({
      ...beat,
      clock,
      log,
      node,
      version,
      state: () => ({ ...readiness(), open: this.open.map(({ signature }) => signature) }),
      send: (request) => this.#ask('beat', request, request.timeoutMs),
      onSent: (isTaken) => this.counters.add(isTaken ? AT.beats : AT.failedBeats),
    });
  }
}
