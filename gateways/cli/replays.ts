/**
 * `mutt failures replay`, `progress` and `cancel`: dead letters back into the lanes of their destinations, at a pace, and
 * how far that is. The nodes do it: whoever asked may go away.
 */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { sleep } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';
import type { AdminClient } from './admin-client.ts';
import type { ReplayOperation, ReplayPreview } from './admin-documents.ts';
import { seconds } from './changes.ts';
import { examples, moment, wholeNumber, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count, printable } from './terminal-text.ts';

interface JsonOptions extends AdminOptions {
  json?: boolean;
}
interface ReplayOptions extends JsonOptions {
  destination?: string;
  code?: string;
  team?: string;
  /** RFC 3339. */
  since?: string;
  rate?: number;
  limit?: number;
  set?: Record<string, string | number>;
  dryRun?: boolean;
  wait?: boolean;
  reason?: string;
}
interface CancelOptions extends JsonOptions {
  reason?: string;
}
interface ProgressOptions extends JsonOptions {
  wait?: boolean;
  limit: number;
}

const PATH = '/api/v2/failures/replays';
const REQUEST_TIMEOUT_MS = 60_000;
const IDS_MAX = 200;
const LETTERS_MAX = 1_000_000;
const RATE_MAX = 10_000;
const LIST_DEFAULT = 20;
const LIST_MAX = 10_000;
const LOOK_EVERY_MS = 1_000;
const SEVERITY = 'severity';
const EDITABLE = ['description', SEVERITY, 'team', 'environment', 'decision', 'status'];

const OPERATION_COLUMNS: readonly Column<ReplayOperation>[] = [
  { head: 'id', cell: ({ id }) => id },
  { head: 'begun', cell: ({ begun_at: at }) => seconds(at) },
  { head: 'by', cell: ({ begun_by: by }) => by, shrinks: true },
  { head: 'state', cell: ({ state }) => state },
  { head: 'letters', cell: ({ letters }) => String(letters), align: 'right' },
  { head: 'waiting', cell: ({ waiting }) => String(waiting), align: 'right' },
  { head: 'on their way', cell: ({ on_their_way: n }) => String(n), align: 'right' },
  { head: 'delivered', cell: ({ delivered }) => String(delivered), align: 'right' },
  { head: 'failed', cell: ({ failed }) => String(failed), align: 'right' },
  { head: 'superseded', cell: ({ superseded }) => String(superseded), align: 'right' },
  { head: 'canceled', cell: ({ canceled }) => String(canceled), align: 'right' },
];
const PREVIEW_COLUMNS: readonly Column<ReplayPreview['items'][number]>[] = [
  { head: 'id', cell: ({ id }) => id },
  { head: 'destination', cell: ({ destination }) => destination },
  { head: 'code', cell: ({ reason }) => reason },
  { head: '', cell: ({ is_superseded: isSuperseded }) => (isSuperseded ? 'superseded' : '') },
];

async function replay(context: CliContext, ids: readonly string[], options: ReplayOptions): Promise<number> {
  const { destination, code, team, since, rate, limit, set, dryRun, reason } = options;
  const filters = given({ destination, code, team, since });
  if (Object.keys(filters).length > 0 === ids.length > 0) {
    throw new CodedError('E_USAGE', 'it is not clear which dead letters to replay', {
      mend: 'Give ids, or at least one of --destination, --code, --team and --since; not both.',
    });
  }
  if (ids.length > IDS_MAX) {
    throw new CodedError('E_USAGE', `${ids.length} ids are more than ${IDS_MAX}`, {
      mend: 'Name the letters by what they have in common, or call it several times.',
    });
  }
  const body = {
    ...filters,
    ...given({
      ids: ids.length === 0 ? undefined : [...new Set(ids)],
      per_second: rate,
      letters_max: limit,
      set,
      dry_run: dryRun,
      reason,
    }),
  };
  return withAdminClient(context, options, async (admin) => {
    const change = { method: 'POST', path: PATH, body, timeoutMs: REQUEST_TIMEOUT_MS } as const;
    if (dryRun === true) {
      return tellPreview(context, await admin.change<ReplayPreview>(change, context.signal), options);
    }
    const begun = await admin.change<ReplayOperation>(change, context.signal);
    return options.wait === true ? follow(context, admin, begun.id, options) : tell(context, begun, options);
  });
}

function tellPreview(context: CliContext, preview: ReplayPreview, { json }: JsonOptions): number {
  if (json === true) {
    writeJson(context, preview);
    return EXIT.ok;
  }
  const { letters, superseded, items } = preview;
  writeTable(context, PREVIEW_COLUMNS, items);
  if (items.length < letters) context.io.stdout.write(`and ${count(letters - items.length)} more\n`);
  const rest = superseded === 0 ? '' : `; ${count(superseded)} would end as superseded`;
  context.io.stdout.write(`${count(letters - superseded)} would be replayed${rest}\n`);
  return EXIT.ok;
}

async function progress(
  context: CliContext,
  id: string | undefined,
  options: ProgressOptions,
): Promise<number> {
  return withAdminClient(context, options, async (admin) => {
    if (id !== undefined) {
      if (options.wait === true) return follow(context, admin, id, options);
      return tell(context, await read(context, admin, id), options);
    }
    const { items } = await admin.list<ReplayOperation>(PATH, {}, options.limit, context.signal);
    if (options.json === true) writeJson(context, items);
    else writeTable(context, OPERATION_COLUMNS, items);
    return EXIT.ok;
  });
}

