/**
 * The live tree as one document, whatever a part runs on: the same few fields at every level.
 */
import type { Supervisor } from '../runtime/supervision/supervisor.ts';

export interface TreeDocument {
  id: string;
  status: string;
  epoch: number;
  restarts: number;
  /** RFC 3339. */
  since?: string;
  /** Latest exits, oldest first. */
  exits?: { at: string; reason: string }[];
  /** `local`, `thread`, `process` or `server`; absent for supervisors. */
  placement?: string;
  pid?: number;
  heap_used_bytes?: number;
  rss_bytes?: number;
  /** Messages waiting, where it has a mailbox in memory. */
  waiting?: number;
  doing?: string;
  children?: TreeDocument[];
}

type View = Record<string, unknown>;

export function treeDocument(root: Supervisor): TreeDocument {
  return node(root.describe());
}

function node(view: View): TreeDocument {
  const detail = asView(view.detail) ?? {};
  // A supervisor's children are its own or, seen from its parent, in its detail; a thread or process sends its tree.
  const nested = asView(detail.tree) ?? detail;
  const children = asList(view.children) ?? asList(nested.children);
  const document: TreeDocument = {
    id: String(view.id),
    status: String(view.status),
    epoch: Number(view.epoch ?? 0),
    restarts: Number(view.restarts ?? 0),
  };
  if (typeof view.sinceMs === 'number') document.since = new Date(view.sinceMs).toISOString();
  // Its supervisor sees it run; that it handles nothing is its own to say.
  if (view.status === 'running' && typeof detail.suspendedSinceMs === 'number') {
    document.status = 'suspended';
    document.since = new Date(detail.suspendedSinceMs).toISOString();
  }
  const exits = (asList(view.exits) ?? []) as unknown as { atMs: number; reason: string }[];
  if (exits.length > 0)
    document.exits = exits.map(({ atMs, reason }) => ({ at: new Date(atMs).toISOString(), reason }));
  copy(detail, 'placement', document, 'placement', 'string');
  copy(detail, 'pid', document, 'pid', 'number');
  copy(detail, 'heapUsedBytes', document, 'heap_used_bytes', 'number');
  copy(detail, 'rssBytes', document, 'rss_bytes', 'number');
  copy(detail, 'waiting', document, 'waiting', 'number');
  if (typeof detail.doing === 'string' && detail.doing !== '') document.doing = detail.doing;
  if (children !== undefined) document.children = children.map(node);
  return document;
}

function copy(from: View, key: string, to: TreeDocument, name: keyof TreeDocument, type: string): void {
  if (typeof from[key] === type) Object.assign(to, { [name]: from[key] });
}

function asView(value: unknown): View | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as View) : undefined;
}

function asList(value: unknown): View[] | undefined {
  return Array.isArray(value) ? (value as View[]) : undefined;
}
