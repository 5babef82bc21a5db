/** `mutt destinations`: where alerts go, and holding one back for a while. One at a time: destination-edit.ts. */
import type { Command } from 'commander';
import { seconds } from './changes.ts';
import { examples, futureMoment, wholeNumber, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { paletteFor, printable } from './terminal-text.ts';

/** As the node shows it; what an older one does not know is absent. */
interface ShownDestination {
  name: string;
  kind: string;
  url: string;
  rate_per_second?: number;
  concurrency?: number;
  hold?: { kind: string; since: string; until: string | null; reason: string; by: string } | null;
}
interface ListOptions extends AdminOptions {
  json?: boolean;
  limit: number;
}
interface HoldOptions extends AdminOptions {
  json?: boolean;
  reason?: string;
  /** RFC 3339. */
  until?: string;
}

const PATH = '/api/v2/destinations';
const LIST_DEFAULT = 1_000;
const LIST_MAX = 100_000;

async function destinationsList(context: CliContext, options: ListOptions): Promise<number> {
  const { items } = await withAdminClient(context, options, (admin) =>
    admin.list<ShownDestination>(PATH, {}, options.limit, context.signal),
  );
  const paint = paletteFor(context);
  if (options.json === true) writeJson(context, items);
  else writeTable(context, COLUMNS, items, ({ hold }) => (isHeld(hold) ? paint.yellow : undefined));
  return EXIT.ok;
}

const COLUMNS: readonly Column<ShownDestination>[] = [
  { head: 'name', cell: ({ name }) => name, shrinks: true },
  { head: 'kind', cell: ({ kind }) => kind },
  { head: 'url', cell: ({ url }) => url, shrinks: true },
  { head: 'per second', cell: ({ rate_per_second: rate }) => String(rate ?? ''), align: 'right' },
  { head: 'at once', cell: ({ concurrency }) => String(concurrency ?? ''), align: 'right' },
  { head: 'held', cell: ({ hold }) => heldText(hold), shrinks: true },
];

function isHeld(hold: ShownDestination['hold']): hold is NonNullable<ShownDestination['hold']> {
  return hold !== undefined && hold !== null;
}

function heldText(hold: ShownDestination['hold']): string {
  if (!isHeld(hold)) return '';
  const until = hold.until === null ? '' : ` until ${seconds(hold.until)}`;
  return `${hold.kind}${until} by ${hold.by}: ${hold.reason}`;
}

async function destinationsHold(
  context: CliContext,
  operation: 'pause' | 'mute' | 'resume',
  name: string,
  { reason, until, ...options }: HoldOptions,
): Promise<number> {
  const body = { ...(reason === undefined ? {} : { reason }), ...(until === undefined ? {} : { until }) };
  const shown = await withAdminClient(context, options, (admin) =>
    admin.change<ShownDestination>(
      { method: 'POST', path: `${PATH}/${encodeURIComponent(name)}/${operation}`, body },
      context.signal,
    ),
  );
  if (options.json === true) writeJson(context, shown);
  else context.io.stdout.write(`${printable(`${name}: ${heldText(shown.hold) || 'alerts are sent'}`)}\n`);
  return EXIT.ok;
}

/** Gives `mutt destinations`, for more of it. */
export function addDestinations(program: Command, context: CliContext, acts: Acts): Command {
  const destinations = program
    .command('destinations')
    .description('where alerts go: list, add, test and remove, pause, mute and resume');
  withAdmin(destinations.command('list').description('list the destinations by name, and which are held'))
    .option('--limit <n>', 'at most so many', wholeNumber(1, LIST_MAX), LIST_DEFAULT)
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt destinations list']))
    .action(acts((options: ListOptions) => destinationsList(context, options)));
  for (const [operation, what] of [
    ['pause', 'send nothing; its alerts wait, on every node'],
    ['mute', 'send nothing; its alerts end as suppressed, on every node'],
  ] as const) {
    withAdmin(destinations.command(operation).description(what).argument('<name>', 'its name'))
      .requiredOption('--reason <text>', 'why, for those who wonder and for the audit')
      .option(
        '--until <when>',
        'when it ends by itself: 2h, or a date (default: when it is resumed)',
        futureMoment(() => context.clock.wallMs()),
      )
      .option('--json', 'print JSON')
      .addHelpText(
        'after',
        examples([`mutt destinations ${operation} moogsoft --until 2h --reason "upgrade"`]),
      )
      .action(
        acts((name: string, options: HoldOptions) => destinationsHold(context, operation, name, options)),
      );
  }
  withAdmin(
    destinations
      .command('resume')
      .description('end a pause or mute; what waits is sent')
      .argument('<name>', 'its name'),
  )
    .option('--reason <text>', 'why, for the audit of the change')
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt destinations resume moogsoft']))
    .action(acts((name: string, options: HoldOptions) => destinationsHold(context, 'resume', name, options)));
  return destinations;
}
