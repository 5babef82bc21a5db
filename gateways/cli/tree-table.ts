/**
 * The live tree as rows of a table.
 */
import type { TreeNode } from './admin-documents.ts';
import type { Column } from './table.ts';
import { bytes, duration } from './terminal-text.ts';

export interface TreeRow {
  node: TreeNode;
  depth: number;
  /** How long it has been in its state; undefined where that is not known. */
  ageMs: number | undefined;
}

const HEALTHY_STATES: ReadonlySet<string> = new Set(['running', 'ready']);

export function isHealthy({ status }: TreeNode): boolean {
  return status === undefined || HEALTHY_STATES.has(status);
}

/** Parents before their children. `nowMs` is ms since 1970 UTC. */
export function flatten(root: TreeNode, nowMs: number): TreeRow[] {
  const rows: TreeRow[] = [];
  const walk = (node: TreeNode, depth: number): void => {
    const sinceMs = node.since === undefined ? NaN : Date.parse(node.since);
    rows.push({ node, depth, ageMs: Number.isNaN(sinceMs) ? undefined : Math.max(0, nowMs - sinceMs) });
    for (const child of node.children ?? []) walk(child, depth + 1);
  };
  walk(root, 0);
  return rows;
}

export const TREE_COLUMNS: readonly Column<TreeRow>[] = [
  { head: 'actor', cell: ({ node, depth }) => `${'  '.repeat(depth)}${node.id}`, shrinks: true },
  { head: 'state', cell: ({ node }) => node.status ?? '' },
  { head: 'epoch', cell: ({ node }) => figure(node.epoch), align: 'right' },
  { head: 'restarts', cell: ({ node }) => figure(node.restarts), align: 'right' },
  { head: 'for', cell: ({ ageMs }) => (ageMs === undefined ? '' : duration(ageMs)), align: 'right' },
  { head: 'memory', cell: ({ node }) => memoryOf(node), align: 'right' },
  { head: 'waiting', cell: ({ node }) => figure(node.waiting), align: 'right' },
  { head: 'last exit', cell: ({ node }) => node.exits?.at(-1)?.reason ?? '', shrinks: true },
];

/** A process's resident memory, a thread's heap. */
export function memoryOf({ rss_bytes: rss, heap_used_bytes: heap }: TreeNode): string {
  const used = rss ?? heap;
  return used === undefined || used === 0 ? '' : bytes(used);
}

function figure(value: number | undefined): string {
  return value === undefined ? '' : String(value);
}
