/**
 * How the node stands against its service level objectives: what went well and what went wrong by a fault of ours or of a
 * destination over the last 24 hours, from the counters of all threads and gateways.
 *
 * What a sender or an alert is to blame for counts neither way: a flood of wrong keys is no outage. Kept by the supervisor
 * in a ring of minutes, so it begins anew with the node. Its size is fixed.
 */
import type { SloDocument } from '../gateways/admin/metric-documents.ts';
import type { Settings } from '../actors/settings.ts';
import type { Clock } from '../runtime/clock.ts';
import type { CounterSample } from '../runtime/shared/counters.ts';
import { LookRing } from './look-ring.ts';
import { FAULTS } from './request-figures.ts';

export interface SloHistoryOptions {
  clock: Clock;
  samples: () => readonly CounterSample[];
  settings: () => Settings;
}

const COMPONENTS = ['ingestor', 'alerter', 'forwarder'] as const;
type Component = (typeof COMPONENTS)[number];
/** Since the beginning. */
type Totals = Readonly<Record<Component, { good: number; bad: number }>>;

const LOOK_EVERY_MS = 60_000;
const HOUR_MS = 3_600_000;
const WINDOW_HOURS = 24;
/** A share of fewer says little: one unlucky request must not page anybody. */
const JUDGED_MIN = 20;
const WARN_ABOVE = 1;
const CRITICAL_ABOVE = 2;
/** Of failed deliveries: the alert was at fault, or we were asked to be slower. */
const NO_FAULTS = new Set(['rejected', 'throttled']);

export class SloHistory {
  readonly #options: SloHistoryOptions;
  readonly #ring: LookRing<Totals>;

  constructor(options: SloHistoryOptions) {
    this.#options = options;
    const { clock, samples } = options;
    this.#ring = new LookRing({
      clock,
      everyMs: LOOK_EVERY_MS,
      windowMs: WINDOW_HOURS * HOUR_MS,
      read: () => totalsIn(samples()),
    });
  }

  start(): void {
    this.#ring.start();
  }

  stop(): void {
    this.#ring.stop();
  }

  /** As of now. */
  document(): SloDocument {
    const { clock, samples, settings } = this.#options;
    const now = totalsIn(samples());
    const set = settings();
    const { oldest } = this.#ring;
    const knownMs = clock.monotonicMs() - (oldest?.atMs ?? clock.monotonicMs());
    const window_hours = Math.min(WINDOW_HOURS, Math.round((knownMs / HOUR_MS) * 100) / 100);
    const components = COMPONENTS.map((component) => {
      const before = oldest?.value[component] ?? { good: 0, bad: 0 };
      const good = now[component].good - before.good;
      const bad = now[component].bad - before.bad;
      return [component, { ...judged(good, bad, set[`slo.${component}.targetRatio`]), window_hours }];
    });
    return {
      window_hours: WINDOW_HOURS,
      components: Object.fromEntries(components) as SloDocument['components'],
    };
  }
}

function judged(
  good: number,
  bad: number,
  target: number,
): Omit<SloDocument['components'][Component], 'window_hours'> {
  const all = good + bad;
  if (all < JUDGED_MIN) {
    return { target, availability: null, error_budget_remaining: null, burn_rate: null, state: 'no_data' };
  }
  const burnRate = bad / all / (1 - target);
  return {
    target,
    availability: rounded(good / all),
    error_budget_remaining: rounded(1 - burnRate),
    burn_rate: rounded(burnRate),
    state: burnRate > CRITICAL_ABOVE ? 'critical' : burnRate > WARN_ABOVE ? 'warn' : 'ok',
  };
}

function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

function totalsIn(samples: readonly CounterSample[]): Totals {
  const byName = new Map(samples.map((sample) => [sample.name, sample.values]));
  const sum = (name: string, counts: (labels: Readonly<Record<string, string>>) => boolean): number =>
    (byName.get(name) ?? []).reduce((total, { labels, value }) => total + (counts(labels) ? value : 0), 0);
  const requests = 'mutt_ingest_requests_total';
  const decided = 'mutt_alerter_events_processed_total';
  const deliveries = 'mutt_moog_requests_total';
  return {
    ingestor: {
      good: sum(requests, ({ status }) => status === 'success'),
      bad: sum(requests, ({ reason = '' }) => FAULTS.has(reason)),
    },
    alerter: {
      good: sum(decided, ({ status }) => status !== 'quarantined'),
      bad: sum(decided, ({ status }) => status === 'quarantined'),
    },
    forwarder: {
      good: sum(deliveries, ({ status }) => status === 'success'),
      bad: sum(deliveries, ({ status, reason = '' }) => status === 'fail' && !NO_FAULTS.has(reason)),
    },
  };
}
