/**
 * Own alerts on their way: to every destination whose routes take them, but for the one that is in trouble; when none of
 * those takes one, to any other. They go by memory alone, beside the lanes, so that they arrive while both stores are away.
 *
 * Invariants: of one signature one after the other, in order; never more posts a minute than the setting says; at most
 * `WAITING_MAX` wait; a delivery that fails is tried again ever later for a day, counted, and told in the log alone.
 */
import { hash } from 'node:crypto';
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { OWN_RULE_ID } from '../event.ts';
import type { Alert } from '../event.ts';
import { routedTo } from '../match/decide.ts';
import type { SentOutcome, Destination } from '../ports.ts';
import type { Settings } from '../settings.ts';
import type { OwnAlertPost, ToldAlert, ToldRecord } from './own-alerts.ts';

export interface OwnAlertQueueOptions {
  clock: Clock;
  /** Named in alerts as the host. */
  node: string;
  settings: () => Settings;
  destinations: () => readonly Destination[];
  /** Names of those that are not well at the moment. */
  troubled: () => ReadonlySet<string>;
  /** Never rejects. */
  deliver: (alert: Alert, destination: Destination) => Promise<SentOutcome>;
  /** `rounds`: how often it was tried everywhere before. */
  onPosted: (outcome: SentOutcome, destination: string, told: ToldAlert, rounds: number) => void;
  onGivenUp: (told: ToldAlert) => void;
  /** Who has been told of what, whenever that changes; and what it was when the process before ended. */
  onTold?: (records: readonly ToldRecord[]) => void;
  remembered?: readonly ToldRecord[];
}

interface Waiting {
  told: ToldAlert;
  dueAtMs: number;
  rounds: number;
  takenBy: Set<string>;
  sinceMs: number;
}

export const WAITING_MAX = 256;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 60_000;
const GIVE_UP_MS = 24 * 3_600_000;
/** When at least one has taken it, the others are tried so often. */
const ROUNDS_FOR_THE_REST = 5;
const MINUTE_MS = 60_000;
const ID_CHARS = 32;

export class OwnAlertQueue implements OwnAlertPost {
  readonly #options: OwnAlertQueueOptions;
  readonly #waiting: Waiting[] = [];
  /** Who has taken a firing alert, by signature: who is told when it is over. */
  readonly #toldTo = new Map<string, ToldRecord>();
  readonly #postedAtMs: number[] = [];
  readonly #stopping = new AbortController();
  #wake: (() => void) | undefined;
  #working: Promise<void> | undefined;

  constructor(options: OwnAlertQueueOptions) {
    this.#options = options;
    for (const record of options.remembered ?? []) this.#toldTo.set(record.signature, record);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  offer(told: ToldAlert): boolean {
    if (this.#stopping.signal.aborted) return false;
    if (told.status === 'resolved' && this.#forgetUntold(told.signature)) return true;
    if (this.#waiting.length >= WAITING_MAX) return false;
    const nowMs = this.#options.clock.monotonicMs();
    this.#waiting.push({ told, dueAtMs: nowMs, rounds: 0, takenBy: new Set(), sinceMs: nowMs });
    this.#wake?.();
    this.#begin();
    return true;
  }

  forget(signature: string): void {
    if (this.#toldTo.delete(signature)) this.#tellRecords();
  }

  /** What is under way is not waited for: nobody would hear of it. */
  stop(): void {
    this.#stopping.abort();
    this.#wake?.();
  }

  #begin(): void {
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      // What came after the last look.
      if (this.#waiting.length > 0 && !this.#stopping.signal.aborted) this.#begin();
    });
  }

  /** What nobody has heard of need not be told to be over, unless it is just being sent. */
  #forgetUntold(signature: string): boolean {
    const at = this.#waiting.findIndex(({ told }) => told.signature === signature);
    const found = this.#waiting[at];
    if (found === undefined || found === this.#inHand || found.takenBy.size > 0) return false;
    if (found.told.status === 'resolved') return false;
    this.#waiting.splice(at, 1);
    return true;
  }
  #inHand: Waiting | undefined;

  async #work(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (this.#waiting.length > 0 && !signal.aborted) {
      const nowMs = clock.monotonicMs();
      const heads = this.#heads();
      const next = heads.find(({ dueAtMs }) => dueAtMs <= nowMs);
      if (next === undefined) {
        await this.#rest(Math.min(...heads.map(({ dueAtMs }) => dueAtMs)) - nowMs);
        continue;
      }
      this.#inHand = next;
      await this.#sendRound(next);
      this.#inHand = undefined;
    }
  }

  /** Until something is due, comes, or the stop; a little at least, so that nothing here ever spins. */
  async #rest(ms: number): Promise<void> {
    const rest = new AbortController();
    this.#wake = () => rest.abort();
    await sleep(this.#options.clock, Math.max(20, ms), rest.signal);
    this.#wake = undefined;
  }

