/** For specs of handlers that break, in each way in which a handler can. */
import { CodedError } from '../../runtime/errors.ts';

export type Breakdown = 'throw' | 'reject' | 'hang';

export function breakDown(how: Breakdown): Promise<void> {
  const error = new CodedError('E_PLANTED', 'planted');
  if (how === 'throw') throw error;
  return how === 'reject' ? Promise.reject(error) : new Promise<void>(() => undefined);
}
