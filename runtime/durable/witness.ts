/**
 * A memory outside the store of how far each partition's acknowledgements went, so that a store that comes back older
 * (a restored backup, a fail-over to a lagging replica, an emptied server) is found out, range by range, instead of
 * losing in silence.
 *
 * It is not a log: it keeps one number per partition, in a file written whole, and offers it to a second keeper.
 * Invariant: it only grows, and a damaged file is an error with its name, never an empty beginning.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { CodedError, codeOf, messageOf } from '../errors.ts';
import type { DurableStore } from './durable-store.ts';

/** Messages numbered `from` to `to` of a partition were acknowledged and are gone. */
export interface LostRange {
  partition: number;
  from: number;
  to: number;
}

export interface WitnessOptions {
  file: string;
  clock?: Clock;
  /** At most this often is the file written. */
  writeEveryMs?: number;
  /**
   * Whether a number that the store knows counts as acknowledged, which it may be by others: the default. Not where the
   * store has numbers before they may be acknowledged, since a fail-over takes those back and nobody has lost anything.
   */
  learns?: boolean;
  /** Told what the file was told, after it: a second memory on another machine. */
  onWritten?: (highest: ReadonlyMap<number, number>) => void;
  /** The file could not be written; it is tried again until it can. */
  onTrouble?: (error: CodedError) => void;
}

export interface Witness {
  /** Notes an acknowledged number; lower ones than noted before change nothing. */
  note(partition: number, accepted: number): void;
  highest(partition: number): number;
  /**
   * Compares with the store and, where it knows less, makes it never report these numbers again. Returns what is
   * gone; empty when all is well. Of several witnesses each lost number is returned to one.
   */
  reconcile(store: Pick<DurableStore, 'raiseSequence'>, partitions: readonly number[]): Promise<LostRange[]>;
  /** Writes what is not written yet. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export const WRITE_EVERY_MS = 200;
/** After a failure: a disk that is full stays so for a while. */
const RETRY_MS = 2_000;

const FORMAT = 1;

interface WitnessFile {
  format: number;
  highest: Record<string, number>;
  sha256: string;
}

/** Opens it with what the file says. Rejects with E_WITNESS_DAMAGED or E_WITNESS_NEWER; a missing file is a beginning. */
export async function openWitness(options: WitnessOptions): Promise<Witness> {
  const { file } = options;
  const clock = options.clock ?? systemClock;
  const writeEveryMs = options.writeEveryMs ?? WRITE_EVERY_MS;
  const learns = options.learns ?? true;
  const highest = await load(file);
  let isDirty = false;
  let isStopped = false;
  let cancel: (() => void) | undefined;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    if (!isDirty) return;
    isDirty = false;
    try {
      await writeWhole(file, encode(highest));
      options.onWritten?.(new Map(highest));
    } catch (thrown) {
      isDirty = true;
      options.onTrouble?.(
        new CodedError('E_WITNESS_WRITE', `cannot write ${file}: ${messageOf(thrown)}`, {
          kind: 'transient',
          mend: 'Free space on its disk or correct its permissions; meanwhile a loss may be noticed too small.',
          cause: thrown,
        }),
      );
      schedule(RETRY_MS);
    }
  }

  /** Nothing while a write is due already. */
  function schedule(delayMs: number): void {
    if (cancel !== undefined || isStopped) return;
    cancel = clock.after(delayMs, () => void flush(), { ref: false });
  }

  function flush(): Promise<void> {
    cancel?.();
    cancel = undefined;
    writing = writing.then(write);
    return writing;
  }

  function note(partition: number, accepted: number): void {
    if (accepted <= (highest.get(partition) ?? 0)) return;
    highest.set(partition, accepted);
    isDirty = true;
    schedule(writeEveryMs);
  }

  return {
    note,
    highest: (partition) => highest.get(partition) ?? 0,

    async reconcile(store, partitions) {
      const lost: LostRange[] = [];
      for (const partition of partitions) {
        const to = highest.get(partition) ?? 0;
        const known = await store.raiseSequence(partition, to);
        if (known < to) lost.push({ partition, from: known + 1, to });
        if (learns) note(partition, known);
      }
      return lost;
    },

    flush,

    async stop() {
      isStopped = true;
      await flush();
    },
  };
}

async function load(file: string): Promise<Map<number, number>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return new Map();
    throw damaged(file, messageOf(thrown));
  }
  let content: Partial<WitnessFile>;
  try {
    content = JSON.parse(text) as Partial<WitnessFile>;
  } catch {
    throw damaged(file, 'it is not JSON');
  }
  if (typeof content !== 'object' || content === null || typeof content.highest !== 'object') {
    throw damaged(file, 'it has not the form of a witness file');
  }
  if (typeof content.format === 'number' && content.format > FORMAT) {
    throw new CodedError(
      'E_WITNESS_NEWER',
      `${file} was written by a newer version (format ${content.format})`,
      {
        details: { file },
        mend: 'Start that version again; nothing was changed.',
      },
    );
  }
  if (content.sha256 !== digest(content.highest)) throw damaged(file, 'its checksum does not fit');
  return new Map(Object.entries(content.highest).map(([partition, value]) => [Number(partition), value]));
}

function encode(highest: ReadonlyMap<number, number>): string {
  const record = Object.fromEntries(highest);
  return `${JSON.stringify({ format: FORMAT, highest: record, sha256: digest(record) })}\n`;
}

function digest(highest: Record<string, number>): string {
  return createHash('sha256').update(JSON.stringify(highest)).digest('hex');
}

/** Whole or not at all, also at a power cut. */
async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.new`;
  const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600);
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

function damaged(file: string, reason: string): CodedError {
  return new CodedError('E_WITNESS_DAMAGED', `${file} is damaged: ${reason}`, {
    details: { file },
    mend: 'Move it aside and start again: what it said is in the database too, at most seconds older.',
  });
}
