/** Callbacks that answer with something to wait for: a promise of another realm or library counts as well. */

/** Total: of what throws when it is asked, `promiseOf` is a promise that rejects with that. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return 'then' in value && typeof value.then === 'function';
  } catch {
    return true;
  }
}

/**
 * A promise that keeps the rules, whatever the thenable does: it settles once, and never inside `then`, so that whoever
 * waits has noted that it waits.
 */
export function promiseOf<T>(thenable: PromiseLike<T>): Promise<T> {
  return thenable instanceof Promise ? (thenable as Promise<T>) : Promise.resolve(thenable);
}
