/**
 * One destination's lane: which alert may be sent now, and what a delivery's outcome means. No I/O, no timers.
 *
 * How fast, and whether at all, is decided together with all who send there (runtime/durable/pace.ts): `wish` says what
 * to ask and tell, `allow` takes the answer. What this lane has told and not been answered yet holds here at once.
 *
 * Invariants: alerts of one signature leave one after another, in their order; never more than `concurrency` at once,
 * never without a token; while the destination is down (breaker open) only a probe is sent and no attempt is charged;
 * an alert that fails while others get through is set aside with its own back-off, for a while: then it dies; who holds the lane keeps what comes
 * after it of its signature out of it meanwhile (signature-queues.ts), so that it blocks its signature and nothing else.
 *
 * A backlog is what has waited while nothing was sent: the breaker open, a rest asked for, or somebody's pause. Of a
 * backlog an alert that was never sent is superseded as soon as a later one of its signature and partition waits. That
 * one is not sent before the end of the earlier one is committed, so that it cannot come back and pass for the latest.
 *
 * A replayed alert is older than its place in the lane says. So it supersedes nothing and nothing supersedes it here:
 * whether it is still the latest of its signature is asked when it is sent. No age and no mute ends it: it waits.
 */
import { FAILURES_TO_OPEN } from '../../runtime/durable/pace.ts';
import type { PaceAnswer, PaceNews } from '../../runtime/durable/pace.ts';
import type { DeliveryOutcome } from '../ports.ts';
import type { LaneAction, LaneItem, LaneOptions, LanePace, LaneWish, Unsent } from './lane-options.ts';
import { isOfThisNode, whyOf } from './lane-trouble.ts';
import type { Failure } from './lane-trouble.ts';
import { NO_NEWS, TAKEN, added } from './pace-news.ts';
import { TokenPurse } from './token-purse.ts';

export type { LaneAction, LaneItem, LaneOptions, LanePace, LaneWish, Unsent } from './lane-options.ts';

/** When the pace could not be asked, it is asked again after so long. */
const ASK_AGAIN_MS = 200;
/** Attempts of one alert, others getting through, after which it is stored away. */
const ATTEMPTS_TO_DELAY = 3;
/** No alert dies of its age before so many: an outage makes alerts old, and says nothing about them. */
const ATTEMPTS_TO_DIE = 8;

type Of<Kind extends DeliveryOutcome['kind']> = Extract<DeliveryOutcome, { kind: Kind }>;
export type BreakerState = 'closed' | 'open' | 'probing';

interface Waiting<I> {
  item: I;
  notBeforeMs: number;
  probes: number;
  /** It was on its way once: whether the destination has it is not sure. */
  wasSent: boolean;
  /** It has waited while nothing was sent. */
  isBacklog: boolean;
  /** How many alerts were known to be taken when its credential was refused last. */
  takenAtDenial?: number;
}

