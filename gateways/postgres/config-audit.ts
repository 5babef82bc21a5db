/**
 * Proves that nobody touched the record of configuration changes: recomputes its chain of hashes in the database.
 */
import type { Connection } from './connection.ts';

export interface ConfigAuditProblem {
  /** The entry where it shows. */
  id: number;
  /**
   * `missing`: entries before this one are gone. `altered`: it does not say what was sealed. `unlinked`: it does not
   * follow from the one before. `truncated`: entries after this one are gone.
   */
  problem: 'missing' | 'altered' | 'unlinked' | 'truncated';
}

const PROBLEMS_MAX = 100;

/** The first problems, in order; none means that the chain is whole. Reads every entry. Errors: those of Connection. */
export function verifyConfigAudit(connection: Connection): Promise<ConfigAuditProblem[]> {
  return connection.rows<ConfigAuditProblem>('verify_config_audit', [PROBLEMS_MAX]);
}
