/**
 * `mutt failures`: what was rejected, quarantined or not delivered and why, and what to do about rejects; what is done
 * about dead letters is in replays.ts, but for throwing them away.
 *
 * Several rejects are named by their ids, or by what they have in common; in both cases each has its own outcome.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import type { AdminClient, Query } from './admin-client.ts';
import type { FailureDetail, FailureDocument, FailureOutcome, RejectTotals } from './admin-documents.ts';
import { seconds } from './changes.ts';
import { examples, moment, wholeNumber, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { addAdoptions } from './adoptions.ts';
import { addReplays } from './replays.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count, paletteFor, printable } from './terminal-text.ts';
import { waiting } from './waiting.ts';

interface JsonOptions extends AdminOptions {
  json?: boolean;
}
/** What rejects have in common. */
interface Filters {
  key?: string;
  code?: string;
  sender?: string;
  /** RFC 3339. */
  since?: string;
}
interface ListOptions extends JsonOptions, Filters {
  kind: 'reject' | 'quarantine' | 'dead_letter';
  state?: string;
  destination?: string;
  team?: string;
  store?: string;
  limit: number;
}
interface ShowOptions extends JsonOptions {
  /** File for the bytes of the body. */
  out?: string;
}
interface ManyOptions extends JsonOptions, Filters {
  limit: number;
  reason?: string;
  /** What is said when there are none. */
  none?: string;
}
interface DiscardOptions extends ManyOptions {
  /** Of dead letters. */
  destination?: string;
}
interface ResubmitOptions extends ManyOptions {
  bodyFile?: string;
  dryRun?: boolean;
}

const PATH = '/api/v2/failures';
const REJECT_STATES = ['parked', 'resubmitting', 'resubmitted'];
const LETTER_STATES = [
  'kept',
  'given_up',
  'queued',
  'discarding',
  'replayed',
  'delivered',
  'superseded',
  'discarded',
];
/** Of dead letters that are not discarded any more. */
const IN_HAND: ReadonlySet<string> = new Set(['queued', 'discarding', 'replayed']);
const LIST_DEFAULT = 50;
const MANY_DEFAULT = 1_000;
const LIMIT_MAX = 100_000;
/** What the node takes at once. */
const IDS_PER_REQUEST = 200;
const REQUEST_TIMEOUT_MS = 60_000;
const BODY_BYTES_MAX = 1024 * 1024;
const GOOD_OUTCOMES: ReadonlySet<string> = new Set([
  'resubmitted',
  'already_resubmitted',
  'usable',
  'discarded',
]);

const FAILURE_COLUMNS: readonly Column<FailureDocument>[] = [
  { head: 'id', cell: ({ id }) => id },
  { head: 'failed', cell: ({ last_failed_at: at }) => seconds(at ?? '') },
  { head: 'key', cell: ({ key }) => key ?? '', shrinks: true },
  { head: 'sender', cell: ({ sender }) => sender ?? '', shrinks: true },
  { head: 'code', cell: ({ reason }) => reason },
  { head: 'state', cell: ({ state }) => state ?? '' },
  { head: 'bytes', cell: ({ body_bytes: bytes }) => String(bytes ?? ''), align: 'right' },
  { head: 'body', cell: ({ excerpt }) => excerpt ?? '', shrinks: true },
];
const LETTER_COLUMNS: readonly Column<FailureDocument>[] = [
  { head: 'id', cell: ({ id }) => id },
  { head: 'failed', cell: ({ last_failed_at: at }) => seconds(at ?? '') },
  { head: 'destination', cell: ({ destination }) => destination ?? '', shrinks: true },
  { head: 'team', cell: ({ team }) => team ?? '', shrinks: true },
  { head: 'code', cell: ({ reason }) => reason },
  { head: 'error', cell: ({ error }) => error ?? '', shrinks: true },
  {
    head: 'state',
    cell: ({ state, is_stranded: isStranded }) => `${state ?? ''}${isStranded === true ? ', stranded' : ''}`,
  },
  { head: 'replays', cell: ({ replays }) => String(replays ?? ''), align: 'right' },
  { head: 'description', cell: ({ excerpt }) => excerpt ?? '', shrinks: true },
];
const TOTALS_COLUMNS: readonly Column<RejectTotals>[] = [
  { head: 'key', cell: ({ key }) => key, shrinks: true },
  { head: 'kept', cell: ({ kept }) => String(kept), align: 'right' },
  { head: 'bytes', cell: ({ kept_bytes: bytes }) => String(bytes), align: 'right' },
  { head: 'evicted', cell: ({ evicted }) => String(evicted), align: 'right' },
  { head: 'resubmitted', cell: ({ resubmitted }) => String(resubmitted), align: 'right' },
  { head: 'discarded', cell: ({ discarded }) => String(discarded), align: 'right' },
];
const OUTCOME_COLUMNS: readonly Column<FailureOutcome>[] = [
  { head: 'id', cell: ({ id }) => id },
  { head: 'outcome', cell: ({ outcome }) => outcome },
  { head: 'events', cell: ({ events }) => String(events ?? ''), align: 'right' },
  { head: 'why', cell: whyOf, shrinks: true },
];

