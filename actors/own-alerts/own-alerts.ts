/**
 * The own alerts of a node: each thing that is wrong is raised once and resolved when it has been over for a while.
 *
 * Of things that every node of the installation sees, the node that is first to claim it tells, and the last one that sees
 * it says when it is over. While nobody can be asked for claims (PostgreSQL is away) each node tells; destinations that fold
 * by signature then fold what they get. What was told is remembered beyond the process (`restore`): who was called for a
 * trouble hears of its end, and is not called again, whatever restarts meanwhile. Invariants: at most `OPEN_MAX` are open; a
 * raised one is resolved once, and never before it was raised; what becomes of an own alert raises none.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CONDITIONS } from './conditions.ts';
import type { Finding } from './conditions.ts';

/** Who of several nodes tells. Both may reject or never settle: then this one does. */
export interface OwnAlertClaims {
  /** Says that this node sees it, again and again while it does. Resolves to whether no other did before it. */
  observe(signature: string): Promise<boolean>;
  /** This node sees it no more. Resolves to whether nobody else does. */
  withdraw(signature: string): Promise<boolean>;
}

/** Takes what is to be told. False: there is no room now, and it is given again. */
export interface OwnAlertPost {
  offer(told: ToldAlert): boolean;
  /** Somebody else says when it is over. */
  forget(signature: string): void;
}

export interface ToldAlert {
  signature: string;
  status: 'firing' | 'resolved';
  description: string;
  /** Wall clock. */
  raisedAtMs: number;
  /** Of this status. */
  atMs: number;
  /** Not to be told by this one. */
  destination?: string;
  /** See Finding. */
  isShared: boolean;
}

/** That somebody has been told that something is wrong, and not yet that it is over. Outlives the process. */
export interface ToldRecord {
  signature: string;
  description: string;
  /** Wall clock. */
  raisedAtMs: number;
  destination?: string;
  isShared: boolean;
  /** Destinations. */
  toldTo: readonly string[];
}

export interface OwnAlertsOptions {
  clock: Clock;
  claims: OwnAlertClaims;
  post: OwnAlertPost;
  resolveAfterMs: () => number;
  onChange: (status: ToldAlert['status'], finding: Finding) => void;
}

/** For people: what is open. */
export interface OpenOwnAlert {
  signature: string;
  description: string;
  /** RFC 3339. */
  since: string;
  /** False: another node has told it. */
  told_here: boolean;
}

interface Open {
  finding: Finding;
  raisedAtMs: number;
  /** Monotonic. */
  seenAtMs: number;
  claimedAtMs: number;
  /** `claiming`: it is not known yet who tells. */
  state: 'claiming' | 'to tell' | 'told' | 'elsewhere' | 'withdrawing';
}

export const OPEN_MAX = 256;
/** Well below the time after which a node that has vanished is no observer any more. */
const CLAIM_EVERY_MS = 20_000;
const CLAIM_WAIT_MS = 2_000;

export class OwnAlerts {
  readonly #options: OwnAlertsOptions;
  readonly #open = new Map<string, Open>();

  constructor(options: OwnAlertsOptions) {
    this.#options = options;
  }

  isOpen(signature: string): boolean {
    return this.#open.has(signature);
  }

  get open(): OpenOwnAlert[] {
    return [...this.#open.values()].map(({ finding, raisedAtMs, state }) => ({
      signature: finding.signature,
      description: finding.description,
      since: new Date(raisedAtMs).toISOString(),
      told_here: state === 'told' || state === 'to tell',
    }));
  }

  /**
   * What was told before this process began: while it is so still it is not told again, and when it is over that is told.
   * To be called before the first look.
   */
  restore(records: readonly ToldRecord[]): void {
    const seenAtMs = this.#options.clock.monotonicMs();
    for (const { signature, description, raisedAtMs, isShared, destination } of records.slice(0, OPEN_MAX)) {
      const condition = CONDITIONS.find((each) => signature.startsWith(`mutt::${each}::`));
      if (condition === undefined) continue;
      const finding: Finding = { signature, condition, description, isShared };
      if (destination !== undefined) finding.destination = destination;
      this.#open.set(signature, { finding, raisedAtMs, seenAtMs, claimedAtMs: -Infinity, state: 'told' });
    }
  }

  /** What is wrong at this moment. */
  look(found: readonly Finding[]): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const finding of found) {
      const open = this.#open.get(finding.signature);
      if (open === undefined) this.#raise(finding, nowMs);
      else {
        open.finding = finding;
        open.seenAtMs = nowMs;
        this.#renew(open, nowMs);
      }
    }
    for (const open of this.#open.values()) {
      if (open.state === 'to tell') this.#tell(open);
      const isOver = nowMs - open.seenAtMs >= this.#options.resolveAfterMs() && open.seenAtMs !== nowMs;
      if (isOver && (open.state === 'told' || open.state === 'elsewhere')) void this.#resolve(open);
    }
  }

  #raise(finding: Finding, nowMs: number): void {
    if (this.#open.size >= OPEN_MAX) return;
    const raisedAtMs = this.#options.clock.wallMs();
    const open: Open = { finding, raisedAtMs, seenAtMs: nowMs, claimedAtMs: nowMs, state: 'to tell' };
    this.#open.set(finding.signature, open);
    if (finding.isShared) {
      open.state = 'claiming';
      void this.#claim(open);
    } else this.#tell(open);
  }

  async #claim(open: Open): Promise<void> {
    const { claims } = this.#options;
    const isFirst = await this.#inTime(() => claims.observe(open.finding.signature));
    open.state = isFirst ? 'to tell' : 'elsewhere';
    if (isFirst) this.#tell(open);
  }

  /** Other nodes must know that this one still sees it. */
  #renew(open: Open, nowMs: number): void {
    if (!open.finding.isShared || open.state === 'claiming' || nowMs - open.claimedAtMs < CLAIM_EVERY_MS)
      return;
    open.claimedAtMs = nowMs;
    void this.#inTime(() => this.#options.claims.observe(open.finding.signature));
  }

  async #resolve(open: Open): Promise<void> {
    const wasTold = open.state === 'told';
    const { signature, isShared } = open.finding;
    open.state = 'withdrawing';
    const isLast = isShared ? await this.#inTime(() => this.#options.claims.withdraw(signature)) : wasTold;
    if (!isLast) {
      this.#open.delete(signature);
      this.#options.post.forget(signature);
    } else if (this.#offer(open, 'resolved')) this.#open.delete(signature);
    // No room for it now: it is tried again at the next look.
    else open.state = 'told';
  }

  #tell(open: Open): void {
    if (this.#offer(open, 'firing')) open.state = 'told';
  }

  #offer({ finding, raisedAtMs }: Open, status: ToldAlert['status']): boolean {
    const { post, clock, onChange } = this.#options;
    const { signature, description, destination, isShared } = finding;
    const atMs = status === 'firing' ? raisedAtMs : clock.wallMs();
    const isTaken = post.offer({
      signature,
      status,
      description,
      raisedAtMs,
      atMs,
      isShared,
      ...(destination === undefined ? {} : { destination }),
    });
    if (isTaken) onChange(status, finding);
    return isTaken;
  }

  /** True when there is no answer in time: told twice is better than never. */
  async #inTime(ask: () => Promise<boolean>): Promise<boolean> {
    const patience = new AbortController();
    try {
      return await Promise.race([
        ask(),
        sleep(this.#options.clock, CLAIM_WAIT_MS, patience.signal).then(() => true),
      ]);
    } catch {
      return true;
    } finally {
      patience.abort();
    }
  }
}
