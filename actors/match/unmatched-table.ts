/**
 * What no rule matched, counted by host and template: a table of bounded size, whatever comes.
 *
 * When it is full, a clock hand (GCLOCK: A. J. Smith, 1978) looks for the one that goes: each hit gives an entry a
 * further round, up to a few, each round takes one. So a flood of templates that come once pushes out nothing but its
 * own, and everything that comes at least once in as many new templates as the table holds stays.
 *
 * A window begins with the first event and ends `windowMs` later; the next event begins another. After the alert of a
 * window the entry is latched until it was quiet for `windowMs`. All times are of receipt, so repeating the same events
 * counts the same.
 */
import { hash as digestOf } from 'node:crypto';
import type { NormalizedEvent } from '../event.ts';
import type { TemplateHash, TemplateMask } from './template.ts';
import { TEMPLATE_CHARS_MAX } from './template.ts';

/** Of a message, that are kept as the sample. */
export const SAMPLE_CHARS_MAX = 1_024;
const FINGERPRINT_CHARS = 16;
/** Rounds of the hand that an entry outlives without another hit, at most. */
const ROUNDS_MAX = 15;
/** Object, list places and short texts of an entry, measured. */
const ENTRY_BYTES = 480;
/** V8 copies shorter parts of a text by itself. */
const SLICED_CHARS_MIN = 13;

export interface UnmatchedBounds {
  entriesMax: number;
  /** About, of their texts and themselves. */
  bytesMax: number;
}

export const UNMATCHED_BOUNDS: UnmatchedBounds = { entriesMax: 10_000, bytesMax: 16 * 1024 ** 2 };

/** One template of one host. */
export interface UnmatchedEntry {
  readonly host: string;
  readonly partition: number;
  readonly program: string | null;
  readonly trapOid: string | null;
  readonly template: string;
  /** The beginning of the first message seen. */
  readonly sample: string;
  readonly sampleEventId: string;
  windowStartMs: number;
  windowCount: number;
  lastSeenMs: number;
  /** It has had its alert. */
  isLatched: boolean;
  /** Its alert is to be raised. */
  isDue: boolean;
  /** Not stored yet. */
  unstored: number;
  /** The first of these. */
  unstoredFirstMs: number;
  /** A row of it is there. */
  isStored: boolean;
}

interface Held extends UnmatchedEntry {
  readonly high: number;
  readonly low: number;
  readonly bytes: number;
  rounds: number;
  place: number;
  next: Held | undefined;
}

/** What a row says of an entry when a thread begins. */
export interface KnownTemplate {
  host: string;
  partition: number;
  program: string | null;
  trapOid: string | null;
  template: string;
  sample: string;
  sampleEventId: string;
  windowStartMs: number;
  windowCount: number;
  lastSeenMs: number;
  isLatched: boolean;
}

export class UnmatchedTable {
  readonly #bounds: UnmatchedBounds;
  readonly #buckets: (Held | undefined)[];
  readonly #bucketMask: number;
  /** In the order of the hand. */
  readonly #places: Held[] = [];
  #hand = 0;
  #bytes = 0;
  #evicted = 0;

  constructor(bounds: UnmatchedBounds = UNMATCHED_BOUNDS) {
    this.#bounds = bounds;
    const buckets = 2 ** Math.ceil(Math.log2(bounds.entriesMax * 1.5));
    this.#buckets = new Array<Held | undefined>(buckets).fill(undefined);
    this.#bucketMask = buckets - 1;
  }