async function failuresList(context: CliContext, options: ListOptions): Promise<number> {
  const { kind, state, destination, team, store } = options;
  const query = { kind, state, destination, team, store, ...filtersOf(options) };
  const { items, next } = await withAdminClient(context, options, (admin) =>
    admin.list<FailureDocument>(PATH, query, options.limit, context.signal),
  );
  if (options.json === true) {
    writeJson(context, items);
    return EXIT.ok;
  }
  writeTable(context, kind === 'dead_letter' ? LETTER_COLUMNS : FAILURE_COLUMNS, items);
  if (next !== null) context.io.stderr.write('mutt: there are more; a greater --limit shows them\n');
  if (items.some(({ is_stranded: isStranded }) => isStranded === true))
    context.io.stderr.write(
      'mutt: no node of the Redis of stranded letters lives: see mutt failures stores\n',
    );
  return EXIT.ok;
}

async function failuresTotals(context: CliContext, options: JsonOptions): Promise<number> {
  const { items } = await withAdminClient(context, options, (admin) =>
    admin.list<RejectTotals>(`${PATH}/totals`, {}, LIMIT_MAX, context.signal),
  );
  if (options.json === true) writeJson(context, items);
  else writeTable(context, TOTALS_COLUMNS, items);
  return EXIT.ok;
}

async function failuresShow(context: CliContext, id: string, options: ShowOptions): Promise<number> {
  const failure = await withAdminClient(context, options, (admin) =>
    admin.read<FailureDetail>(pathOf(id), { bytes: BODY_BYTES_MAX }, context.signal),
  );
  if (options.out !== undefined) {
    await writeBodyFile(options.out, Buffer.from(failure.body?.base64 ?? '', 'base64'));
  }
  if (options.json === true) writeJson(context, failure);
  else context.io.stdout.write(`${failureLines(failure).join('\n')}\n`);
  return EXIT.ok;
}

/** All of a failure, for a person. */
function failureLines(failure: FailureDetail): string[] {
  const { body, history = [], replay_history: replays = [], excerpt: _, ...fields } = failure;
  const rows = Object.entries(fields).filter(([, value]) => value !== null);
  const width = Math.max(...rows.map(([name]) => name.length));
  const told = rows.map(
    ([name, value]) => `${name.replaceAll('_', ' ').padEnd(width)}  ${printable(String(value))}`,
  );
  const notes = [
    body?.is_utf8 === false ? 'not UTF-8: --out keeps its bytes' : '',
    body?.is_cut === true ? 'only its beginning' : '',
  ].filter((note) => note !== '');
  const text = (body?.text ?? '').split('\n').map((line) => `  ${printable(line)}`);
  return [
    ...told,
    ...history.map((line) => `  ${printable(line)}`),
    ...replays.map((replay) => `  ${printable(replayLine(replay))}`),
    '',
    `body${notes.length === 0 ? '' : ` (${notes.join(', ')})`}:`,
    ...text,
  ];
}

