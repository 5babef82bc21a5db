/** Whether a callback answered with something to wait for; a promise of another realm or library counts as well. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
