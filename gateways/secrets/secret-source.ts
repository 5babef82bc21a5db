/**
 * Finds a credential by its reference: `env:NAME` or `file:/path`. The reference is stored; the credential never is.
 *
 * A file is read again at every use through a short cache, so that a rotated secret takes effect without a restart.
 */
import { readFile } from 'node:fs/promises';
import { CodedError, codeOf } from '../../runtime/errors.ts';

/** Bounded: there are as many references as destinations. */
const CACHE_MS = 1_000;

export class SecretSource {
  readonly #cache = new Map<string, { value: string; readAtMs: number }>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Rejects with `E_SECRET_UNAVAILABLE`, which names the reference and never a value. */
  async read(reference: string): Promise<string> {
    const cached = this.#cache.get(reference);
    if (cached !== undefined && this.#nowMs() - cached.readAtMs < CACHE_MS) return cached.value;
    const value = await readReference(reference);
    this.#cache.set(reference, { value, readAtMs: this.#nowMs() });
    return value;
  }
}

async function readReference(reference: string): Promise<string> {
  const [, kind, place] = /^(env|file):(.+)$/s.exec(reference) ?? [];
  if (kind === 'env' && place !== undefined) {
    const value = process.env[place];
    if (value !== undefined && value !== '') return value;
    throw unavailable(reference, 'the environment variable is not set');
  }
  if (kind === 'file' && place !== undefined) {
    try {
      const value = (await readFile(place, 'utf8')).trim();
      if (value !== '') return value;
    } catch (thrown) {
      throw unavailable(reference, codeOf(thrown));
    }
    throw unavailable(reference, 'the file is empty');
  }
  // Not named: whoever mistakes a credential for a reference would read it in the logs.
  throw unavailable('reference', 'it is neither env:NAME nor file:/path');
}

function unavailable(reference: string, why: string): CodedError {
  return new CodedError('E_SECRET_UNAVAILABLE', `the secret ${reference} cannot be read: ${why}`, {
    kind: 'transient',
    mend: 'Set the variable, or make the file readable for this process.',
  });
}