function replayLine(replay: NonNullable<FailureDetail['replay_history']>[number]): string {
  const { nth, operation_id: operation, is_edited: isEdited, replayed_at: at, outcome, error } = replay;
  const by = operation === null ? 'by itself' : `by ${operation}`;
  const what =
    outcome === null ? 'on its way' : outcome === 'failed' ? `failed again: ${error ?? ''}` : outcome;
  return `replay ${nth} ${seconds(at)} ${by}${isEdited ? ', edited' : ''}: ${what}`;
}

async function failuresResubmit(
  context: CliContext,
  ids: readonly string[],
  options: ResubmitOptions,
): Promise<number> {
  const { bodyFile, dryRun } = options;
  if (bodyFile === undefined && dryRun !== true) return actOnMany(context, 'resubmit', ids, options);
  const [id] = ids;
  if (ids.length !== 1 || id === undefined) {
    throw new CodedError('E_USAGE', '--body-file and --dry-run are for one reject', { mend: 'Give one id.' });
  }
  const body = bodyFile === undefined ? undefined : await readBodyFile(bodyFile);
  const outcome = await withAdminClient(context, options, (admin) =>
    admin.change<FailureOutcome>(
      {
        method: 'POST',
        path: `${pathOf(id)}/resubmit`,
        body: {
          ...(body === undefined ? {} : { body_base64: body.toString('base64') }),
          ...(dryRun === true ? { dry_run: true } : {}),
          ...(options.reason === undefined ? {} : { reason: options.reason }),
        },
        timeoutMs: REQUEST_TIMEOUT_MS,
      },
      context.signal,
    ),
  );
  return tellOutcomes(context, [outcome], options);
}

/** With a destination: its dead letters that wait. */
function failuresDiscard(
  context: CliContext,
  ids: readonly string[],
  { destination, ...options }: DiscardOptions,
): Promise<number> {
  if (destination === undefined) return actOnMany(context, 'discard', ids, options);
  const ofKind = { kind: 'dead_letter', destination };
  return actOnMany(context, 'discard', ids, { ...options, none: 'there are no such dead letters' }, ofKind);
}

async function actOnMany(
  context: CliContext,
  operation: 'resubmit' | 'discard',
  given: readonly string[],
  options: ManyOptions,
  ofKind: Query = {},
): Promise<number> {
  const filters = { ...filtersOf(options), ...ofKind };
  const hasFilters = Object.values(filters).some((value) => value !== undefined);
  if (hasFilters === given.length > 0) {
    throw new CodedError('E_USAGE', `it is not clear which to ${operation}`, {
      mend: `Give ids, or at least one of --key, --code, --sender${operation === 'discard' ? ', --destination' : ''} and --since; not both.`,
    });
  }
  const items = await withAdminClient(context, options, async (admin) => {
    const ids = hasFilters ? await idsOf(context, admin, operation, filters, options.limit) : unique(given);
    const doing = operation === 'resubmit' ? 'resubmitting' : 'discarding';
    return waiting(
      context,
      `${doing} ${count(ids.length)} failures`,
      sendInParts(context, admin, operation, ids, options),
    );
  });
  return tellOutcomes(context, items, options);
}

async function idsOf(
  context: CliContext,
  admin: AdminClient,
  operation: 'resubmit' | 'discard',
  filters: Query,
  limit: number,
): Promise<string[]> {
  const query = operation === 'resubmit' ? { ...filters, state: 'parked' } : filters;
  const { items, next } = await admin.list<FailureDocument>(PATH, query, limit, context.signal);
  if (next !== null) {
    context.io.stderr.write('mutt: there are more; call it again, or with a greater --limit\n');
  }
  return items.filter(({ state }) => !IN_HAND.has(state ?? '')).map(({ id }) => id);
}

