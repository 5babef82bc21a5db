/**
 * `mutt audit`: who changed what (the chained log of changes), and what was decided about events.
 */
import type { Command } from 'commander';
import type { ChainVerdict, ChangeDocument, EventAuditDocument } from './admin-documents.ts';
import { CHANGE_COLUMNS, changeLines, seconds } from './changes.ts';
import { examples, moment, wholeNumber, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count, paletteFor, printable } from './terminal-text.ts';
import { waiting } from './waiting.ts';

interface ShowOptions extends AdminOptions {
  json?: boolean;
}
interface ListOptions extends ShowOptions {
  by?: string;
  operation?: string;
  resource?: string;
  record?: string;
  from?: string;
  to?: string;
  limit: number;
}
interface EventsOptions extends ShowOptions {
  host?: string;
  rule?: number;
  decision?: string;
  from?: string;
  to?: string;
  limit: number;
}

const CHANGES_PATH = '/api/v2/config-audit';
const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 100_000;
const ID_MAX = 2_147_483_647;
const ENTRY_MAX = Number.MAX_SAFE_INTEGER;
const PROBLEMS_SHOWN_MAX = 20;
/** Every entry ever made is read. */
const VERIFY_TIMEOUT_MS = 120_000;

async function auditList(context: CliContext, options: ListOptions): Promise<number> {
  const query = {
    changed_by: options.by,
    operation: options.operation,
    resource: options.resource,
    record_key: options.record,
    from: options.from,
    to: options.to,
  };
  const { items, next } = await withAdminClient(context, options, (admin) =>
    admin.list<ChangeDocument>(CHANGES_PATH, query, options.limit, context.signal),
  );
  if (options.json === true) {
    writeJson(context, items);
  } else {
    writeTable(context, CHANGE_COLUMNS, items);
    tellMore(context, next);
  }
  return EXIT.ok;
}

async function auditShow(context: CliContext, id: number, options: ShowOptions): Promise<number> {
  const change = await withAdminClient(context, options, (admin) =>
    admin.read<ChangeDocument>(`${CHANGES_PATH}/${id}`, {}, context.signal),
  );
  if (options.json === true) writeJson(context, change);
  else context.io.stdout.write(`${changeLines(change).join('\n')}\n`);
  return EXIT.ok;
}

async function auditVerify(context: CliContext, options: ShowOptions): Promise<number> {
  const verdict = await withAdminClient(context, options, (admin) =>
    waiting(
      context,
      'computing the chain of hashes',
      admin.read<ChainVerdict>(`${CHANGES_PATH}/verify`, {}, context.signal, VERIFY_TIMEOUT_MS),
    ),
  );
  if (options.json === true) {
    writeJson(context, verdict);
  } else {
    const paint = paletteFor(context);
    const lines = verdict.intact
      ? [paint.green(`intact: ${count(verdict.entries)} entries, each with the hash of the one before it`)]
      : [
          paint.boldRed(
            `NOT INTACT: ${count(verdict.problems.length)} faults in ${count(verdict.entries)} entries`,
          ),
          ...verdict.problems
            .slice(0, PROBLEMS_SHOWN_MAX)
            .map(({ id, problem }) => `  entry ${id}: ${printable(problem)}`),
        ];
    context.io.stdout.write(`${lines.join('\n')}\n`);
  }
  return verdict.intact ? EXIT.ok : EXIT.notGood;
}

async function auditEvents(context: CliContext, options: EventsOptions): Promise<number> {
  const query = {
    hostname: options.host,
    rule_id: options.rule,
    decision: options.decision,
    from: options.from,
    to: options.to,
  };
  const { items, next } = await withAdminClient(context, options, (admin) =>
    admin.list<EventAuditDocument>('/api/v2/audit-logs', query, options.limit, context.signal),
  );
  if (options.json === true) {
    writeJson(context, items);
  } else {
    writeTable(context, EVENT_COLUMNS, items);
    tellMore(context, next);
  }
  return EXIT.ok;
}

const EVENT_COLUMNS: readonly Column<EventAuditDocument>[] = [
  { head: 'received', cell: ({ received_at: at }) => seconds(at) },
  { head: 'host', cell: ({ hostname }) => hostname, shrinks: true },
  { head: 'env', cell: ({ environment }) => environment ?? '' },
  { head: 'decision', cell: ({ handling_decision: decision }) => decision },
  { head: 'rule', cell: ({ matched_rule_id: id }) => String(id ?? ''), align: 'right' },
  { head: 'team', cell: ({ team }) => team ?? '' },
  { head: 'sent', cell: ({ forwarded }) => (forwarded === true ? 'yes' : 'no') },
  { head: 'message', cell: ({ raw_message: message }) => message ?? '', shrinks: true },
];

function tellMore(context: CliContext, next: string | null): void {
  if (next !== null) context.io.stderr.write('mutt: there are more; a greater --limit shows them\n');
}

export function addAudit(program: Command, context: CliContext, acts: Acts): void {
  const audit = program
    .command('audit')
    .description('read and verify what was changed, and what was decided');
  const withTimes = (command: Command): Command =>
    command
      .option('--from <when>', 'not before: a date, a time, or so long ago (24h)', momentOf)
      .option('--to <when>', 'before this', momentOf)
      .option('--limit <n>', 'at most so many', wholeNumber(1, LIMIT_MAX), LIMIT_DEFAULT)
      .option('--json', 'print JSON');
  const momentOf = moment(() => context.clock.wallMs());

  withTimes(
    withAdmin(audit.command('list').description('list changes of the configuration, newest first'))
      .option('--by <key>', 'by this key (its name)')
      .option('--operation <what>', 'CREATE, UPDATE or DELETE')
      .option(
        '--resource <what>',
        'settings, alert_rules, rule_suspensions, api_keys, device_teams, development_hosts, destinations, rejects, unmatched_templates, quarantined_events, dead_letters, replay_operations or stores',
      )
      .option('--record <key>', 'of this record of the resource'),
  )
    .addHelpText(
      'after',
      examples([
        'mutt audit list --from 24h',
        'mutt audit list --resource settings --record pool.match.size',
      ]),
    )
    .action(acts((options: ListOptions) => auditList(context, options)));
  withAdmin(
    audit
      .command('show')
      .description('show one change whole')
      .argument('<id>', 'its number', wholeNumber(1, ENTRY_MAX)),
  )
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt audit show 17']))
    .action(acts((id: number, options: ShowOptions) => auditShow(context, id, options)));
  withAdmin(audit.command('verify').description('check that nobody has altered or removed a change'))
    .option('--json', 'print JSON')
    .addHelpText('after', `${examples(['mutt audit verify'])}\nExit code: 0 intact, 1 not intact.\n`)
    .action(acts((options: ShowOptions) => auditVerify(context, options)));
  withTimes(
    withAdmin(audit.command('events').description('list decisions about events, newest first'))
      .option('--host <name>', 'of this host')
      .option('--rule <id>', 'by this rule', wholeNumber(1, ID_MAX))
      .option('--decision <what>', 'Page_and_ticket, Page_only, Ticket_only, Ignore or Unmatched'),
  )
    .addHelpText(
      'after',
      examples(['mutt audit events --host core-rtr-01 --from 1h', 'mutt audit events --rule 5']),
    )
    .action(acts((options: EventsOptions) => auditEvents(context, options)));
}
