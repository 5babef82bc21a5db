/**
 * Log entries on their way out of a thread: the slot's owner writes them, with its own log.
 *
 * Bounded: past a burst only a few a second go, and the next one says how many were left out. An entry always gets
 * through as plain data, cut to a size; logging never throws into what logs.
 */
import type { LogEntry } from '../actor.ts';
import type { Clock } from '../clock.ts';
import { TokenBucket } from '../token-bucket.ts';

export interface ThreadLogEntry extends LogEntry {
  /** Entries before this one that were too many. */
  leftOut: number;
}

const RATE = { burst: 100, perSecond: 2 };
const TEXT_CHARS_MAX = 1_000;
const FIELDS_CHARS_MAX = 8_000;

export class ThreadLog {
  readonly #send: (entry: ThreadLogEntry) => void;
  readonly #bucket: TokenBucket;

  constructor(send: (entry: ThreadLogEntry) => void, clock: Clock) {
    this.#send = send;
    this.#bucket = new TokenBucket(RATE, clock);
  }

  write({ level, path, text, fields }: LogEntry): void {
    const leftOut = this.#bucket.take();
    if (leftOut === undefined) return;
    this.#send({
      level,
      path,
      text: text.slice(0, TEXT_CHARS_MAX),
      ...(fields === undefined ? {} : { fields: plain(fields) }),
      leftOut,
    });
  }
}

/** What fields hold may be of any kind: a function would not get through a port, a circle not into a line. */
function plain(fields: Record<string, unknown>): Record<string, unknown> {
  try {
    const json = JSON.stringify(fields);
    if (json.length <= FIELDS_CHARS_MAX) return JSON.parse(json) as Record<string, unknown>;
    return { cut: json.slice(0, FIELDS_CHARS_MAX) };
  } catch {
    return { unprintable: Object.keys(fields).join(', ').slice(0, FIELDS_CHARS_MAX) };
  }
}
