/**
 * What the admin gateway needs from the rest of the node. It serves people and programs; it knows no actor and no
 * store. All documents are plain data, ready to be sent.
 */

export interface Readiness {
  ready: boolean;
  /** Why not; empty when ready. */
  reasons: string[];
}

/** Who asks: goes into audit records. */
export interface Caller {
  keyName: string;
  correlationId: string;
}

export interface AdminPort {
  /** Known without asking anybody: must answer while everything else is away. */
  readiness(): Readiness;
  /** The node: addresses, versions, rates, the live tree. */
  status(): Promise<unknown>;
  /** Prometheus text. */
  metrics(): Promise<string>;
  ledger(): Promise<unknown>;
  rules(): Promise<unknown>;
  /** Rejects with `E_CONFIG_INVALID` (details.faults) for bad input; nothing is applied then. */
  applyRules(document: unknown, caller: Caller): Promise<unknown>;
  /** As `applyRules`, and applies nothing. */
  checkRules(document: unknown): Promise<unknown>;
  /** Rejects with `E_ACTOR_UNKNOWN`. `kill` gives it no time to finish. */
  restartActor(id: string, how: 'kill' | 'drain', caller: Caller): Promise<unknown>;
}
