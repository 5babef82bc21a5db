/**
 * The picture of `mutt top`: what the node says in, lines of text out. It draws nothing itself.
 *
 * Every line fits the given width, and the lines fit the height: what has no room is counted on the last one.
 */
import { terminalSum } from './accounting.ts';
import type { Ledger, LedgerPartition, NodeStatus, PartitionProgress } from './admin-documents.ts';
import { isOfItsSize, poolText } from './applied.ts';
import { latencyText } from './latency-text.ts';
import { queueProgress } from './queue-progress.ts';
import type { QueueProgress } from './queue-progress.ts';
import { table } from './table.ts';
import type { Column } from './table.ts';
import { bytes, count, cut, duration, fit, perSecond, printable, sparkline } from './terminal-text.ts';
import type { Palette } from './terminal-text.ts';
import { flatten, isHealthy, memoryOf } from './tree-table.ts';
import type { TreeRow } from './tree-table.ts';

export interface TopSample {
  status: NodeStatus;
  /** undefined while it cannot be read. */
  ledger: Ledger | undefined;
  /** How their mailboxes get on; undefined while that cannot be read. */
  partitions?: readonly PartitionProgress[] | undefined;
  /** Since the look before; undefined at the first. */
  rates: TopRates | undefined;
  /** Events/s in of the last looks, oldest first. */
  history: readonly number[];
}

/** Per second. */
export interface TopRates {
  accepted: number;
  done: number;
  alerts: number;
}

export interface TopViewOptions {
  /** undefined: nothing is cut. */
  width: number | undefined;
  height: number | undefined;
  /** ms since 1970 UTC. */
  nowMs: number;
  paint: Palette;
  /** What is wrong now: the last figures are old. */
  trouble: string | undefined;
}

const LABEL_COLUMNS = 8;
const HISTORY_COLUMNS_MAX = 40;

export function topView(sample: TopSample, options: TopViewOptions): string[] {
  const { height, paint, trouble } = options;
  const width = options.width ?? Infinity;
  const lines = [
    ...headLines(sample, width, options),
    ...(trouble === undefined ? [] : [paint.yellow(cut(printable(trouble), width))]),
    '',
    ...queueLines(sample, options),
    '',
    ...actorLines(sample.status, options),
    '',
    ...partitionLines(sample.ledger, options),
  ];
  while (lines.at(-1) === '') lines.pop();
  if (height === undefined || lines.length <= height) return lines;
  const shown = lines.slice(0, Math.max(0, height - 1));
  return [...shown, paint.dim(cut(`… ${lines.length - shown.length} more lines`, width))];
}

function headLines(sample: TopSample, width: number, options: TopViewOptions): string[] {
  const { status, ledger, rates, history } = sample;
  const { paint } = options;
  const name = [
    `mutt ${printable(status.version ?? '')}`.trim(),
    ...(status.pid === undefined ? [] : [`pid ${status.pid}`]),
    ...(status.uptime_seconds === undefined ? [] : [`up ${duration(status.uptime_seconds * 1_000)}`]),
    status.ready ? 'ready' : `NOT READY: ${(status.reasons ?? []).map(printable).join('; ')}`,
  ].join('  ');
  const row = (label: string, text: string): string => cut(`${fit(label, LABEL_COLUMNS)}${text}`, width);
  const lines = [
    (status.ready ? paint.bold : paint.boldRed)(cut(name, width)),
    row('rates', ratesText(rates, history, width)),
  ];
  const latency = latencyText(status);
  if (latency !== undefined) lines.push(row('latency', latency));
  if (ledger === undefined) {
    lines.push(paint.yellow(row('ledger', 'cannot be read now')));
  } else {
    const sum =
      `${count(ledger.accepted + ledger.replayed)} in = ${count(terminalSum(ledger))} done + ` +
      `${count(ledger.in_flight)} in flight`;
    const others = [
      ...(ledger.rejected > 0 ? [`${count(ledger.rejected)} rejected`] : []),
      ...(ledger.lost > 0 ? [`${count(ledger.lost)} LOST`] : []),
    ].join(', ');
    const text = `${ledger.balanced ? 'balanced' : 'NOT BALANCED'}: ${sum}${others === '' ? '' : `; ${others}`}`;
    lines.push((ledger.balanced && ledger.lost === 0 ? paint.green : paint.boldRed)(row('ledger', text)));
  }
  const { snapshot } = status;
  if (snapshot !== undefined) {
    const workers = snapshot.applied ?? [];
    const behind = workers.filter(({ version }) => version < snapshot.version).length;
    const text = `version ${snapshot.version} on ${workers.length - behind} of ${workers.length} workers`;
    lines.push((behind === 0 ? (line: string) => line : paint.yellow)(row('config', text)));
  }
  const { pools = [] } = status;
  if (pools.length > 0) {
    const text = row('pools', pools.map(poolText).map(printable).join(' · '));
    lines.push(pools.every(isOfItsSize) ? text : paint.yellow(text));
  }
  return lines;
}

function ratesText(rates: TopRates | undefined, history: readonly number[], width: number): string {
  if (rates === undefined) return 'being measured';
  const text =
    `${perSecond(rates.accepted)} in/s  ${perSecond(rates.done)} done/s  ` +
    `${perSecond(rates.alerts)} alerts/s`;
  const room = Math.min(HISTORY_COLUMNS_MAX, width - LABEL_COLUMNS - text.length - 2);
  return room < 1 || history.length < 2 ? text : `${text}  ${sparkline(history.slice(-room))}`;
}

interface Queue {
  name: string;
  messages: number;
  bytes: number;
  /** Waiting for a later try. */
  delayed: number;
  /** Waiting in the outbox. */
  outbox: number;
  /** Partitions with something in it. */
  partitions: number;
}