  /** The oldest of each signature: those behind it wait for it. */
  #heads(): Waiting[] {
    const heads = new Map<string, Waiting>();
    for (const waiting of this.#waiting) {
      if (!heads.has(waiting.told.signature)) heads.set(waiting.told.signature, waiting);
    }
    return [...heads.values()];
  }

  async #sendRound(waiting: Waiting): Promise<void> {
    const { clock } = this.#options;
    const { told, takenBy } = waiting;
    const { wanted, others } = this.#targets(told);
    await this.#sendTo(wanted, waiting);
    // Told to a wrong team is better than told to nobody.
    if (takenBy.size === 0) await this.#sendTo(others, waiting, 1);
    if (told.status === 'firing') this.#remember(told, takenBy);
    if (this.#stopping.signal.aborted) return;
    const nowMs = clock.monotonicMs();
    const isEveryone = wanted.every(({ name }) => takenBy.has(name));
    const isTooOld = nowMs - waiting.sinceMs > GIVE_UP_MS;
    const roomMs = this.#roomMs(nowMs);
    if (!isEveryone && !isTooOld && roomMs > 0) {
      // The minute's posts are used up: that was no round.
      waiting.dueAtMs = nowMs + roomMs;
      return;
    }
    waiting.rounds += 1;
    const isEnough = takenBy.size > 0 && (isEveryone || waiting.rounds >= ROUNDS_FOR_THE_REST);
    if (isEnough || isTooOld) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      if (told.status === 'resolved') this.forget(told.signature);
      if (takenBy.size === 0) this.#options.onGivenUp(told);
      return;
    }
    waiting.dueAtMs = nowMs + Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(waiting.rounds - 1, 10));
  }

  #remember(told: ToldAlert, takenBy: ReadonlySet<string>): void {
    const { signature, description, raisedAtMs, isShared, destination } = told;
    if (takenBy.size === 0 || takenBy.size === this.#toldTo.get(signature)?.toldTo.length) return;
    this.#toldTo.set(signature, {
      signature,
      description,
      raisedAtMs,
      isShared,
      ...(destination === undefined ? {} : { destination }),
      toldTo: [...takenBy],
    });
    this.#tellRecords();
  }

  #tellRecords(): void {
    this.#options.onTold?.([...this.#toldTo.values()]);
  }

  /** `enough`: so many that take it. */
  async #sendTo(destinations: readonly Destination[], waiting: Waiting, enough = Infinity): Promise<void> {
    const { deliver, onPosted, clock } = this.#options;
    for (const destination of destinations) {
      if (this.#stopping.signal.aborted || waiting.takenBy.size >= enough) return;
      if (waiting.takenBy.has(destination.name)) continue;
      const nowMs = clock.monotonicMs();
      if (this.#roomMs(nowMs) > 0) return;
      this.#postedAtMs.push(nowMs);
      const outcome = await deliver(this.#alertFor(waiting.told, destination.name), destination);
      if (outcome.kind === 'delivered') waiting.takenBy.add(destination.name);
      onPosted(outcome, destination.name, waiting.told, waiting.rounds);
    }
  }

  /** Until there may be another post: 0 when there may be one now. */
  #roomMs(nowMs: number): number {
    const most = this.#options.settings()['alerts.own.postsPerMinuteMax'];
    while (this.#postedAtMs.length > 0 && nowMs - (this.#postedAtMs[0] ?? 0) >= MINUTE_MS) {
      this.#postedAtMs.shift();
    }
    const oldest = this.#postedAtMs[this.#postedAtMs.length - most];
    return oldest === undefined ? 0 : oldest + MINUTE_MS - nowMs;
  }

  #targets(told: ToldAlert): { wanted: Destination[]; others: Destination[] } {
    const { destinations, troubled, settings } = this.#options;
    const set = settings();
    const all = destinations().filter(({ name }) => name !== told.destination);
    const ill = troubled();
    const wellFirst = (list: readonly Destination[]): Destination[] =>
      list.toSorted((a, b) => Number(ill.has(a.name)) - Number(ill.has(b.name)));
    const toldTo = told.status === 'resolved' ? this.#toldTo.get(told.signature)?.toldTo : undefined;
    const routed = new Set(
      toldTo ??
        routedTo(
          { destinations: all },
          {
            team: set['alerts.own.team'],
            severity: set['alerts.own.severity'],
            environment: 'prod',
            decision: set['alerts.own.handling'],
          },
        ).map(({ name }) => name),
    );
    return {
      wanted: wellFirst(all.filter(({ name }) => routed.has(name))),
      others: wellFirst(all.filter(({ name }) => !routed.has(name))),
    };
  }

  /** The same for the same moment, whichever node tells: who folds by id gets it once. */
  #alertFor({ signature, status, description, raisedAtMs, atMs }: ToldAlert, destination: string): Alert {
    const { settings, node } = this.#options;
    const set = settings();
    const minute = Math.floor(raisedAtMs / MINUTE_MS);
    const identity = hash('sha256', `own\n${signature}\n${minute}\n${status}`, 'hex');
    const at = new Date(atMs).toISOString();
    return {
      id: hash('sha256', `${identity}\n${destination}`, 'hex').slice(0, ID_CHARS),
      destination,
      event_ids: [],
      rule_id: OWN_RULE_ID,
      rule_version: 0,
      decision: set['alerts.own.handling'],
      environment: 'prod',
      team: set['alerts.own.team'],
      severity: set['alerts.own.severity'],
      signature,
      hostname: node,
      event_time: at,
      received_at: at,
      description: status === 'firing' ? description : `Over: ${description}`,
      correlation_id: `own-${identity.slice(0, ID_CHARS)}`,
      count: 1,
      status,
    };
  }
}