/** Until its last letter has ended. Exit code 1 when not all of them were delivered. */
async function follow(
  context: CliContext,
  admin: AdminClient,
  id: string,
  options: JsonOptions,
): Promise<number> {
  let told = '';
  for (;;) {
    const operation = await read(context, admin, id);
    if (operation.state !== 'running') {
      tell(context, operation, options);
      return operation.failed + operation.canceled === 0 ? EXIT.ok : EXIT.notGood;
    }
    const { stranded = 0, waiting, on_their_way: onTheirWay } = operation;
    if (stranded > 0 && stranded === waiting + onTheirWay) {
      tell(context, operation, options);
      context.io.stderr.write('mutt: no node of their Redis lives: see mutt failures stores\n');
      return EXIT.notGood;
    }
    const line = lineOf(operation);
    if (line !== told) context.io.stderr.write(`${line}\n`);
    told = line;
    await sleep(context.clock, LOOK_EVERY_MS, context.signal);
    context.signal.throwIfAborted();
  }
}

async function cancel(context: CliContext, id: string, options: CancelOptions): Promise<number> {
  const body = given({ reason: options.reason });
  const canceled = await withAdminClient(context, options, (admin) =>
    admin.change<ReplayOperation>({ method: 'DELETE', path: pathOf(id), body }, context.signal),
  );
  return tell(context, canceled, options);
}

function tell(context: CliContext, operation: ReplayOperation, { json }: JsonOptions): number {
  if (json === true) writeJson(context, operation);
  else context.io.stdout.write(`${operation.id}  ${lineOf(operation)}\n`);
  return EXIT.ok;
}

function lineOf(operation: ReplayOperation): string {
  const {
    state,
    letters,
    waiting,
    on_their_way: onTheirWay,
    delivered,
    failed,
    superseded,
    canceled,
    stranded = 0,
  } = operation;
  const parts: [number, string][] = [
    [waiting, 'waiting'],
    [onTheirWay, 'on their way'],
    [stranded, 'of these stranded'],
    [delivered, 'delivered'],
    [failed, 'failed again'],
    [superseded, 'superseded'],
    [canceled, 'taken back'],
  ];
  const told = parts.filter(([n]) => n > 0).map(([n, what]) => `${count(n)} ${what}`);
  return `${printable(state)}: ${count(letters)} dead letters, ${told.join(', ')}`;
}

function read(context: CliContext, admin: AdminClient, id: string): Promise<ReplayOperation> {
  return admin.read<ReplayOperation>(pathOf(id), {}, context.signal);
}

function pathOf(id: string): string {
  return `${PATH}/${encodeURIComponent(id)}`;
}

function given<T extends object>(members: T): Partial<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** `field=value`, any number of times. */
function edit(text: string, before: Record<string, string | number> = {}): Record<string, string | number> {
  const [, field = '', value = ''] = /^(\w+)=(.+)$/s.exec(text) ?? [];
  if (!EDITABLE.includes(field)) {
    throw new InvalidArgumentError(`It must be field=value, with one of ${EDITABLE.join(', ')}.`);
  }
  if (field !== SEVERITY) return { ...before, [field]: value };
  if (!/^[0-7]$/.test(value)) throw new InvalidArgumentError('A severity is a whole number from 0 to 7.');
  return { ...before, [field]: Number(value) };
}

export function addReplays(failures: Command, context: CliContext, acts: Acts): void {
  withAdmin(
    failures
      .command('replay')
      .description('send dead letters once more; the nodes do it, the oldest alerts first')
      .argument('[ids...]', 'ids; or name them by --destination, --code, --team, --since'),
  )
    .option('--destination <name>', 'those of this destination')
    .option('--code <code>', 'those that failed for this reason: rejected')
    .option('--team <name>', 'those of this team')
    .option(
      '--since <when>',
      'failed not before: a date, a time, or so long ago (24h)',
      moment(() => context.clock.wallMs()),
    )
    .option('--limit <n>', 'at most so many, the oldest alerts', wholeNumber(1, LETTERS_MAX))
    .option('--rate <n>', 'so many in a second (default: 50)', wholeNumber(1, RATE_MAX))
    .option('--set <field=value>', `send a copy with another ${EDITABLE.join(', ')}; repeatable`, edit)
    .option('--dry-run', 'only say which would be sent, and which are superseded')
    .option('--wait', 'until the last of them has ended; exit code 1 when one failed again')
    .option('--reason <text>', 'why, for the audit of the change')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples([
        'mutt failures replay --destination moogsoft --dry-run',
        'mutt failures replay --destination moogsoft --rate 20 --wait --reason "their filter is mended"',
        'mutt failures replay 9f2c… --set severity=2 --set "description=link down on core-1"',
      ]),
    )
    .action(acts((ids: string[], options: ReplayOptions) => replay(context, ids, options)));
  withAdmin(
    failures
      .command('progress')
      .description('show how far replays of dead letters are')
      .argument('[id]', 'of a replay; without it all of them, newest first'),
  )
    .option('--wait', 'with an id: until its last letter has ended')
    .option('--limit <n>', 'at most so many', wholeNumber(1, LIST_MAX), LIST_DEFAULT)
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt failures progress', 'mutt failures progress 4b1e… --wait']))
    .action(acts((id: string | undefined, options: ProgressOptions) => progress(context, id, options)));
  withAdmin(
    failures
      .command('cancel')
      .description('take back what still waits of a replay; what is on its way goes on')
      .argument('<id>', 'of the replay'),
  )
    .option('--reason <text>', 'why, for the audit of the change')
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt failures cancel 4b1e… --reason "too early"']))
    .action(acts((id: string, options: CancelOptions) => cancel(context, id, options)));
}