/** The lanes of all partitions, summed; what waits for a later try with the lane it will go back to. */
export function queuesOf(partitions: readonly LedgerPartition[]): Queue[] {
  const queues = new Map<string, Queue>();
  const of = (name: string): Queue => {
    const queue = queues.get(name) ?? { name, messages: 0, bytes: 0, delayed: 0, outbox: 0, partitions: 0 };
    queues.set(name, queue);
    return queue;
  };
  for (const { lanes = {}, delayed = {}, outbox = {} } of partitions) {
    for (const [name, lane] of Object.entries(lanes)) {
      const queue = of(name);
      queue.messages += lane.messages;
      queue.bytes += lane.bytes;
      if (lane.entries > 0) queue.partitions += 1;
    }
    for (const [set, members] of Object.entries(delayed)) {
      of(set.replace(/^retry:/, 'alert:')).delayed += members;
    }
    for (const [name, { alerts }] of Object.entries(outbox)) of(name).outbox += alerts;
  }
  return [...queues.values()].sort((a, b) => rank(a.name) - rank(b.name) || a.name.localeCompare(b.name));
}

/** Events come first, those of hosts that flood behind the others. */
function rank(name: string): number {
  const at = ['ingest', 'overflow'].indexOf(name);
  return at < 0 ? 2 : at;
}

const QUEUE_COLUMNS: readonly Column<Queue>[] = [
  { head: 'queue', cell: ({ name }) => name, shrinks: true },
  { head: 'waiting', cell: ({ messages }) => count(messages), align: 'right' },
  { head: 'retrying', cell: ({ delayed }) => count(delayed), align: 'right' },
  { head: 'size', cell: (queue) => bytes(queue.bytes), align: 'right' },
  { head: 'in partitions', cell: ({ partitions }) => String(partitions), align: 'right' },
];

const OUTBOX_COLUMN: Column<Queue> = {
  head: 'in outbox',
  cell: ({ outbox }) => count(outbox),
  align: 'right',
};

function queueLines({ ledger, partitions }: TopSample, options: TopViewOptions): string[] {
  if (ledger === undefined) return [];
  const { width, paint } = options;
  const progress = queueProgress(partitions ?? []);
  const queues = queuesOf(ledger.partitions);
  // A column for what is seldom there only when it is.
  const known = queues.some(({ outbox }) => outbox > 0)
    ? QUEUE_COLUMNS.toSpliced(3, 0, OUTBOX_COLUMN)
    : QUEUE_COLUMNS;
  const columns: Column<Queue>[] = [
    ...known,
    { head: 'empty in', cell: ({ name }) => etaText(progress.get(name)), align: 'right' },
    { head: 'paused', cell: ({ name }) => progress.get(name)?.pause?.reason ?? '', shrinks: true },
  ];
  return table(partitions === undefined ? known : columns, queues, {
    width,
    bold: paint.bold,
    paintRow: ({ name }) => (progress.get(name)?.pause === undefined ? undefined : paint.yellow),
  });
}

function etaText(progress: QueueProgress | undefined): string {
  const etaSeconds = progress?.etaSeconds ?? 0;
  return etaSeconds === 0 ? '' : duration(etaSeconds * 1_000);
}

function actorLines(status: NodeStatus, options: TopViewOptions): string[] {
  if (status.actors === undefined) return [];
  const { width, paint, nowMs } = options;
  const applied = new Map((status.snapshot?.applied ?? []).map(({ worker, version }) => [worker, version]));
  const figure = (value: number | undefined): string => (value === undefined ? '' : String(value));
  const columns: Column<TreeRow>[] = [
    { head: 'actor', cell: ({ node, depth }) => `${'  '.repeat(depth)}${node.id}`, shrinks: true },
    { head: 'state', cell: ({ node }) => node.status ?? '' },
    { head: 'epoch', cell: ({ node }) => figure(node.epoch), align: 'right' },
    { head: 'restarts', cell: ({ node }) => figure(node.restarts), align: 'right' },
    { head: 'config', cell: ({ node }) => figure(applied.get(node.id)), align: 'right' },
    { head: 'memory', cell: ({ node }) => memoryOf(node), align: 'right' },
    { head: 'waiting', cell: ({ node }) => figure(node.waiting), align: 'right' },
    { head: 'for', cell: ({ ageMs }) => (ageMs === undefined ? '' : duration(ageMs)), align: 'right' },
    { head: 'last exit', cell: ({ node }) => node.exits?.at(-1)?.reason ?? '', shrinks: true },
  ];
  return table(columns, flatten(status.actors, nowMs), {
    width,
    bold: paint.bold,
    paintRow: ({ node }) => (isHealthy(node) ? undefined : paint.yellow),
  });
}

const PARTITION_COLUMNS: readonly Column<LedgerPartition>[] = [
  { head: 'partition', cell: ({ partition }) => String(partition), align: 'right' },
  { head: 'accepted', cell: ({ accepted }) => count(accepted), align: 'right' },
  { head: 'in flight', cell: (partition) => count(partition.in_flight), align: 'right' },
  { head: 'balanced', cell: ({ balanced }) => (balanced ? 'yes' : 'NO'), align: 'right' },
  { head: 'lost', cell: ({ lost }) => count(lost), align: 'right' },
];

function partitionLines(ledger: Ledger | undefined, options: TopViewOptions): string[] {
  if (ledger === undefined || ledger.partitions.length === 0) return [];
  const { width, paint } = options;
  return table(PARTITION_COLUMNS, ledger.partitions, {
    width,
    bold: paint.bold,
    paintRow: ({ balanced }) => (balanced ? undefined : paint.boldRed),
  });
}
