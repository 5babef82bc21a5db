/**
 * Carries the configuration in force between nodes: the whole snapshot in one key, and a notice that it changed.
 *
 * Redis is not the truth, PostgreSQL is: what is here is a copy for nodes that cannot reach it, and a bell that saves
 * waiting for the next poll. Both connections come back by themselves; a notice that was missed meanwhile is made up for
 * by one at the reconnect. Whoever may write to Redis could write one as well, and it holds rules and digests of keys:
 * so it is signed with a secret that only nodes share. Invariants: version, document and signature are written together;
 * what is read is bounded, and nothing is given out that was not signed by a node of the same pepper for this key prefix.
 * The version and the notices are not signed: they only say that it is worth a look.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Snapshot } from '../../actors/ports.ts';
import { CodedError, messageOf } from '../../runtime/errors.ts';
import { connectRedis, whenReady } from './connection.ts';

export interface SnapshotChannelOptions {
  url: string;
  /** Begins the key, as it begins all others. */
  keyPrefix: string;
  /** Of this node. Nodes that share it believe each other's snapshots. */
  pepper: Uint8Array;
  /** Shown in CLIENT LIST; default `mutt-snapshot`. */
  name?: string;
}

/** Of one snapshot as JSON. Some 50,000 rules. */
const DOCUMENT_BYTES_MAX = 64 * 1024 * 1024;
const COMMAND_TIMEOUT_MS = 2_000;
const VERSION_FIELD = 'version';
const DOCUMENT_FIELD = 'document';
const SIGNATURE_FIELD = 'signature';
/** HMAC-SHA-256, as hex digits. */
const SIGNATURE = /^[0-9a-f]{64}$/;
const SIGNATURE_CHARS = 64;

export class SnapshotChannel {
  readonly #key: string;
  readonly #topic: string;
  readonly #bytesMax: number;
  readonly #signingKey: Buffer;
  readonly #connection: Redis;
  readonly #hearing: Redis;
  /** Settles when the first connection is there, or has had its time: commands before that would fail. */
  readonly #opened: Promise<void>;
  readonly #listeners = new Set<() => void>();

  /** Connects by itself, now and whenever it has to. `bytesMax` bounds a snapshot in both directions. */
  constructor(
    { url, keyPrefix, pepper, name = 'mutt-snapshot' }: SnapshotChannelOptions,
    bytesMax = DOCUMENT_BYTES_MAX,
  ) {
    this.#key = `${keyPrefix}:snapshot`;
    this.#topic = `${keyPrefix}:snapshot:notice`;
    this.#bytesMax = bytesMax;
    // One of its own: the pepper itself makes the digests of API keys.
    this.#signingKey = createHmac('sha256', pepper).update('snapshot signature').digest();
    this.#connection = connectRedis({ url, name });
    this.#opened = whenReady(this.#connection, COMMAND_TIMEOUT_MS).catch(() => undefined);
    this.#hearing = connectRedis({ url, name: `${name}-notices` });
    this.#hearing.on('ready', () => void this.#subscribe());
    this.#hearing.on('message', () => this.#ring());
  }

  /** `document`: the snapshot as JSON, where it is at hand. Errors: E_SNAPSHOT_TOO_LARGE, E_SNAPSHOT_CHANNEL (transient). */
  async publish(snapshot: Snapshot, document = JSON.stringify(snapshot)): Promise<void> {
    const { version } = snapshot;
    this.#requireSize(Buffer.byteLength(document));
    await this.#ask(() =>
      this.#connection
        .multi()
        .hset(this.#key, {
          [VERSION_FIELD]: version,
          [DOCUMENT_FIELD]: document,
          [SIGNATURE_FIELD]: this.#signatureOf(document).toString('hex'),
        })
        .publish(this.#topic, String(version))
        .exec()
        .then((replies) => {
          const failed = replies?.find(([error]) => error !== null);
          if (replies === null || failed !== undefined) throw failed?.[0] ?? new Error('nothing was done');
        }),
    );
  }

  /** The version of what is published; undefined when nothing is. Errors: E_SNAPSHOT_CHANNEL (transient). */
  async publishedVersion(): Promise<number | undefined> {
    const version = await this.#ask(() => this.#connection.hget(this.#key, VERSION_FIELD));
    return version === null || !/^\d{1,15}$/.test(version) ? undefined : Number(version);
  }

  /**
   * What is published, as it was signed; undefined when nothing is. Errors: E_SNAPSHOT_UNSIGNED (no valid signature),
   * E_SNAPSHOT_TOO_LARGE, E_SNAPSHOT_CHANNEL (transient).
   */
  async latest(): Promise<unknown> {
    const length = await this.#ask(() => this.#connection.hstrlen(this.#key, DOCUMENT_FIELD));
    this.#requireSize(length);
    const signatureLength = await this.#ask(() => this.#connection.hstrlen(this.#key, SIGNATURE_FIELD));
    if (signatureLength > SIGNATURE_CHARS) throw unsigned();
    const [document = null, signature = null] = await this.#ask(() =>
      this.#connection.hmget(this.#key, DOCUMENT_FIELD, SIGNATURE_FIELD),
    );
    if (document === null) return undefined;
    if (signature === null || !SIGNATURE.test(signature)) throw unsigned();
    if (!timingSafeEqual(Buffer.from(signature, 'hex'), this.#signatureOf(document))) throw unsigned();
    return JSON.parse(document) as unknown;
  }

  /** Calls `listener` at every notice and after every reconnect. Gives back what ends that. */
  onNotice(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#listeners.clear();
    this.#connection.disconnect();
    this.#hearing.disconnect();
  }

  /** Once for each connection: the library would repeat it by itself, but not say when. */
  async #subscribe(): Promise<void> {
    try {
      await this.#hearing.subscribe(this.#topic);
      this.#ring();
    } catch {
      // The connection broke meanwhile, and the next one comes here again; or we may not, and polling has to do.
    }
  }

  #ring(): void {
    for (const listener of this.#listeners) listener();
  }

  #signatureOf(document: string): Buffer {
    return createHmac('sha256', this.#signingKey).update(`${this.#key}\n${document}`).digest();
  }

  #requireSize(bytes: number): void {
    if (bytes <= this.#bytesMax) return;
    throw new CodedError(
      'E_SNAPSHOT_TOO_LARGE',
      `the configuration has ${bytes} bytes as one document, more than ${this.#bytesMax}`,
      {
        mend: 'Remove rules, hosts or teams that are no longer needed.',
        details: { bytes, max: this.#bytesMax },
      },
    );
  }

  /** A server that stays silent is as good as none: the connection is made anew. */
  async #ask<T>(command: () => Promise<T>): Promise<T> {
    await this.#opened;
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#connection.disconnect(true);
        reject(new Error(`no answer within ${COMMAND_TIMEOUT_MS} ms`));
      }, COMMAND_TIMEOUT_MS);
    });
    try {
      return await Promise.race([command(), silence]);
    } catch (thrown) {
      throw new CodedError('E_SNAPSHOT_CHANNEL', `the snapshot channel is away: ${messageOf(thrown)}`, {
        kind: 'transient',
        mend: 'Nothing to do if Redis comes back by itself; otherwise check that it runs and can be reached.',
      });
    } finally {
      clearTimeout(timer);
    }
  }
}

function unsigned(): CodedError {
  return new CodedError(
    'E_SNAPSHOT_UNSIGNED',
    'what is published was not signed by a node with the same pepper',
    {
      mend: 'Copy keys/pepper of the node that publishes to this one and restart it; if all nodes have the same one, look who else writes to Redis.',
    },
  );
}
