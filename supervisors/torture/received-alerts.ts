/**
 * What one destination has taken, alert by alert, in memory that grows by some 40 bytes for each and is bounded.
 *
 * What can only be seen when an alert comes is judged here: its place in the order of its signature, and whether a repeat
 * is what came before. Everything else is for the verdict. Invariant: `deliveries` is the sum of what is recorded, `own`,
 * `unmatched` and `unrecorded`.
 */
import { OWN_RULE_ID, UNMATCHED_RULE_ID } from '../../actors/event.ts';
import { EventSet } from './event-set.ts';
import { Column, EventTable, digestOf } from './event-table.ts';
import { Examples } from './examples.ts';
import { knownEventIn, nameOf } from './known-event.ts';
import type { KnownEvent } from './known-event.ts';

/** Whose documents it takes (actors/forward/kinds). */
export type TakenKind = 'webhook' | 'moogsoft';

/** What a POST says, as far as a destination folds by it. */
export interface PostedAlert {
  alertId: string;
  /** What tells a repeat: the Idempotency-Key of a webhook, the `external_id` of Moogsoft. */
  dedupKey: string;
  signature: string;
  ruleId: number;
  description: string;
}

const ALERTS_MAX = 4_000_000;
const SIGNATURES_MAX = 100_000;
/** It is higher than that of the alert itself when it speaks for others which it has superseded. */
const COUNT = /"count":\d+/;

export class ReceivedAlerts {
  readonly #table = new EventTable();
  readonly #ids = new Column();
  readonly #keys = new Column();
  readonly #contents = new Column();
  readonly #atMs = new Column();
  /** Of what came late: the number after which it came. */
  readonly #lateAfter = new Column();
  /** By signature, the highest number that has come. */
  readonly #highest = new Map<string, KnownEvent>();
  readonly #alertsMax: number;
  readonly #collapses: boolean;
  deliveries = 0;
  /** About MUTT itself. */
  own = 0;
  /** About what no rule matches. */
  unmatched = 0;
  repeats = 0;
  /** More than is kept. A verdict about this destination would be none. */
  unrecorded = 0;
  /** Events whose alert came first after that of a later one of its signature. */
  readonly late = new EventSet();
  /** Repeats of an alert under another key. */
  readonly twoKeys = new Examples();
  /** Repeats that say something else under the same key. */
  readonly twoContents = new Examples();
  /** Events that came with several alerts. */
  readonly twoAlerts = new Examples();
  readonly twoHosts = new Examples();
  /** What is no alert of a known event. */
  readonly strange = new Examples();

  /** `collapses`: alerts may speak for others, and say of how many. */
  constructor({ collapses, alertsMax = ALERTS_MAX }: { collapses: boolean; alertsMax?: number }) {
    this.#collapses = collapses;
    this.#alertsMax = alertsMax;
  }

  /** Distinct alerts of known events. */
  get size(): number {
    return this.#table.size;
  }

  /** `body`: as it came. `atMs`: any clock. */
  take(alert: PostedAlert, body: string, atMs: number): void {
    this.deliveries += 1;
    const { ruleId, description } = alert;
    if (ruleId === OWN_RULE_ID) {
      this.own += 1;
      return;
    }
    if (ruleId === UNMATCHED_RULE_ID) {
      this.unmatched += 1;
      return;
    }
    const event = knownEventIn(description);
    if (event === undefined) {
      this.strange.add(() => `an alert of no known event: ${description.slice(0, 200)}`);
      return;
    }
    const content = digestOf(this.#collapses ? body.replace(COUNT, '"count":0') : body);
    const row = this.#table.rowOf(event);
    if (row !== undefined) this.#compare(event, row, alert, content);
    else if (this.#table.size < this.#alertsMax) this.#record(event, alert, content, atMs);
    else this.unrecorded += 1;
  }

  has(event: KnownEvent): boolean {
    return this.#table.rowOf(event) !== undefined;
  }

  /** Of the alert that came first for an event; undefined when none did. */
  idDigest(event: KnownEvent): number | undefined {
    const row = this.#table.rowOf(event);
    return row === undefined ? undefined : this.#ids.at(row);
  }

  /** When the first alert of an event came. */
  takenAtMs(event: KnownEvent): number | undefined {
    const row = this.#table.rowOf(event);
    return row === undefined ? undefined : this.#atMs.at(row);
  }

  /** The number of its signature that had come when this one came late. */
  lateAfter(event: KnownEvent): number {
    return this.#lateAfter.at(this.#table.rowOf(event) ?? -1);
  }

  /** Those of which an alert came. */
  *events(): Generator<KnownEvent, void> {
    for (let row = 0; row < this.#table.size; row++) yield this.#table.at(row);
  }

  /** Those whose dedup key is that of another event's alert, which came before. */
  withKeyOfAnother(): KnownEvent[] {
    return this.#keys.repeated(this.#table.size).map((row) => this.#table.at(row));
  }

  #record(event: KnownEvent, alert: PostedAlert, content: number, atMs: number): void {
    const row = this.#table.add(event);
    this.#ids.set(row, digestOf(alert.alertId));
    this.#keys.set(row, digestOf(alert.dedupKey));
    this.#contents.set(row, content);
    this.#atMs.set(row, atMs);
    const { signature } = alert;
    const highest = this.#highest.get(signature);
    if (highest === undefined && this.#highest.size >= SIGNATURES_MAX) {
      this.strange.add(
        () => `more than ${SIGNATURES_MAX} signatures: the order of "${signature}" is not known`,
      );
    } else if (highest !== undefined && highest.host !== event.host) {
      this.twoHosts.add(() => `"${signature}": ${nameOf(highest)} and ${nameOf(event)}`);
    } else if (highest === undefined || event.sequence > highest.sequence) {
      this.#highest.set(signature, event);
    } else {
      this.late.add(event);
      this.#lateAfter.set(row, highest.sequence);
    }
  }

  #compare(event: KnownEvent, row: number, alert: PostedAlert, content: number): void {
    this.repeats += 1;
    if (this.#ids.at(row) !== digestOf(alert.alertId))
      this.twoAlerts.add(() => `${nameOf(event)} once more as ${alert.alertId}`);
    else if (this.#keys.at(row) !== digestOf(alert.dedupKey))
      this.twoKeys.add(() => `${nameOf(event)}, alert ${alert.alertId}, once more as ${alert.dedupKey}`);
    else if (this.#contents.at(row) !== content)
      this.twoContents.add(() => `${nameOf(event)}, key ${alert.dedupKey}`);
  }
}

/** What was posted; undefined when it is no alert of that kind. `headers` in lower case. */
export function readAlert(
  kind: TakenKind,
  headers: ReadonlyMap<string, string>,
  body: string,
): PostedAlert | undefined {
  let document: Record<string, unknown>;
  try {
    document = JSON.parse(body) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof document !== 'object' || document === null) return undefined;
  const isMoogsoft = kind === 'moogsoft';
  const info = (isMoogsoft ? (document['custom_info'] ?? {}) : document) as Record<string, unknown>;
  const alert = {
    alertId: info[isMoogsoft ? 'alert_id' : 'id'],
    dedupKey: isMoogsoft ? document['external_id'] : headers.get('idempotency-key'),
    signature: document['signature'],
    ruleId: info['rule_id'],
    description: document['description'],
  };
  const { ruleId, ...texts } = alert;
  const isWhole =
    typeof ruleId === 'number' && Object.values(texts).every((text) => typeof text === 'string');
  return isWhole ? (alert as PostedAlert) : undefined;
}
