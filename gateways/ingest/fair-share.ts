/**
 * One budget of bytes and places, shared by API keys and, within a key, by the addresses that use it.
 *
 * Dynamic thresholds (Choudhury and Hahne, 1998): a key may hold as much as is still free, and an address as much as its
 * key has still room for. So one heavy source stops at a third, n of one key at 1/(2n+1) each, n of n keys at 1/(n+2)
 * each, and whoever comes next finds room. Nobody is refused for less than a small part of the whole, or latecomers
 * beside many heavy sources of their key would have next to nothing.
 *
 * Nobody can be over a share while only a small part of the whole is taken, and to know an address costs a system call:
 * until then (`staysCalm`) what comes is charged to nobody in particular. Bounded: a source is known only while it holds a
 * place.
 */

/** The part of the whole that is no matter of shares. */
const CALM_PART = 8;
/** What a source may hold without regard to its share. */
const LEAST_PART = 256;

export interface FairShareOptions {
  bytesMax: number;
  /** Places: of requests, of sockets. */
  placesMax: number;
  /** How many times the places that are still free a key may hold; 1 without it. For places that are held long and idle. */
  placesFactor?: number;
}

/** What there is not enough of; `share`: there is enough, but not for this source. */
export type Shortage = 'bytes' | 'places' | 'share';

interface Holder {
  bytes: number;
  places: number;
}

interface KeyHolder extends Holder {
  readonly name: string;
  readonly sources: Map<string, Source>;
}

/** One address of one key. */
export class Source implements Holder {
  bytes = 0;
  places = 0;
  readonly key: KeyHolder;
  readonly network: string;

  constructor(key: KeyHolder, network: string) {
    this.key = key;
    this.network = network;
  }
}

export class FairShare {
  readonly #max: Readonly<Holder>;
  readonly #least: Readonly<Holder>;
  readonly #factor: Readonly<Holder>;
  readonly #held: Holder = { bytes: 0, places: 0 };
  readonly #keys = new Map<string, KeyHolder>();

  constructor({ bytesMax, placesMax, placesFactor = 1 }: FairShareOptions) {
    this.#max = { bytes: bytesMax, places: placesMax };
    this.#factor = { bytes: 1, places: placesFactor };
    this.#least = { bytes: bytesMax / LEAST_PART, places: Math.max(1, placesMax / LEAST_PART) };
  }

  get bytes(): number {
    return this.#held.bytes;
  }

  /** With so much more, still so little is taken that no source can be over its share. */
  staysCalm(bytes: number, places: number): boolean {
    const { bytes: bytesHeld, places: placesHeld } = this.#held;
    return (
      (bytesHeld + bytes) * CALM_PART <= this.#max.bytes &&
      (placesHeld + places) * CALM_PART <= this.#max.places
    );
  }

  /** The source of this name, to be charged. `network` as `networkOf` gives it. */
  source(keyName: string, network: string): Source {
    const key = this.#keys.get(keyName) ?? {
      bytes: 0,
      places: 0,
      name: keyName,
      sources: new Map<string, Source>(),
    };
    return key.sources.get(network) ?? new Source(key, network);
  }

  /** Why so much more cannot be had now; undefined when it can. Without a source only the whole counts. */
  shortage(source: Source | undefined, bytes: number, places: number): Shortage | undefined {
    if (this.#held.places + places > this.#max.places) return 'places';
    if (this.#held.bytes + bytes > this.#max.bytes) return 'bytes';
    if (source === undefined) return undefined;
    const isWithin = this.#isWithin('bytes', source, bytes) && this.#isWithin('places', source, places);
    return isWithin ? undefined : 'share';
  }

  /** Notes that a source, or nobody in particular, holds so much more; less, when the numbers are negative. */
  charge(source: Source | undefined, bytes: number, places: number): void {
    add(this.#held, bytes, places);
    if (source !== undefined) this.attribute(source, bytes, places);
  }

  /** What nobody in particular held is this source's from now on. */
  attribute(source: Source, bytes: number, places: number): void {
    const { key } = source;
    const isNew = source.places === 0;
    add(source, bytes, places);
    add(key, bytes, places);
    if (source.places === 0) {
      key.sources.delete(source.network);
      if (key.sources.size === 0) this.#keys.delete(key.name);
    } else if (isNew) {
      key.sources.set(source.network, source);
      this.#keys.set(key.name, key);
    }
  }

  #isWithin(of: keyof Holder, source: Source, more: number): boolean {
    const factor = this.#factor[of];
    const keyMax = factor * (this.#max[of] - this.#held[of] - more);
    const ofKey = source.key[of] + more;
    const ofSource = source[of] + more;
    const least = this.#least[of];
    return ofKey <= Math.max(least, keyMax) && ofSource <= Math.max(least, factor * (keyMax - ofKey));
  }
}

function add(holder: Holder, bytes: number, places: number): void {
  holder.bytes += bytes;
  holder.places += places;
}
