/**
 * A command line in front of a real node.
 */
import type { NodeUnderTest } from '../../../support/node-under-test.ts';
import type { ProgramContext } from '../../../../gateways/cli/program.ts';
import { CliRun } from '../cli-run.ts';

/** The node that all these specs share; it runs between `before` and `after` of the spec file. */
export type GivenNode = () => NodeUnderTest;

export function adminUrlOf(node: NodeUnderTest): string {
  return `http://127.0.0.1:${node.ports.admin}`;
}

export function cliFor(node: NodeUnderTest, overrides: Partial<ProgramContext> = {}): CliRun {
  return new CliRun(adminUrlOf(node), {
    ingestUrl: `http://127.0.0.1:${node.ports.ingest}`,
    readIngestKey: async () => node.ingestKey,
    readAdminKey: async () => node.adminKey,
    ...overrides,
  });
}

/** What was printed since the last call, as JSON. */
export function json<T>(cli: CliRun): T {
  const document = JSON.parse(cli.out) as T;
  cli.out = '';
  return document;
}

/** Sends one event that a sample rule matches or, with another message, none. */
export async function sendEvent(node: NodeUnderTest, hostname: string, message = LINK_DOWN): Promise<void> {
  const event = { hostname, message, timestamp: new Date().toISOString(), program: 'kernel' };
  const { status } = await node.post(JSON.stringify(event));
  if (status !== 200) throw new Error(`the node answered ${status}`);
}

export const LINK_DOWN = '%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down';
