/**
 * What the live stream shows, gathered in the admin process: counters that it asks the supervisor for, tree events and
 * tapped decisions that the supervisor sends.
 *
 * Everything here is for people who look on. The work goes on without it, and while nobody looks it does nothing: no
 * question is asked and no tap is open.
 */
import { randomUUID } from 'node:crypto';
import {
  EMPTY,
  Observable,
  Subject,
  auditTime,
  catchError,
  exhaustMap,
  filter,
  from,
  map,
  merge,
  pairwise,
  share,
  timer,
} from 'rxjs';
import type { OpenTap, TapFilter, Tapped, Taps } from '../../actors/match/messages.ts';
import type { LedgerDocument } from '../../gateways/admin/documents.ts';
import { COUNTED } from '../../gateways/admin/stream/stream-port.ts';
import type {
  Counted,
  CountersDocument,
  StreamPort,
  TapNews,
} from '../../gateways/admin/stream/stream-port.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { CounterSample } from '../../runtime/shared/counters.ts';
import { alertsWaiting, ingestWaiting } from './ledger-samples.ts';

export interface LiveFeedOptions {
  samples: () => Promise<CounterSample[]>;
  ledger: () => Promise<LedgerDocument>;
  /** To the supervisor. */
  post: (message: Taps) => void;
  clock: Clock;
}

const COUNTERS_EVERY_MS = 1_000;
/** Match threads close taps that they hear nothing of for longer. */
const TAPS_SAID_EVERY_MS = 1_000;
/** Several changes of taps in so short a time are said once. */
const TAPS_SETTLE_MS = 20;

/** Which samples make up what is counted. */
const SOURCES: Record<Counted, { name: string; labels?: Record<string, string> }> = {
  accepted: { name: 'mutt_ingest_stored_events_total' },
  rejected: { name: 'mutt_ingest_rejected_events_total' },
  handled: { name: 'mutt_alerter_events_processed_total', labels: { status: 'handled' } },
  unmatched: { name: 'mutt_alerter_events_processed_total', labels: { status: 'unmatched' } },
  quarantined: { name: 'mutt_alerter_events_processed_total', labels: { status: 'quarantined' } },
  alerts: { name: 'mutt_alerter_alerts_forwarded_total' },
  forwarded: { name: 'mutt_moog_requests_total', labels: { status: 'success' } },
  failed: { name: 'mutt_moog_requests_total', labels: { status: 'fail' } },
};

interface Reading {
  atMs: number;
  at: string;
  totals: Record<Counted, number>;
  mailboxes: CountersDocument['mailboxes'];
}

interface Tap {
  filter: TapFilter;
  show: (news: TapNews) => void;
}

export class LiveFeed implements StreamPort {
  readonly counters: Observable<CountersDocument>;
  readonly tree: Observable<object>;
  readonly #options: LiveFeedOptions;
  readonly #treeEvents = new Subject<object>();
  readonly #taps = new Map<string, Tap>();
  readonly #tapsChanged = new Subject<void>();
  readonly #saying;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.tree = this.#treeEvents.asObservable();
    this.counters = timer(0, COUNTERS_EVERY_MS).pipe(
      // A question that takes longer than a second is not asked twice at once; one that fails leaves its second out.
      exhaustMap(() => from(this.#read()).pipe(catchError(() => EMPTY))),
      pairwise(),
      map(([before, now]) => document(before, now)),
      share(),
    );
    const changed = this.#tapsChanged.pipe(auditTime(TAPS_SETTLE_MS));
    const again = timer(TAPS_SAID_EVERY_MS, TAPS_SAID_EVERY_MS).pipe(filter(() => this.#taps.size > 0));
    this.#saying = merge(changed, again).subscribe(() => this.#sayTaps());
  }

  tap(wanted: TapFilter): Observable<TapNews> {
    return new Observable((client) => {
      const id = randomUUID();
      this.#taps.set(id, { filter: wanted, show: (news) => client.next(news) });
      this.#tapsChanged.next();
      return () => {
        this.#taps.delete(id);
        this.#tapsChanged.next();
      };
    });
  }

  /** To be given every message of the supervisor; answers false for one that is not for it. */
  receive(message: unknown): boolean {
    const { type } = message as { type?: unknown };
    if (type === 'tree event') this.#treeEvents.next((message as { event: object }).event);
    else if (type === 'tapped') this.#show(message as Tapped);
    else return false;
    return true;
  }

  /** Nothing is said any more. */
  close(): void {
    this.#saying.unsubscribe();
  }

  #show({ events, dropped }: Tapped): void {
    for (const { taps, event } of events) {
      for (const id of taps) this.#taps.get(id)?.show({ event });
    }
    for (const { tap, count } of dropped) this.#taps.get(tap)?.show({ dropped: count });
  }

  #sayTaps(): void {
    const taps = [...this.#taps].map(([id, tap]): OpenTap => ({ id, filter: tap.filter }));
    this.#options.post({ type: 'taps', taps });
  }

  async #read(): Promise<Reading> {
    const { samples, ledger, clock } = this.#options;
    const [counted, books] = await Promise.all([samples(), ledger().catch(() => undefined)]);
    const totals = COUNTED.map((name) => [name, totalOf(counted, SOURCES[name])]);
    return {
      atMs: clock.monotonicMs(),
      at: new Date(clock.wallMs()).toISOString(),
      totals: Object.fromEntries(totals) as Record<Counted, number>,
      mailboxes:
        books === undefined
          ? null
          : {
              ingest_events: sum(books.partitions.map(ingestWaiting)),
              alerts: sum(books.partitions.map(alertsWaiting)),
              in_flight: books.in_flight,
            },
    };
  }
}

function document(before: Reading, { atMs, at, totals, mailboxes }: Reading): CountersDocument {
  const seconds = (atMs - before.atMs) / 1_000;
  const rate = (name: Counted): number =>
    Math.round((10 * (totals[name] - before.totals[name])) / seconds) / 10;
  const rates = Object.fromEntries(COUNTED.map((name) => [name, rate(name)]));
  return { at, rates: rates as Record<Counted, number>, totals, mailboxes };
}

function totalOf(
  samples: readonly CounterSample[],
  { name, labels = {} }: (typeof SOURCES)[Counted],
): number {
  const values = samples.find((sample) => sample.name === name)?.values ?? [];
  const counted = values.filter((value) =>
    Object.entries(labels).every(([label, wanted]) => value.labels[label] === wanted),
  );
  return sum(counted.map(({ value }) => value));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
