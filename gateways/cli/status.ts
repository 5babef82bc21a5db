/**
 * `mutt status`: whether the node would take events now, and if not, why; then everything that runs in it.
 */
import { sleep } from '../../runtime/clock.ts';
import { codeOf } from '../../runtime/errors.ts';
import { terminalSum } from './accounting.ts';
import type { AdminClient } from './admin-client.ts';
import type { Ledger, NodeStatus, PartitionProgress, TreeNode } from './admin-documents.ts';
import { isOfItsSize, poolText } from './applied.ts';
import { connectAdmin } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { latencyText } from './latency-text.ts';
import { queueProgress } from './queue-progress.ts';
import type { QueueProgress } from './queue-progress.ts';
import { table } from './table.ts';
import { count, counted, cut, duration, fit, paletteFor, perSecond, printable } from './terminal-text.ts';
import type { Palette } from './terminal-text.ts';
import { flatten, isHealthy, TREE_COLUMNS } from './tree-table.ts';

export interface StatusOptions extends AdminOptions {
  json?: boolean;
}

/** Width where nobody has said how wide it is. */
const COLUMNS_DEFAULT = 100;
const LABEL_COLUMNS = 11;
const RATE_WINDOW_MS = 500;

export async function status(context: CliContext, options: StatusOptions): Promise<number> {
  const admin = connectAdmin(context, options);
  const { io, signal } = context;
  try {
    const node = await admin.status(signal);
    // The ledger needs the stores; without them the rest is worth showing all the more.
    const measured = await measure(context, admin).catch((thrown: unknown): Measured => {
      if (codeOf(thrown) === 'E_INTERRUPTED') throw thrown;
      return { ledger: undefined, rates: undefined };
    });
    const { ledger, rates, partitions } = measured;
    if (options.json === true) {
      io.stdout.write(
        `${JSON.stringify({ ...node, rates: rates ?? null, ledger: ledger ?? null, partitions: partitions ?? null }, null, 2)}\n`,
      );
    } else {
      const width = io.isTTY ? io.columns : COLUMNS_DEFAULT;
      const lines = statusView(node, measured, {
        width,
        nowMs: context.clock.wallMs(),
        paint: paletteFor(context),
      });
      io.stdout.write(`${lines.join('\n')}\n`);
    }
    return node.ready === true ? EXIT.ok : EXIT.notGood;
  } finally {
    admin.close();
  }
}

/** Events/s over the last half second. */
export interface Rates {
  accepted: number;
  done: number;
}

export interface Measured {
  /** undefined while it cannot be read. */
  ledger: Ledger | undefined;
  rates: Rates | undefined;
  partitions?: readonly PartitionProgress[] | undefined;
}

/** Reads the ledger twice: what has changed between is the rate, with no counter that could drift. */
async function measure(context: CliContext, admin: AdminClient): Promise<Measured> {
  const { clock, signal } = context;
  const before = await admin.ledger(signal);
  const beforeMs = clock.monotonicMs();
  await sleep(clock, RATE_WINDOW_MS, signal);
  const ledger = await admin.ledger(signal);
  const seconds = (clock.monotonicMs() - beforeMs) / 1_000;
  return {
    ledger,
    partitions: await admin.partitions(signal),
    rates: {
      accepted: (ledger.accepted + ledger.replayed - before.accepted - before.replayed) / seconds,
      done: (terminalSum(ledger) - terminalSum(before)) / seconds,
    },
  };
}

export interface StatusViewOptions {
  width: number;
  /** ms since 1970 UTC. */
  nowMs: number;
  paint: Palette;
}

/** The lines to show. */
export function statusView(node: NodeStatus, measured: Measured, options: StatusViewOptions): string[] {
  const { width, paint } = options;
  const { ledger, rates } = measured;
  const row = (label: string, value: string): string => cut(`${fit(label, LABEL_COLUMNS)} ${value}`, width);
  const lines = [
    node.ready ? paint.green('ready') : paint.boldRed('not ready'),
    ...(node.ready ? [] : (node.reasons ?? []).map((reason) => cut(`  ${printable(reason)}`, width))),
  ];
  if (node.version !== undefined) lines.push(row('version', printable(node.version)));
  if (node.pid !== undefined) lines.push(row('pid', String(node.pid)));
  if (node.uptime_seconds !== undefined) lines.push(row('up for', duration(node.uptime_seconds * 1_000)));
  for (const [name, address] of Object.entries(node.addresses ?? {})) {
    lines.push(row(printable(name), printable(String(address))));
  }
  if (rates !== undefined) {
    lines.push(row('rates', `${perSecond(rates.accepted)} in/s  ${perSecond(rates.done)} done/s`));
  }
  const latency = latencyText(node);
  if (latency !== undefined) lines.push(row('latency', latency));
  lines.push(
    ...ledgerRows(ledger, row, paint),
    ...ruleSetRows(node, row, paint),
    ...poolRows(node, row, paint),
    ...destinationRows(node, row, paint),
    ...ownAlertRows(node, row, paint),
    ...queueRows(queueProgress(measured.partitions ?? []), row, paint),
    ...outboxRows(ledger, row, paint),
  );
  if (node.actors !== undefined) lines.push('', ...treeLines(node.actors, options));
  if (ledger !== undefined && ledger.partitions.length > 0)
    lines.push('', ...partitionLines(ledger, width, paint));
  return lines;
}

