import { CodedError } from '../runtime/errors.ts';

/**
 * Waits for the work, and rejects with E_INTERRUPTED as soon as the signal aborts, wherever the work is. What it comes
 * to after that is given to `late`; what it then fails with is of no interest.
 */
export async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  late: (result: T) => unknown = () => undefined,
): Promise<T> {
  const abort = Promise.withResolvers<void>();
  const onAbort = (): void => abort.resolve();
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  const settled = work.then(
    () => undefined,
    () => undefined,
  );
  await Promise.race([settled, abort.promise]);
  signal.removeEventListener('abort', onAbort);
  if (!signal.aborted) return work;
  void work.then(late).catch(() => undefined);
  throw new CodedError('E_INTERRUPTED', 'interrupted', { kind: 'transient' });
}
