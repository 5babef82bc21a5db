/** A node for specs, in the directory of the run; the rest is what the torture starts. */
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../supervisors/embedded/free-ports.ts';
import { NodeProcess } from '../../supervisors/torture/node-process.ts';
import { queryNode } from '../product/node-database.ts';

export { processesOf, until } from '../../supervisors/torture/node-process.ts';
export type { IngestReply, Ledger, TreeNode } from '../../supervisors/torture/node-process.ts';

export class NodeUnderTest extends NodeProcess {
  /** Prepares a node without starting it. */
  static async prepare(env: NodeJS.ProcessEnv = {}): Promise<NodeUnderTest> {
    // Within the run's directory, so that the servers of a node that is killed with its spec are found and ended.
    const parent = mkdtempSync(join(process.env['MUTT_SPEC_RUN'] ?? tmpdir(), 'mutt-node-'));
    // Private servers may run as another user, who must be able to pass through.
    chmodSync(parent, 0o755);
    const [ingest, health, admin] = (await freePorts(3)) as [number, number, number];
    return new NodeUnderTest({ dir: join(parent, 'data'), ports: { ingest, health, admin }, env });
  }

  static async start(env: NodeJS.ProcessEnv = {}): Promise<NodeUnderTest> {
    const node = await NodeUnderTest.prepare(env);
    await node.start();
    return node;
  }

  /**
   * Waits until every worker that reports it runs what is stored now. What a node says of itself is not asked: it hears of
   * a change a moment after whoever made it.
   */
  async whenInForce(timeoutMs = 30_000): Promise<void> {
    const [row] = await queryNode<{ version: string }>(
      this.dir,
      'SELECT snapshot_version AS version FROM config_version',
    );
    await this.whenApplied(Number(row?.version), timeoutMs);
  }
}
