/**
 * Which unmatched events get an audit row: none, all, or a sample: one in a hundred, and the first of each message
 * template in each hour, so that whatever there is can be found.
 *
 * What is remembered is bounded: with too many templates at once the memory of the hour is dropped, and more rows are kept
 * rather than fewer.
 */
import { hostnameHash } from '../ingest/partition.ts';
import type { NormalizedEvent } from '../event.ts';

export type AuditPolicy = 'none' | 'sample' | 'all';

const ONE_IN = 100;
const HOUR_MS = 3_600_000;
const TEMPLATES_MAX = 20_000;

export class UnmatchedAudit {
  readonly #policy: () => AuditPolicy;
  #hour = -1;
  /** Template to the event that is kept for it. */
  #seen = new Map<number, string>();

  /** `policy` is asked for each event. */
  constructor(policy: () => AuditPolicy) {
    this.#policy = policy;
  }

  /**
   * `template`: a hash of the program and the template. A repeated attempt at the same event decides alike: the first
   * attempt's row may never have been stored.
   */
  keeps(event: NormalizedEvent, template: number): boolean {
    const policy = this.#policy();
    if (policy !== 'sample') return policy === 'all';
    if (hostnameHash(event.id) % ONE_IN === 0) return true;
    const hour = Math.floor(event.receivedAtMs / HOUR_MS);
    if (hour !== this.#hour || this.#seen.size >= TEMPLATES_MAX) {
      this.#hour = hour;
      this.#seen = new Map();
    }
    const keptId = this.#seen.get(template);
    if (keptId !== undefined) return keptId === event.id;
    this.#seen.set(template, event.id);
    return true;
  }
}
