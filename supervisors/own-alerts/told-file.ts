/**
 * Who has been told of which trouble, on disk: neither store is needed for it. Invariant: the file is whole, as of some
 * moment; one that cannot be read is one that says nothing.
 */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { ToldRecord } from '../../actors/own-alerts/own-alerts.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { Log } from '../../runtime/telemetry/log.ts';

export class ToldFile {
  readonly #path: string;
  readonly #log: Pick<Log, 'warn'>;
  #writing: Promise<void> = Promise.resolve();
  #latest: readonly ToldRecord[] | undefined;

  constructor(path: string, log: Pick<Log, 'warn'>) {
    this.#path = path;
    this.#log = log;
  }

  read(): ToldRecord[] {
    try {
      const records = JSON.parse(readFileSync(this.#path, 'utf8')) as unknown;
      return Array.isArray(records) ? records.filter(isRecord) : [];
    } catch {
      return [];
    }
  }

  /** Written as soon as what is being written is; never rejects. */
  keep(records: readonly ToldRecord[]): void {
    const isPending = this.#latest !== undefined;
    this.#latest = records;
    if (!isPending) this.#writing = this.#writing.then(() => this.#write());
  }

  /** For specs: settles when everything is written. */
  async written(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const records = this.#latest ?? [];
    this.#latest = undefined;
    const draft = `${this.#path}.draft`;
    try {
      await writeFile(draft, JSON.stringify(records), { mode: 0o600, flush: true });
      await rename(draft, this.#path);
    } catch (thrown) {
      this.#log.warn({ code: codeOf(thrown) }, 'what was told of own alerts cannot be kept on disk');
    }
  }
}

function isRecord(value: unknown): value is ToldRecord {
  const { signature, description, raisedAtMs, isShared, toldTo } = (value ?? {}) as Partial<ToldRecord>;
  return (
    typeof signature === 'string' &&
    typeof description === 'string' &&
    Number.isFinite(raisedAtMs) &&
    typeof isShared === 'boolean' &&
    Array.isArray(toldTo)
  );
}
