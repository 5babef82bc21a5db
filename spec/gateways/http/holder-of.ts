import type { KeyCheck } from '../../../gateways/http/key-ring.ts';

/** Whose key it is, if it opens. */
export function holderOf(ring: KeyCheck, key: string): string | undefined {
  const { state, record } = ring.verify(key);
  return state === 'valid' ? record.name : undefined;
}