  get size(): number {
    return this.#places.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Since ever. */
  get evicted(): number {
    return this.#evicted;
  }

  entries(): readonly UnmatchedEntry[] {
    return this.#places;
  }

  /** Counts an event, whose template `mask` holds. */
  count(event: NormalizedEvent, partition: number, mask: TemplateMask, windowMs: number): UnmatchedEntry {
    const { hash } = mask;
    const bucket = this.#bucketOf(event.hostname, hash);
    const found = this.#find(bucket, event, hash);
    const atMs = event.receivedAtMs;
    if (found === undefined) return this.#insert(bucket, this.#entryOf(event, partition, mask));
    if (found.isLatched ? atMs - found.lastSeenMs > windowMs : atMs - found.windowStartMs > windowMs) {
      found.windowStartMs = atMs;
      found.windowCount = 0;
      if (found.isLatched) {
        found.isLatched = false;
        // What is stored next begins after the quiet: the row sees it too.
        found.unstoredFirstMs = atMs;
      }
    }
    found.windowCount += 1;
    if (found.unstored === 0) found.unstoredFirstMs = atMs;
    found.unstored += 1;
    if (atMs > found.lastSeenMs) found.lastSeenMs = atMs;
    if (found.rounds < ROUNDS_MAX) found.rounds += 1;
    return found;
  }

  /** Takes over what a row says, under what was counted since. */
  know(known: KnownTemplate, mask: TemplateMask, windowMs: number): UnmatchedEntry {
    const event = { hostname: known.host, program: known.program, trapOid: known.trapOid };
    mask.recall(known.template, seedOf(event.program, event.trapOid));
    const bucket = this.#bucketOf(known.host, mask.hash);
    const found = this.#find(bucket, event, mask.hash);
    if (found !== undefined) {
      found.isStored = true;
      found.isLatched = known.isLatched && found.windowStartMs - known.lastSeenMs <= windowMs;
      if (found.windowStartMs - known.windowStartMs <= windowMs) {
        found.windowStartMs = Math.min(found.windowStartMs, known.windowStartMs);
        found.windowCount += known.windowCount;
      }
      return found;
    }
    return this.#insert(bucket, {
      ...known,
      high: mask.hash.high,
      low: mask.hash.low,
      bytes: bytesOf(known),
      isDue: false,
      unstored: 0,
      unstoredFirstMs: known.lastSeenMs,
      isStored: true,
      rounds: known.isLatched ? ROUNDS_MAX : 1,
      place: 0,
      next: undefined,
    });
  }

  #entryOf(event: NormalizedEvent, partition: number, mask: TemplateMask): Held {
    const texts = {
      host: ownText(event.hostname),
      program: event.program === undefined ? null : ownText(event.program),
      trapOid: event.trapOid === undefined ? null : ownText(event.trapOid),
      template: mask.text.toWellFormed(),
      sample: ownText(event.message.slice(0, SAMPLE_CHARS_MAX)),
    };
    return {
      ...texts,
      high: mask.hash.high,
      low: mask.hash.low,
      partition,
      sampleEventId: event.id,
      windowStartMs: event.receivedAtMs,
      windowCount: 1,
      lastSeenMs: event.receivedAtMs,
      isLatched: false,
      isDue: false,
      unstored: 1,
      unstoredFirstMs: event.receivedAtMs,
      isStored: false,
      bytes: bytesOf(texts),
      rounds: 0,
      place: 0,
      next: undefined,
    };
  }

  #bucketOf(host: string, { high }: TemplateHash): number {
    let hash = high;
    for (let at = 0; at < host.length; at++) hash = Math.imul(hash ^ host.charCodeAt(at), 0x01000193);
    return (hash ^ (hash >>> 15)) & this.#bucketMask;
  }

  /** The masked text itself is not compared: 64 bits, begun from what nobody outside knows, stand for it. */
  #find(
    bucket: number,
    {
      hostname,
      program,
      trapOid,
    }: Pick<NormalizedEvent, 'hostname'> & {
      program?: string | null | undefined;
      trapOid?: string | null | undefined;
    },
    { high, low }: TemplateHash,
  ): Held | undefined {
    for (let held = this.#buckets[bucket]; held !== undefined; held = held.next) {
      if (
        held.high === high &&
        held.low === low &&
        held.host === hostname &&
        held.program === (program ?? null) &&
        held.trapOid === (trapOid ?? null)
      ) {
        return held;
      }
    }
    return undefined;
  }

  #insert(bucket: number, entry: Held): Held {
    const { entriesMax, bytesMax } = this.#bounds;
    let place = this.#places.length;
    if (place >= entriesMax) place = this.#evict();
    while (this.#bytes + entry.bytes > bytesMax && this.#places.length > 1) {
      // The one in whose place the new one comes is gone already; of further ones the last takes the place.
      if (place < this.#places.length) this.#close(place);
      place = this.#evict();
    }
    entry.place = place;
    this.#places[place] = entry;
    if (place === this.#hand) this.#hand += 1;
    entry.next = this.#buckets[bucket];
    this.#buckets[bucket] = entry;
    this.#bytes += entry.bytes;
    return entry;
  }

  /** Gives the place that became free. Ends: every step takes a round from an entry. */
  #evict(): number {
    for (;;) {
      if (this.#hand >= this.#places.length) this.#hand = 0;
      const held = this.#places[this.#hand]!;
      if (held.rounds > 0) {
        held.rounds -= 1;
        this.#hand += 1;
        continue;
      }
      this.#unlink(held);
      this.#evicted += 1;
      return held.place;
    }
  }

  #unlink(gone: Held): void {
    const bucket = this.#bucketOf(gone.host, gone);
    let held = this.#buckets[bucket];
    if (held === gone) this.#buckets[bucket] = gone.next;
    while (held !== undefined && held.next !== gone) held = held.next;
    if (held !== undefined) held.next = gone.next;
    gone.next = undefined;
    this.#bytes -= gone.bytes;
  }

  #close(place: number): void {
    const last = this.#places.pop()!;
    if (place === this.#places.length) return;
    last.place = place;
    this.#places[place] = last;
  }
}

