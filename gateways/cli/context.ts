/**
 * What a command may use of the world: the terminal, time, the addresses of the node and its keys.
 *
 * Commands are functions of this and their options. They give back an exit code, write nowhere else and never end the
 * process themselves.
 */
import type { Clock } from '../../runtime/clock.ts';
import type { ClientTls } from './client-tls.ts';

export interface CliStream {
  write(text: string): unknown;
}

export interface CliIo {
  /** What was asked for. */
  stdout: CliStream;
  /** Progress, hints and errors. */
  stderr: CliStream;
  isTTY: boolean;
  /** What is piped in, until its end or the signal. To be called once. */
  readStdin(signal: AbortSignal): AsyncIterable<Buffer>;
  /** Width of the terminal; read anew at every use, since windows are resized. */
  readonly columns: number;
  readonly rows: number;
  /** Aborted when nobody reads stdout any more, as in `mutt tap | head`. */
  readonly closed: AbortSignal;
  /** Calls back after every resize of the terminal. Gives the function that ends it. */
  onResize(listener: () => void): () => void;
  /** Gives keys as they are pressed, without Enter, and shows none. Gives the function that ends it. */
  onKey(listener: (key: string) => void): () => void;
}

export interface CliContext {
  io: CliIo;
  clock: Clock;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  /** Where the admin API is, for example `http://127.0.0.1:8090`. */
  adminUrl: string;
  /** Where events go, for example `http://127.0.0.1:8080`. */
  ingestUrl: string;
  /** How its certificate is checked; undefined: it speaks plain HTTP. */
  ingestTls?: ClientTls | undefined;
  /** Reads the key of the node in the data directory. May reject; a key is never printed. */
  readIngestKey(): Promise<string>;
  readAdminKey(): Promise<string>;
  /** Only NO_COLOR is read. */
  env: Readonly<Record<string, string | undefined>>;
}

/** A node that a command talks to; `stop` ends it only if it was started for the command. */
export interface RunningNode {
  ingestUrl: string;
  adminUrl: string;
  ingestKey: string;
  adminKey: string;
  stop(): Promise<void>;
}

/** Exit codes of every command; docs/reference/cli.md tells them to scripts. */
export const EXIT = {
  ok: 0,
  /** It worked, and something is not as it should be: rejects, unaccounted events, not ready, refused rules. */
  notGood: 1,
  /** Wrong arguments, files or keys: the same call will fail again. */
  usage: 2,
  /** Nobody answers, or not in time. */
  unreachable: 3,
  /** Ctrl-C before it was done (128 + SIGINT). */
  interrupted: 130,
} as const;
