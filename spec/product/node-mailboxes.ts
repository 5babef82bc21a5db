/**
 * The mailboxes of a node's private Redis, read directly: what a spec proves about a node must not come from the node
 * itself.
 */
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import { runningRedisUrl } from '../../supervisors/embedded/redis.ts';

export interface MailboxView {
  /** Entries that wait. */
  entries: number;
  /** Messages in them. */
  messages: number;
  /** Both, ever. */
  entriesAdded: number;
  messagesAdded: number;
}

const CONNECT_TIMEOUT_MS = 5_000;

export class NodeMailboxes {
  readonly #redis: Redis;
  readonly #partitions: number;

  private constructor(redis: Redis, partitions: number) {
    this.#redis = redis;
    this.#partitions = partitions;
  }

  /** Of the node in `dir`, which runs. */
  static async open(dir: string, partitions: number): Promise<NodeMailboxes> {
    const url = runningRedisUrl(join(dir, 'redis'));
    if (url === undefined) throw new Error('no Redis runs there');
    const redis = connectRedis({ url, name: 'spec' });
    await whenReady(redis, CONNECT_TIMEOUT_MS);
    return new NodeMailboxes(redis, partitions);
  }

  /** One of each partition: `ingest`, `alert:<destination>`. */
  look(lane: string): Promise<MailboxView[]> {
    return Promise.all(
      Array.from({ length: this.#partitions }, (_, partition) => this.#look(partition, lane)),
    );
  }

  close(): void {
    this.#redis.disconnect();
  }

  async #look(partition: number, lane: string): Promise<MailboxView> {
    const key = `mutt:{${partition}}:${lane}`;
    if ((await this.#redis.exists(key)) === 0)
      return { entries: 0, messages: 0, entriesAdded: 0, messagesAdded: 0 };
    const reply = (await this.#redis.xinfo('STREAM', key)) as unknown[];
    const field = (name: string): unknown => reply[reply.indexOf(name) + 1];
    const [firstId] = (field('first-entry') as [string] | null) ?? [];
    // An id is `<messages of the lane up to and with it>-<messages in it>`.
    const [messagesAdded = 0] = String(field('last-generated-id')).split('-').map(Number);
    const [first = 0, inFirst = 0] = (firstId ?? '').split('-').map(Number);
    return {
      entries: Number(field('length')),
      messages: firstId === undefined ? 0 : messagesAdded - first + inFirst,
      entriesAdded: Number(field('entries-added')),
      messagesAdded,
    };
  }
}