async function sendInParts(
  context: CliContext,
  admin: AdminClient,
  operation: 'resubmit' | 'discard',
  ids: readonly string[],
  { reason }: ManyOptions,
): Promise<FailureOutcome[]> {
  const outcomes: FailureOutcome[] = [];
  for (let at = 0; at < ids.length; at += IDS_PER_REQUEST) {
    const { items } = await admin.change<{ items: FailureOutcome[] }>(
      {
        method: 'POST',
        path: `${PATH}/${operation}`,
        body: { ids: ids.slice(at, at + IDS_PER_REQUEST), ...(reason === undefined ? {} : { reason }) },
        timeoutMs: REQUEST_TIMEOUT_MS,
      },
      context.signal,
    );
    outcomes.push(...items);
  }
  return outcomes;
}

function tellOutcomes(
  context: CliContext,
  outcomes: readonly FailureOutcome[],
  options: Pick<ManyOptions, 'json' | 'none'>,
): number {
  const isGood = ({ outcome }: FailureOutcome): boolean => GOOD_OUTCOMES.has(outcome);
  if (options.json === true) {
    writeJson(context, outcomes);
  } else {
    const paint = paletteFor(context);
    const others = outcomes.filter((each) => !isGood(each));
    if (others.length > 0) writeTable(context, OUTCOME_COLUMNS, others, () => paint.yellow);
    const counts = Map.groupBy(outcomes, ({ outcome }) => outcome);
    const told = [...counts].map(
      ([outcome, { length }]) => `${count(length)} ${printable(outcome).replaceAll('_', ' ')}`,
    );
    context.io.stdout.write(
      `${told.length === 0 ? (options.none ?? 'there are no such rejects') : told.join(', ')}\n`,
    );
  }
  return outcomes.every(isGood) ? EXIT.ok : EXIT.notGood;
}

function whyOf({ errors = [], detail }: FailureOutcome): string {
  return [...(typeof detail === 'string' ? [detail] : []), ...errors.map(({ message }) => message)].join(' ');
}

/** Errors: E_FILE_EXISTS, E_FILE_UNWRITABLE. */
async function writeBodyFile(path: string, body: Buffer): Promise<void> {
  try {
    await writeFile(path, body, { flag: 'wx' });
  } catch (thrown) {
    const isThere = codeOf(thrown) === 'EEXIST';
    throw new CodedError(
      isThere ? 'E_FILE_EXISTS' : 'E_FILE_UNWRITABLE',
      isThere ? `${path} is there already` : `${path} cannot be written: ${codeOf(thrown)}`,
      { mend: 'Give another --out.', cause: thrown },
    );
  }
}

/** Errors: E_FILE_UNREADABLE, E_USAGE. */
async function readBodyFile(path: string): Promise<Buffer> {
  let body: Buffer;
  try {
    body = await readFile(path);
  } catch (thrown) {
    throw new CodedError('E_FILE_UNREADABLE', `${path} cannot be read: ${codeOf(thrown)}`, {
      mend: 'Check the path and the rights of the file.',
      cause: thrown,
    });
  }
  if (body.length <= BODY_BYTES_MAX) return body;
  throw new CodedError('E_USAGE', `${path} has more than ${count(BODY_BYTES_MAX)} bytes`, {
    mend: 'Send it to the ingest port instead.',
  });
}

function filtersOf({ key, code, sender, since }: Filters): Query {
  return { key, code, sender, since };
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}

function pathOf(id: string): string {
  return `${PATH}/${encodeURIComponent(id)}`;
}

