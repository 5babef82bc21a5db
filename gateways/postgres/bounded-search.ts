/**
 * A search that ends by itself when it would take too long, and says so: people ask for what no index has.
 *
 * Invariant: nothing is written, and everything is read as of one moment.
 */
import { CodedError, codeOf } from '../../runtime/errors.ts';
import type { Connection, Transaction } from './connection.ts';

export const SEARCH_MAX_MS = 10_000;
const QUERY_CANCELED = '57014';

/** `mend` says how to ask for less. Errors: E_SEARCH_TOO_LONG, and those of `work`. */
export async function boundedSearch<T>(
  connection: Connection,
  { searchMaxMs = SEARCH_MAX_MS, mend }: { searchMaxMs?: number | undefined; mend: string },
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  try {
    return await connection.transaction(
      async (transaction) => {
        await transaction.rows('limit_statement_time', [String(searchMaxMs)]);
        return work(transaction);
      },
      { isSnapshot: true },
    );
  } catch (thrown) {
    if (!isTooLong(thrown)) throw thrown;
    throw new CodedError(
      'E_SEARCH_TOO_LONG',
      `the search was ended after ${searchMaxMs} ms: too many rows were looked at`,
      { mend, details: { searchMaxMs } },
    );
  }
}

function isTooLong(thrown: unknown): boolean {
  return (
    thrown instanceof CodedError &&
    codeOf(thrown) === 'E_DATABASE_AWAY' &&
    thrown.details['sqlstate'] === QUERY_CANCELED
  );
}