type Row = (label: string, value: string) => string;

function ledgerRows(ledger: Ledger | undefined, row: Row, paint: Palette): string[] {
  if (ledger === undefined) return [row('ledger', 'cannot be read now')];
  const sum =
    `${count(ledger.accepted + ledger.replayed)} in = ${count(terminalSum(ledger))} done + ` +
    `${count(ledger.in_flight)} in flight`;
  const rows = [
    ledger.balanced
      ? paint.green(row('ledger', `balanced: ${sum}`))
      : paint.boldRed(row('ledger', `NOT BALANCED: ${sum}`)),
  ];
  const states = Object.entries(ledger.terminal).filter(([, figure]) => figure > 0);
  if (states.length > 0)
    rows.push(row('', states.map(([state, figure]) => `${state} ${count(figure)}`).join(' · ')));
  if (ledger.rejected > 0) rows.push(row('rejected', count(ledger.rejected)));
  if (ledger.lost > 0) rows.push(paint.boldRed(row('lost', count(ledger.lost))));
  return rows;
}

function ruleSetRows(node: NodeStatus, row: Row, paint: Palette): string[] {
  const { snapshot } = node;
  if (snapshot === undefined) return [];
  const workers = snapshot.applied ?? [];
  const behind = workers.filter(({ version }) => version < snapshot.version);
  const version = `version ${snapshot.version}`;
  if (behind.length > 0) {
    const names = behind.map((worker) => `${printable(worker.worker)} (${worker.version})`).join(', ');
    return [paint.yellow(row('rule set', `${version}, behind: ${names}`))];
  }
  return [
    row('rule set', workers.length === 0 ? version : `${version} on ${counted(workers.length, 'worker')}`),
  ];
}

function poolRows({ pools = [] }: NodeStatus, row: Row, paint: Palette): string[] {
  if (pools.length === 0) return [];
  const text = row('pools', pools.map(poolText).map(printable).join(' · '));
  return [pools.every(isOfItsSize) ? text : paint.yellow(text)];
}

/** Those that are not well; nothing while all are. */
function destinationRows(node: NodeStatus, row: Row, paint: Palette): string[] {
  return (node.destinations ?? []).map(({ name, state, last_error, since, until }, index) => {
    const end = until === undefined || until === null ? '' : ` until ${printable(until)}`;
    const what = `${printable(name)} ${printable(state).replace('_', ' ')} since ${printable(since)}${end}`;
    return paint.yellow(row(index === 0 ? 'delivery' : '', `${what}: ${printable(last_error)}`));
  });
}

/** What the node alerts about itself; nothing while all is well. */
function ownAlertRows({ own_alerts: open = [] }: NodeStatus, row: Row, paint: Palette): string[] {
  return open.map(({ description, since }, index) =>
    paint.boldRed(row(index === 0 ? 'trouble' : '', `${printable(description)} Since ${printable(since)}.`)),
  );
}

/** Nothing while it is empty. */
function outboxRows(ledger: Ledger | undefined, row: Row, paint: Palette): string[] {
  const waiting = (ledger?.partitions ?? []).flatMap(({ outbox = {} }) => Object.values(outbox));
  const alerts = waiting.reduce((sum, each) => sum + each.alerts, 0);
  if (alerts === 0) return [];
  return [paint.yellow(row('outbox', `${counted(alerts, 'alert')} of full mailboxes wait in PostgreSQL`))];
}

/** Queues that are held back, and how long others will take; nothing while all is well and empty. */
function queueRows(queues: ReadonlyMap<string, QueueProgress>, row: Row, paint: Palette): string[] {
  const paused = [...queues].flatMap(([name, { pause }]) => {
    if (pause === undefined) return [];
    const where = pause.partitions === 1 ? '1 partition' : `${pause.partitions} partitions`;
    return `${name} in ${where}: ${pause.reason}: ${pause.detail}`;
  });
  const draining = [...queues].flatMap(([name, { etaSeconds }]) =>
    etaSeconds === null || etaSeconds === 0 ? [] : `${name} ${duration(etaSeconds * 1_000)}`,
  );
  return [
    ...paused.map((text, index) => paint.yellow(row(index === 0 ? 'paused' : '', printable(text)))),
    ...(draining.length === 0 ? [] : [row('empty in', printable(draining.join(' · ')))]),
  ];
}

function treeLines(root: TreeNode, { width, paint, nowMs }: StatusViewOptions): string[] {
  return table(TREE_COLUMNS, flatten(root, nowMs), {
    width,
    bold: paint.bold,
    paintRow: ({ node }) => (isHealthy(node) ? undefined : paint.yellow),
  });
}

function partitionLines(ledger: Ledger, width: number, paint: Palette): string[] {
  const line = (cells: readonly string[]): string =>
    cut(cells.map((cell, index) => fit(cell, index === 0 ? 9 : 12, 'right')).join(' '), width);
  return [
    paint.bold(line(['partition', 'accepted', 'in flight', 'balanced', 'lost'])),
    ...ledger.partitions.map((partition) => {
      const text = line([
        String(partition.partition),
        count(partition.accepted),
        count(partition.in_flight),
        partition.balanced ? 'yes' : 'NO',
        count(partition.lost),
      ]);
      return partition.balanced ? text : paint.boldRed(text);
    }),
  ];
}