/** What belongs to the template beside the text. `secret` is of the thread: nobody can make templates collide. */
export function seedOf(program: string | null | undefined, trapOid: string | null | undefined): number {
  let hash = SECRET;
  if (typeof program === 'string') {
    for (let at = 0; at < program.length; at++) hash = Math.imul(hash ^ program.charCodeAt(at), 0x01000193);
  }
  if (typeof trapOid === 'string') {
    for (let at = 0; at < trapOid.length; at++) hash = Math.imul(hash ^ trapOid.charCodeAt(at), 0x5bd1e995);
  }
  return hash | 0;
}

const SECRET = Math.trunc(Math.random() * 2 ** 32) | 0;

/** What the template is called everywhere and for ever: 16 hex digits of SHA-256. */
export function fingerprintOf({
  program,
  trapOid,
  template,
}: Pick<UnmatchedEntry, 'program' | 'trapOid' | 'template'>): string {
  const text = JSON.stringify([program ?? '', trapOid ?? '', template]);
  return digestOf('sha256', text, 'hex').slice(0, FINGERPRINT_CHARS);
}

/** A copy: a part of a text keeps the whole of it in memory. Without a half of a surrogate pair at its end. */
function ownText(text: string): string {
  if (text.length < SLICED_CHARS_MIN) return text.toWellFormed();
  return Buffer.from(text.toWellFormed(), 'utf8').toString('utf8');
}

function bytesOf({
  host,
  program,
  trapOid,
  template,
  sample,
}: Omit<
  KnownTemplate,
  'partition' | 'sampleEventId' | 'windowStartMs' | 'windowCount' | 'lastSeenMs' | 'isLatched'
>): number {
  const chars =
    host.length + (program?.length ?? 0) + (trapOid?.length ?? 0) + template.length + sample.length;
  return ENTRY_BYTES + 2 * chars;
}

/** The largest that one entry can be: with it the bound on bytes is kept. */
export const ENTRY_BYTES_MAX = ENTRY_BYTES + 2 * (3 * 255 + TEMPLATE_CHARS_MAX + SAMPLE_CHARS_MAX);
