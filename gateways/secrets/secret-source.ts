/**
 * Finds a credential by its reference: `env:NAME` or `file:/path`. The reference is stored; the credential never is.
 *
 * A file is read again at every use through a short cache, so that a rotated secret takes effect without a restart.
 * Invariant: no file is read that is not in one of the places for secrets. Who may write a destination could else have
 * any file that the node can read posted to an address of theirs, the node's own keys among them.
 */
import { readFile, realpath, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { CodedError, codeOf } from '../../runtime/errors.ts';

/** Bounded: there are as many references as destinations. */
const CACHE_MS = 1_000;
const FILE_BYTES_MAX = 65_536;

export interface SecretPlaces {
  /** Files may be here, at any depth. */
  directory: string;
  /** And these. */
  files: readonly string[];
}

export class SecretSource {
  readonly #cache = new Map<string, { value: string; readAtMs: number }>();
  readonly #nowMs: () => number;
  readonly #places: SecretPlaces;

  constructor(nowMs: () => number, places: SecretPlaces) {
    this.#nowMs = nowMs;
    this.#places = places;
  }

  /** Rejects with `E_SECRET_UNAVAILABLE`, which names the reference and never a value. */
  async read(reference: string): Promise<string> {
    const cached = this.#cache.get(reference);
    if (cached !== undefined && this.#nowMs() - cached.readAtMs < CACHE_MS) return cached.value;
    const value = await readReference(reference, this.#places);
    this.#cache.set(reference, { value, readAtMs: this.#nowMs() });
    return value;
  }
}

/** Whether a path is in one of the places, as they are written: links are followed when it is read. */
export function isSecretPlace({ directory, files }: SecretPlaces, path: string): boolean {
  return isBelow(directory, path) || files.some((file) => resolve(file) === resolve(path));
}

function isBelow(directory: string, path: string): boolean {
  return resolve(path).startsWith(`${resolve(directory).replace(/\/+$/, '')}${sep}`);
}

async function readReference(reference: string, places: SecretPlaces): Promise<string> {
  const [, kind, place] = /^(env|file):(.+)$/s.exec(reference) ?? [];
  if (kind === 'env' && place !== undefined) {
    const value = process.env[place];
    if (value !== undefined && value !== '') return value;
    throw unavailable(reference, 'the environment variable is not set');
  }
  if (kind === 'file' && place !== undefined) return readSecretFile(reference, place, places);
  // Not named: whoever mistakes a credential for a reference would read it in the logs.
  throw unavailable('reference', 'it is neither env:NAME nor file:/path');
}

async function readSecretFile(reference: string, place: string, places: SecretPlaces): Promise<string> {
  // As written first: whether there is a file elsewhere is nothing to be learned here.
  if (!isSecretPlace(places, place)) throw outside(reference, places);
  let value: string;
  try {
    const file = await realpath(place);
    if (isBelow(places.directory, place) && !isBelow(await realpath(places.directory), file))
      throw outside(reference, places);
    const found = await stat(file);
    // A pipe would never end.
    if (!found.isFile()) throw unavailable(reference, 'it is not a plain file');
    if (found.size > FILE_BYTES_MAX) throw unavailable(reference, `it has more than ${FILE_BYTES_MAX} bytes`);
    value = (await readFile(file, 'utf8')).trim();
  } catch (thrown) {
    if (thrown instanceof CodedError) throw thrown;
    throw unavailable(reference, codeOf(thrown));
  }
  if (value === '') throw unavailable(reference, 'the file is empty');
  return value;
}

function outside(reference: string, { directory }: SecretPlaces): CodedError {
  return new CodedError(
    'E_SECRET_UNAVAILABLE',
    `the secret ${reference} cannot be read: it is not in the directory of secrets, ${directory}`,
    { kind: 'transient', mend: 'Put it there, or name the directory in MUTT_SECRETS_DIR.' },
  );
}

function unavailable(reference: string, why: string): CodedError {
  return new CodedError('E_SECRET_UNAVAILABLE', `the secret ${reference} cannot be read: ${why}`, {
    kind: 'transient',
    mend: 'Set the variable, or make the file readable for this process.',
  });
}