export class Lane<I extends LaneItem> {
  #options: LaneOptions;
  readonly #waiting: Waiting<I>[] = [];
  readonly #inFlight = new Map<I, Waiting<I>>();
  readonly #busySignatures = new Set<string>();
  readonly #purse = new TokenPurse();
  #unsent: Unsent<I>[] = [];
  /** Alerts of which it is not committed yet that they are superseded or dead, by signature: none must pass them. */
  readonly #ending = new Map<string, number>();
  #isPaused = false;
  /** As all senders have it, and this one's own news beside. */
  #breaker: BreakerState = 'closed';
  #failuresInRow = 0;
  /** Grows with every alert that is taken, as far as this lane hears of it. */
  #taken = 0;
  #resumeAtMs = 0;
  /** The token at hand is for a probe. */
  #isProber = false;
  #news = NO_NEWS;
  /** What was told with the question that is not answered yet; undefined while there is none. */
  #asked: PaceNews | undefined;
  /** Somebody may know of failures: that something was taken is worth telling. */
  #isNoted = false;
  #askAtMs = 0;
  /** The pace could not be asked: neither asked nor told anything before. */
  #silentUntilMs = 0;
  /** Until then this node sends nothing, for a trouble of its own, after so many in a row. */
  #holdUntilMs = 0;
  #ownTroubles = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get breaker(): BreakerState {
    return this.#breaker;
  }

  /** Deliveries that have failed since the last one that was answered. */
  get failuresInRow(): number {
    return this.#failuresInRow;
  }

  /** Alerts in the lane, in flight included. */
  get size(): number {
    return this.#waiting.length + this.#inFlight.size;
  }

  /** Goes on at another pace; what waits and what is in flight stays. */
  changePace(pace: LanePace): void {
    this.#options = { ...this.#options, ...pace };
  }

  /** Whether nothing is sent for now, whatever the destination does. */
  isHeldUp(nowMs: number): boolean {
    return this.#isPaused || this.#breaker !== 'closed' || nowMs < this.#startAtMs();
  }

  /** `hasWaited`: for an alert of its signature that was set aside, so that it is of a backlog. */
  offer(item: I, nowMs: number, hasWaited = false): void {
    const isBacklog = hasWaited || this.isHeldUp(nowMs);
    this.#waiting.push({ item, notBeforeMs: 0, probes: 0, wasSent: item.attempts > 0, isBacklog });
    this.#supersedeBefore(this.#waiting.length - 1);
  }

  /** Nothing is sent while it is; nothing waits for that, so that it can be told again and again. */
  pause(isPaused: boolean): void {
    if (isPaused && !this.#isPaused) this.#noteBacklog();
    this.#isPaused = isPaused;
  }

  /** All that waits ends unsent, but for what is replayed: that is given back. */
  mute(): I[] {
    const { true: replays = [], false: others = [] } = Object.groupBy(this.#waiting.splice(0), ({ item }) =>
      item.isReplay === true ? 'true' : 'false',
    );
    for (const { item } of others) this.#unsent.push({ item, reason: 'muted' });
    return replays.map(({ item }) => item);
  }

  /** Gives back, in their order, those of a signature and partition that wait. */
  withdraw(signature: string, partition: number): I[] {
    const isOf = ({ item }: Waiting<I>): boolean =>
      item.partition === partition && item.alert.signature === signature;
    const found = this.#waiting.filter(isOf);
    if (found.length > 0) {
      const others = this.#waiting.filter((waiting) => !isOf(waiting));
      this.#waiting.splice(0, this.#waiting.length, ...others);
    }
    return found.map(({ item }) => item);
  }

  /** Ends an alert that never was in here, for one that comes after it. */
  supersede(earlier: I, later: I): void {
    later.alert.count += earlier.alert.count;
    this.#beginEnd(earlier);
    this.#unsent.push({ item: earlier, reason: 'superseded' });
  }

  /** What has ended unsent since the last time, to be committed. */
  takeUnsent(): Unsent<I>[] {
    const unsent = this.#unsent;
    if (unsent.length > 0) this.#unsent = [];
    return unsent;
  }

  /**
   * The end of a superseded alert or of a dead letter is committed, or void: then all that waits is read again. To be
   * called for each.
   */
  ended({ alert: { signature } }: I): void {
    const left = (this.#ending.get(signature) ?? 1) - 1;
    if (left > 0) this.#ending.set(signature, left);
    else this.#ending.delete(signature);
  }

  /** Nothing is sent before. */
  #startAtMs(): number {
    return Math.max(this.#resumeAtMs, this.#holdUntilMs);
  }

  #beginEnd({ alert: { signature } }: I): void {
    this.#ending.set(signature, (this.#ending.get(signature) ?? 0) + 1);
  }

  #noteBacklog(): void {
    for (const waiting of this.#waiting) waiting.isBacklog = true;
    for (let index = this.#waiting.length - 1; index > 0; index = Math.min(index, this.#waiting.length) - 1) {
      this.#supersedeBefore(index);
    }
  }

  /** Ends what this one supersedes. */
  #supersedeBefore(index: number): void {
    const later = this.#waiting[index];
    if (later === undefined || later.item.isReplay === true || !this.#options.collapse) return;
    const { signature } = later.item.alert;
    for (let before = index - 1; before >= 0; before -= 1) {
      const { item, isBacklog, wasSent } = this.#waiting[before] as Waiting<I>;
      if (!isBacklog || wasSent || item.isReplay === true || item.alert.signature !== signature) continue;
      if (item.partition !== later.item.partition) continue;
      this.#waiting.splice(before, 1);
      this.supersede(item, later.item);
    }
  }

  /** Forgets what is waiting (not what is in flight) and gives it back: it will be read again from its mailbox. */
  clear(): I[] {
    return this.#waiting.splice(0).map(({ item }) => item);
  }

  /** The next alert to send at this moment, or undefined. */
  next(nowMs: number): I | undefined {
    if (this.#isHeldBack(nowMs) || !this.#mayTake(nowMs)) return undefined;
    const waiting = this.#takeNext(nowMs);
    if (waiting === undefined) return undefined;
    waiting.wasSent = true;
    this.#purse.spend(nowMs);
    this.#inFlight.set(waiting.item, waiting);
    this.#busySignatures.add(waiting.item.alert.signature);
    this.#isProber = false;
    if (this.#breaker === 'open') this.#breaker = 'probing';
    return waiting.item;
  }

  /** Out of what waits; what is too old ends here. */
  #takeNext(nowMs: number): Waiting<I> | undefined {
    const { staleAfterMs, wallMs } = this.#options;
    for (;;) {
      const index = this.#breaker === 'closed' ? this.#nextIndex(nowMs) : this.#probeIndex();
      if (index < 0) return undefined;
      const [waiting] = this.#waiting.splice(index, 1) as [Waiting<I>];
      const { item } = waiting;
      const isStale = staleAfterMs !== null && wallMs() - Date.parse(item.alert.received_at) > staleAfterMs;
      if (!isStale || item.isReplay === true) return waiting;
      this.#unsent.push({ item, reason: 'stale' });
    }
  }

  /** How long to wait before `next` or `wish` can give anything; undefined when only something else changes it. */
  waitMs(nowMs: number): number | undefined {
    if (this.#isPaused || this.#waiting.length === 0) return undefined;
    if (this.#inFlight.size >= this.#options.concurrency) return undefined;
    if (this.#breaker !== 'closed' && this.#inFlight.size > 0) return undefined;
    const isAsking = this.#asked !== undefined;
    if (isAsking && !this.#mayTake(nowMs)) return undefined;
    const dueMs = this.#breaker === 'closed' ? this.#nextDueAtMs(nowMs) - nowMs : 0;
    if (dueMs === Infinity) return undefined;
    const askMs = this.#mayTake(nowMs) ? 0 : Math.max(this.#askAtMs, this.#silentUntilMs) - nowMs;
    return Math.ceil(Math.max(askMs, dueMs, this.#startAtMs() - nowMs, 1));
  }

  /** What is to be asked now; then `allow` or `notAllowed` must follow. */
  wish(nowMs: number): LaneWish | undefined {
    if (this.#asked !== undefined || nowMs < this.#silentUntilMs) return undefined;
    const wanted = this.#wanted(nowMs);
    const news = this.#news;
    // That something was taken goes along with the next question, unless somebody waits for it.
    const isNews = news.failures > 0 || news.restMs > 0 || (news.hasSucceeded && this.#isNoted);
    if (wanted === 0 && !isNews) return undefined;
    this.#asked = news;
    this.#news = NO_NEWS;
    return { wanted, returned: this.#purse.takeSpare(), ...(news === NO_NEWS ? {} : { news }) };
  }

  allow(answer: PaceAnswer, nowMs: number): void {
    const wasHeldUp = this.isHeldUp(nowMs);
    this.#asked = undefined;
    this.#askAtMs = answer.granted > 0 ? 0 : nowMs + answer.waitMs;
    const own = this.#news;
    const failures = (own.hasSucceeded ? 0 : answer.failures) + own.failures;
    const isOpen = (answer.isOpen && !own.hasSucceeded) || (own.failures > 0 && failures >= FAILURES_TO_OPEN);
    if (!isOpen) this.#close();
    else if (this.#breaker === 'closed') this.#breaker = 'open';
    if (isOpen) this.#purse.setAside();
    this.#purse.add(answer.granted, nowMs);
    this.#isProber = answer.isProbe;
    this.#failuresInRow = failures;
    this.#isNoted = answer.failures > 0;
    if (answer.restMs > 0 || (own.failures === 0 && own.restMs === 0)) {
      this.#resumeAtMs = nowMs + answer.restMs;
    }
    if (!wasHeldUp && this.isHeldUp(nowMs)) this.#noteBacklog();
  }

  /** The question came to nothing. */
  notAllowed(nowMs: number): void {
    const told = this.#asked ?? NO_NEWS;
    this.#asked = undefined;
    this.#news = added(told, this.#news);
    this.#silentUntilMs = nowMs + ASK_AGAIN_MS;
  }

  settle(item: I, outcome: DeliveryOutcome, nowMs: number): LaneAction<I> {
    const known = this.#inFlight.get(item);
    const waiting = known ?? { item, notBeforeMs: 0, probes: 0, wasSent: true, isBacklog: false };
    this.#inFlight.delete(item);
    this.#busySignatures.delete(item.alert.signature);
    switch (outcome.kind) {
      case 'delivered':
        this.#succeed();
        return { kind: 'delivered', item };
      case 'superseded':
        this.#learnNothing();
        return { kind: 'superseded', item };
      case 'refused':
        if (outcome.reason === 'template') this.#learnNothing();
        // The destination is well: it read the alert and will never take it.
        else this.#succeed();
        this.#beginEnd(item);
        return { kind: 'dead', item, outcome };
      case 'unauthorized':
        return this.#deny(waiting, outcome, nowMs);
      case 'retry':
        if (isOfThisNode(outcome)) {
          this.#holdHere(nowMs);
          return this.#keep(waiting);
        }
        return this.#retry(waiting, outcome, nowMs);
    }
  }

  /** Back to where it was: it cannot be set aside. */
  giveBack(item: I, delayMs: number, nowMs: number): void {
    this.#keep({ item, notBeforeMs: nowMs + delayMs, probes: 0, wasSent: true, isBacklog: false });
  }

  #succeed(): void {
    this.#taken += 1;
    this.#isNoted ||= this.#failuresInRow > 0 || this.#breaker !== 'closed';
    // At every delivery: nothing is made where nothing is new.
    this.#news = this.#news === NO_NEWS ? TAKEN : added(this.#news, TAKEN);
    this.#failuresInRow = 0;
    this.#ownTroubles = 0;
    this.#close();
  }

  /** Nothing was sent, which says nothing about the destination: another is the probe, if this one was. */
  #learnNothing(): void {
    if (this.#breaker === 'probing') this.#breaker = 'open';
  }

  /** For a trouble of this node: others go on sending there. */
  #holdHere(nowMs: number): void {
    this.#learnNothing();
    // Those that were begun together have one trouble.
    if (nowMs < this.#holdUntilMs) return;
    const wasHeldUp = this.isHeldUp(nowMs);
    this.#ownTroubles += 1;
    this.#holdUntilMs = nowMs + this.#options.breakerMs(this.#ownTroubles);
    if (!wasHeldUp) this.#noteBacklog();
  }

  /**
   * No alert is at fault, and the lane waits until somebody has mended the credential; but one that is refused again,
   * others having been taken with it, is a failure like any other: what guards a destination may refuse what is in it.
   */
  #deny(waiting: Waiting<I>, outcome: Of<'unauthorized'>, nowMs: number): LaneAction<I> {
    const { item, takenAtDenial = this.#taken } = waiting;
    waiting.takenAtDenial = this.#taken;
    if (item.attempts > 0 || takenAtDenial !== this.#taken)
      return this.#retry(waiting, { ...outcome, kind: 'retry' }, nowMs);
    if (this.#breaker !== 'closed') waiting.probes += 1;
    this.#fail(outcome, nowMs, true);
    return this.#keep(waiting);
  }

  #retry(waiting: Waiting<I>, outcome: Of<'retry'>, nowMs: number): LaneAction<I> {
    this.#fail(outcome, nowMs, false);
    if (this.#breaker !== 'closed') {
      waiting.probes += 1;
      return this.#keep(waiting);
    }
    const { item } = waiting;
    item.attempts += 1;
    item.triedSinceMs ??= this.#options.wallMs();
    if (this.#isTriedEnough(item)) {
      this.#beginEnd(item);
      return { kind: 'dead', item, outcome };
    }
    const { retryAfterMs = 0 } = outcome;
    // One that may be sent at once is not sent over and over.
    const delayMs = retryAfterMs > 0 ? retryAfterMs : this.#options.backoffMs(item.attempts);
    if (item.attempts >= ATTEMPTS_TO_DELAY) return { kind: 'delay', item, delayMs };
    waiting.notBeforeMs = nowMs + delayMs;
    return this.#keep(waiting);
  }

  /** One that is replayed has been tried before: whoever replays it waits longer before the next time. */
  #isTriedEnough({ attempts, triedSinceMs = 0, isReplay }: I): boolean {
    if (isReplay === true) return attempts >= ATTEMPTS_TO_DELAY;
    const { wallMs, retryAgeMaxMs = () => Infinity } = this.#options;
    return attempts >= ATTEMPTS_TO_DIE && wallMs() - triedSinceMs >= retryAgeMaxMs();
  }

  /** Puts it back where it was: before everything that came after it. */
  #keep(waiting: Waiting<I>): LaneAction<I> {
    this.#waiting.unshift(waiting);
    return { kind: 'kept', item: waiting.item };
  }

  /** Notes a failure, to be told, and takes it into account here as those who hear of it will. */
  #fail(outcome: Exclude<Failure, { kind: 'refused' }>, nowMs: number, mustOpen: boolean): void {
    const restMs = (outcome.kind === 'retry' ? outcome.retryAfterMs : undefined) ?? 0;
    if (this.#breaker === 'open') {
      // It was begun before and says nothing new, but for how long to wait.
      if (restMs === 0) return;
      this.#news = added(this.#news, { ...NO_NEWS, restMs });
      this.#resumeAtMs = Math.max(this.#resumeAtMs, nowMs + restMs);
      return;
    }
    const wasHeldUp = this.isHeldUp(nowMs);
    this.#failuresInRow += 1;
    if (mustOpen) this.#failuresInRow = Math.max(this.#failuresInRow, FAILURES_TO_OPEN);
    const over = this.#failuresInRow - FAILURES_TO_OPEN;
    const openMs = restMs > 0 ? restMs : this.#options.breakerMs(Math.max(0, over) + 1);
    const news = { hasSucceeded: false, failures: 1, mustOpen, openMs, restMs, why: whyOf(outcome) };
    this.#news = added(this.#news, news);
    const isOpen = this.#breaker !== 'closed' || over >= 0;
    const pauseMs = isOpen ? openMs : restMs;
    if (pauseMs > 0) this.#resumeAtMs = Math.max(this.#resumeAtMs, nowMs + pauseMs);
    if (pauseMs > 0 && !wasHeldUp) this.#noteBacklog();
    if (!isOpen) return;
    this.#breaker = 'open';
    this.#isProber = false;
    this.#purse.setAside();
  }

  #close(): void {
    if (this.#breaker === 'closed') return;
    this.#breaker = 'closed';
    this.#taken += 1;
    for (const waiting of this.#waiting) waiting.probes = 0;
  }

  /** Whatever the shared pace says. */
  #isHeldBack(nowMs: number): boolean {
    if (this.#isPaused || nowMs < this.#startAtMs() || this.#inFlight.size >= this.#options.concurrency)
      return true;
    return this.#breaker !== 'closed' && this.#inFlight.size > 0;
  }

  #mayTake(nowMs: number): boolean {
    return this.#purse.hasOne(nowMs) && (this.#breaker === 'closed' || this.#isProber);
  }

  /** Tokens to ask for: for what could be sent as far as this lane knows. */
  #wanted(nowMs: number): number {
    this.#purse.expire(nowMs);
    if (this.#isPaused || this.#waiting.length === 0 || nowMs < Math.max(this.#startAtMs(), this.#askAtMs))
      return 0;
    if (this.#breaker !== 'closed') {
      const isProbePossible = this.#inFlight.size === 0 && !this.#mayTake(nowMs);
      return isProbePossible ? 1 : 0;
    }
    if (this.#inFlight.size >= this.#options.concurrency && !this.#purse.hasOne(nowMs)) return 0;
    const wanted = this.#purse.wanted(this.#waiting.length, this.#options.ratePerSecond, nowMs);
    return wanted > 0 && this.#nextIndex(nowMs) >= 0 ? wanted : 0;
  }

  /** The oldest that is due and whose signature is neither in hand nor waiting before it. */
  #nextIndex(nowMs: number): number {
    const passed = new Set<string>();
    return this.#waiting.findIndex(({ item, notBeforeMs }) => {
      const { signature } = item.alert;
      if (notBeforeMs <= nowMs && this.#isFree(signature) && !passed.has(signature)) return true;
      passed.add(signature);
      return false;
    });
  }

  /** Nothing of it is on its way, or has to end first. */
  #isFree(signature: string): boolean {
    return !this.#busySignatures.has(signature) && !this.#ending.has(signature);
  }

  /** When the first of them is due; Infinity while all wait for another of their signature. */
  #nextDueAtMs(nowMs: number): number {
    const passed = new Set<string>();
    let dueAtMs = Infinity;
    for (const { item, notBeforeMs } of this.#waiting) {
      const { signature } = item.alert;
      if (this.#isFree(signature) && !passed.has(signature)) dueAtMs = Math.min(dueAtMs, notBeforeMs);
      if (dueAtMs <= nowMs) break;
      passed.add(signature);
    }
    return dueAtMs;
  }

  /** The oldest of those that have been a probe least often: one bad alert cannot keep a well destination closed. */
  #probeIndex(): number {
    let best = -1;
    let bestProbes = Infinity;
    const passed = new Set<string>();
    this.#waiting.forEach(({ item, probes }, index) => {
      const { signature } = item.alert;
      if (this.#isFree(signature) && !passed.has(signature) && probes < bestProbes) {
        best = index;
        bestProbes = probes;
      }
      passed.add(signature);
    });
    return best;
  }
}
