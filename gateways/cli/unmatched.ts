/**
 * `mutt unmatched`: what no rule matched, by template of the messages, and a rule to begin from.
 */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { UnmatchedDetail, UnmatchedDocument, UnmatchedHost } from './admin-documents.ts';
import { seconds } from './changes.ts';
import { examples, moment, wholeNumber, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count, paletteFor, printable } from './terminal-text.ts';

interface JsonOptions extends AdminOptions {
  json?: boolean;
}
interface ListOptions extends JsonOptions {
  host?: string;
  since?: string;
  limit: number;
}
interface ShowOptions extends JsonOptions {
  limit: number;
}
interface ForgetOptions extends JsonOptions {
  host?: string;
  reason?: string;
}

const PATH = '/api/v2/unmatched';
const LIST_DEFAULT = 20;
const HOSTS_DEFAULT = 10;
const LIMIT_MAX = 100_000;

const TEMPLATE_COLUMNS: readonly Column<UnmatchedDocument>[] = [
  { head: 'fingerprint', cell: ({ fingerprint }) => fingerprint },
  { head: 'events', cell: ({ count: events }) => String(events), align: 'right' },
  { head: 'hosts', cell: ({ host_count: hosts }) => String(hosts), align: 'right' },
  { head: 'last seen', cell: ({ last_seen: at }) => seconds(at) },
  { head: 'alerted', cell: ({ alerted_at: at }) => (typeof at === 'string' ? 'yes' : 'no') },
  { head: 'program', cell: ({ program, trap_oid: oid }) => program ?? oid ?? '', shrinks: true },
  { head: 'template', cell: ({ template }) => template, shrinks: true },
];
const HOST_COLUMNS: readonly Column<UnmatchedHost>[] = [
  { head: 'host', cell: ({ hostname }) => hostname, shrinks: true },
  { head: 'events', cell: ({ count: events }) => String(events), align: 'right' },
  { head: 'first seen', cell: ({ first_seen: at }) => seconds(at) },
  { head: 'last seen', cell: ({ last_seen: at }) => seconds(at) },
  { head: 'alerted', cell: ({ alerted_at: at }) => (typeof at === 'string' ? seconds(at) : '') },
];

async function unmatchedList(context: CliContext, options: ListOptions): Promise<number> {
  const query = { hostname: options.host, since: options.since };
  const { items, next } = await withAdminClient(context, options, (admin) =>
    admin.list<UnmatchedDocument>(PATH, query, options.limit, context.signal),
  );
  if (options.json === true) {
    writeJson(context, items);
    return EXIT.ok;
  }
  writeTable(context, TEMPLATE_COLUMNS, items);
  if (next !== null) context.io.stderr.write('mutt: there are more; a greater --limit shows them\n');
  return EXIT.ok;
}

async function unmatchedShow(
  context: CliContext,
  fingerprint: string,
  options: ShowOptions,
): Promise<number> {
  const { detail, hosts } = await withAdminClient(context, options, async (admin) => ({
    detail: await admin.read<UnmatchedDetail>(pathOf(fingerprint), {}, context.signal),
    hosts: await admin.list<UnmatchedHost>(`${pathOf(fingerprint)}/hosts`, {}, options.limit, context.signal),
  }));
  if (options.json === true) {
    writeJson(context, { ...detail, hosts: hosts.items });
    return EXIT.ok;
  }
  const { stdout } = context.io;
  const { bold } = paletteFor(context);
  const facts: [name: string, value: string | null | undefined][] = [
    ['template', detail.template],
    ['program', detail.program],
    ['trap', detail.trap_oid],
    [
      'events',
      `${count(detail.count)} of ${count(detail.host_count)} ${detail.host_count === 1 ? 'host' : 'hosts'}`,
    ],
    ['seen', `${seconds(detail.first_seen)} to ${seconds(detail.last_seen)}`],
    ['sample', detail.sample],
  ];
  for (const [name, value] of facts) {
    if (typeof value === 'string') stdout.write(`${bold(name.padEnd(9))} ${printable(value)}\n`);
  }
  stdout.write('\n');
  writeTable(context, HOST_COLUMNS, hosts.items);
  if (hosts.next !== null) stdout.write(`… of ${count(detail.host_count)}\n`);
  if (detail.suggested_rule !== undefined && detail.suggested_rule !== null) {
    const rule = stringify({ rules: [detail.suggested_rule] }, { lineWidth: 0 });
    stdout.write(`\n${bold('A rule to begin from:')}\n${printableLines(rule)}`);
  } else stdout.write('\nNo rule is suggested: what stays the same in it is too short to match by.\n');
  return EXIT.ok;
}

async function unmatchedForget(
  context: CliContext,
  fingerprint: string,
  { host, reason, ...options }: ForgetOptions,
): Promise<number> {
  const body = { hostname: host, reason };
  await withAdminClient(context, options, (admin) =>
    admin.change({ method: 'POST', path: `${pathOf(fingerprint)}/forget`, body }, context.signal),
  );
  if (options.json === true) writeJson(context, { fingerprint, hostname: host ?? null, forgotten: true });
  else context.io.stdout.write(`${printable(fingerprint)} is forgotten\n`);
  return EXIT.ok;
}

function printableLines(text: string): string {
  return text
    .split('\n')
    .map((line) => printable(line))
    .join('\n');
}

function pathOf(fingerprint: string): string {
  return `${PATH}/${encodeURIComponent(fingerprint)}`;
}

export function addUnmatched(program: Command, context: CliContext, acts: Acts): void {
  const unmatched = program
    .command('unmatched')
    .description('see what no rule matches, by template of the messages');
  withAdmin(unmatched.command('list').description('list templates, those with the most events first'))
    .option('--host <name>', 'of this host')
    .option(
      '--since <when>',
      'seen not before: a date, a time, or so long ago (24h)',
      moment(() => context.clock.wallMs()),
    )
    .option('--limit <n>', 'at most so many', wholeNumber(1, LIMIT_MAX), LIST_DEFAULT)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(['mutt unmatched list --since 1h', 'mutt unmatched list --host core-rtr-01']),
    )
    .action(acts((options: ListOptions) => unmatchedList(context, options)));
  withAdmin(
    unmatched
      .command('show')
      .description('show one template with its hosts, and a rule to begin from')
      .argument('<fingerprint>', 'as the list shows it'),
  )
    .option('--limit <n>', 'at most so many hosts', wholeNumber(1, LIMIT_MAX), HOSTS_DEFAULT)
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt unmatched show 3f6c0a4be1d27790']))
    .action(
      acts((fingerprint: string, options: ShowOptions) => unmatchedShow(context, fingerprint, options)),
    );
  withAdmin(
    unmatched
      .command('forget')
      .description('forget a template: it is counted anew, and may raise a meta-alert again')
      .argument('<fingerprint>', 'as the list shows it'),
  )
    .option('--host <name>', 'only of this host')
    .option('--reason <text>', 'why, for the audit of the change')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(['mutt unmatched forget 3f6c0a4be1d27790 --reason "rule 17 takes it now"']),
    )
    .action(
      acts((fingerprint: string, options: ForgetOptions) => unmatchedForget(context, fingerprint, options)),
    );
}
