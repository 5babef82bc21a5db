/**
 * Watches guarded changes of settings: when the node's ingest port fails more requests, or answers later, than the change
 * allows, the change is taken back with the figures as the reason; when its time is over, it is kept.
 *
 * The guard itself is in PostgreSQL, so it survives this process, and whichever node finds a breach first settles it for
 * all. What is measured are differences from the moment this node first saw the change. Invariant: a change is kept only
 * after this node has watched it: when its time passed while nobody looked, it is watched for as long again.
 */
import type { Clock } from '../runtime/clock.ts';
import { codeOf, messageOf } from '../runtime/errors.ts';
import type { CounterSample } from '../runtime/shared/counters.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import { measure, requestTotals } from './request-figures.ts';
import type { RequestFigures, RequestTotals } from './request-figures.ts';

/** A setting under a guard, as it is stored. */
export interface GuardedSetting {
  key: string;
  version: number;
  updatedAtMs: number;
  guard: { untilMs: number; errorRateMax: number | null; latencyP99MsMax: number | null } | null;
}

/** PostgreSQL's part. */
export interface GuardStore {
  guarded(): Promise<GuardedSetting[]>;
  /** False when it was changed or settled meanwhile. */
  settleGuard(
    key: string,
    version: number,
    verdict: 'keep' | 'revert',
    author: { changedBy: string },
    detail: string,
  ): Promise<boolean>;
}

export interface GuardKeeperOptions {
  settings: GuardStore;
  samples: () => readonly CounterSample[];
  clock: Clock;
  log: Log;
  /** The configuration has changed thereby. */
  onSettled: () => void;
}

interface Watch {
  untilMs: number;
  /** One for each look, the oldest first, the one at first sight always among them. */
  seen: RequestTotals[];
}

const LOOK_EVERY_MS = 1_000;
/** A share of fewer requests says little: one unlucky request must not take a change back. */
const REQUESTS_JUDGED_MIN = 20;
/** With enough traffic the last seconds are judged, so that a good hour does not hide a bad minute. */
const REQUESTS_RECENT_MIN = 200;
const LOOKS_KEPT_MAX = 60;
const AUTHOR = { changedBy: 'guard' };

export class GuardKeeper {
  readonly #options: GuardKeeperOptions;
  /** By key and version. */
  #watches = new Map<string, Watch>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #isAway = false;

  constructor(options: GuardKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Judges every guarded change now. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { settings, log, samples } = this.#options;
    try {
      const guarded = await settings.guarded();
      const now = requestTotals(guarded.length === 0 ? [] : samples());
      // Before any is judged: one that cannot be settled must not end the watch of the others.
      this.#watches = new Map(guarded.map((setting) => [nameOf(setting), this.#watchOf(setting, now)]));
      const failures: unknown[] = [];
      for (const setting of guarded) {
        const watch = this.#watches.get(nameOf(setting));
        if (watch === undefined) continue;
        await this.#judge(setting, watch, now).catch((thrown: unknown) => failures.push(thrown));
      }
      if (failures.length > 0) throw failures[0];
      this.#isAway = false;
    } catch (thrown) {
      // PostgreSQL is away, or the value cannot be taken back now: it is tried again, and told once.
      if (!this.#isAway) {
        log.warn(
          { code: codeOf(thrown), message: messageOf(thrown) },
          'guarded changes cannot be settled now',
        );
      }
      this.#isAway = true;
    }
  }

  #watchOf(setting: GuardedSetting, now: RequestTotals): Watch {
    const known = this.#watches.get(nameOf(setting));
    if (known !== undefined) {
      const [first = now, ...later] = known.seen;
      known.seen = [first, ...later.slice(-LOOKS_KEPT_MAX), now];
      return known;
    }
    const nowMs = this.#options.clock.wallMs();
    const untilMs = setting.guard?.untilMs ?? nowMs;
    const againMs = nowMs + Math.max(0, untilMs - setting.updatedAtMs);
    return { untilMs: untilMs > nowMs ? untilMs : againMs, seen: [now] };
  }

  async #judge(setting: GuardedSetting, watch: Watch, now: RequestTotals): Promise<void> {
    const { guard } = setting;
    if (guard === null) return;
    const whole = measure(watch.seen[0] ?? now, now);
    const recent = watch.seen.findLast((then) => now.requests - then.requests >= REQUESTS_RECENT_MIN);
    const breach = breachOf(guard, recent === undefined ? whole : measure(recent, now));
    if (breach !== undefined) await this.#settle(setting, 'revert', breach);
    else if (this.#options.clock.wallMs() >= watch.untilMs)
      await this.#settle(setting, 'keep', described(whole));
  }

  async #settle(setting: GuardedSetting, verdict: 'keep' | 'revert', detail: string): Promise<void> {
    const { key, version } = setting;
    const isSettled = await this.#options.settings.settleGuard(key, version, verdict, AUTHOR, detail);
    if (!isSettled) return;
    this.#options.log.warn({ setting: key, version, verdict, detail }, 'a guarded change is settled');
    this.#options.onSettled();
  }
}

function nameOf({ key, version }: GuardedSetting): string {
  return `${key} ${version}`;
}

function breachOf(
  { errorRateMax, latencyP99MsMax }: NonNullable<GuardedSetting['guard']>,
  figures: RequestFigures,
): string | undefined {
  const { requests, errorRate, latencyP99Ms } = figures;
  if (requests < REQUESTS_JUDGED_MIN) return undefined;
  if (errorRateMax !== null && errorRate > errorRateMax) {
    return `${described(figures)}; the error rate may be ${percent(errorRateMax)}`;
  }
  if (latencyP99MsMax !== null && latencyP99Ms !== undefined && latencyP99Ms > latencyP99MsMax) {
    return `${described(figures)}; p99 may be ${latencyP99MsMax} ms`;
  }
  return undefined;
}

function described({ requests, errorRate, latencyP99Ms }: RequestFigures): string {
  const latency = latencyP99Ms === undefined ? 'none of them stored' : `p99 ${latencyText(latencyP99Ms)}`;
  return `${requests} requests, ${percent(errorRate)} failed by faults of ours, ${latency}`;
}

function latencyText(ms: number): string {
  return Number.isFinite(ms) ? `${ms.toFixed(1)} ms` : 'above every bound that is measured';
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