export function addFailures(program: Command, context: CliContext, acts: Acts): void {
  const failures = program
    .command('failures')
    .description('see what was rejected or not delivered and why; send it once more or throw it away');
  const withFilters = (command: Command, limit: number): Command =>
    withAdmin(command)
      .option('--key <name>', 'sent with this API key')
      .option('--code <code>', 'failed for this reason: E_TIMESTAMP_INVALID')
      .option('--sender <name>', 'sent by this kind of relay: rsyslog')
      .option(
        '--since <when>',
        'not before: a date, a time, or so long ago (24h)',
        moment(() => context.clock.wallMs()),
      )
      .option('--limit <n>', 'at most so many, the newest', wholeNumber(1, LIMIT_MAX), limit)
      .option('--json', 'print JSON');

  withFilters(failures.command('list').description('list failures, newest first'), LIST_DEFAULT)
    .addOption(
      new Option(
        '--kind <kind>',
        'reject; dead_letter: alerts that no destination took; quarantine: events that broke their handler',
      )
        .choices(['reject', 'dead_letter', 'quarantine'])
        .default('reject'),
    )
    .addOption(
      new Option(
        '--state <state>',
        'of rejects parked, resubmitting or resubmitted; dead letters are shown until they have ended, else by state',
      ).choices([...REJECT_STATES, ...LETTER_STATES]),
    )
    .option('--destination <name>', 'dead letters of this destination')
    .option('--team <name>', 'dead letters of this team')
    .option('--store <name>', 'dead letters of this Redis; mutt failures stores names them')
    .addHelpText(
      'after',
      examples([
        'mutt failures list --since 1h',
        'mutt failures list --key relay-01 --code E_FIELD_MISSING',
        'mutt failures list --kind dead_letter --destination moogsoft',
      ]),
    )
    .action(acts((options: ListOptions) => failuresList(context, options)));
  withAdmin(
    failures
      .command('totals')
      .description('show per API key how many rejects are kept, and what became of others'),
  )
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt failures totals']))
    .action(acts((options: JsonOptions) => failuresTotals(context, options)));
  withAdmin(failures.command('show').description('show one failure with its body').argument('<id>', 'its id'))
    .option('--out <path>', 'write the bytes of its body to this file, which must not be there yet')
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt failures show 019a…', 'mutt failures show 019a… --out it.json']))
    .action(acts((id: string, options: ShowOptions) => failuresShow(context, id, options)));
  const CODES = '\nExit code: 0 all of them, 1 not all.\n';
  withFilters(
    failures
      .command('resubmit')
      .description('send rejects once more; none becomes two events, however often you ask')
      .argument('[ids...]', 'ids; or name them by --key, --code, --sender, --since'),
    MANY_DEFAULT,
  )
    .option('--body-file <path>', 'send what is in this file instead; for one id')
    .option('--dry-run', 'only say whether it would be taken; for one id')
    .option('--reason <text>', 'why, for the audit of the change')
    .addHelpText(
      'after',
      examples([
        'mutt failures resubmit 019a… --body-file corrected.json',
        'mutt failures resubmit --key relay-01 --since 24h --reason "clock of relay-01 mended"',
      ]) + CODES,
    )
    .action(acts((ids: string[], options: ResubmitOptions) => failuresResubmit(context, ids, options)));
  withFilters(
    failures
      .command('discard')
      .description('throw rejects or dead letters away for ever')
      .argument('[ids...]', 'ids; or name them by --key, --code, --sender, --since, --destination'),
    MANY_DEFAULT,
  )
    .option('--destination <name>', 'dead letters of this destination, instead of rejects')
    .option('--reason <text>', 'why, for the audit of the change')
    .addHelpText('after', examples(['mutt failures discard --key lab --reason "a test"']) + CODES)
    .action(acts((ids: string[], options: DiscardOptions) => failuresDiscard(context, ids, options)));
  addReplays(failures, context, acts);
  addAdoptions(failures, context, acts);
}
