/** `mutt failures stores` and `adopt`: what a Redis that is gone for good has left in PostgreSQL, and another takes over. */
import type { Command } from 'commander';
import type { AdminClient } from './admin-client.ts';
import type { Adoption, StoreDocument } from './admin-documents.ts';
import { seconds } from './changes.ts';
import { examples, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count } from './terminal-text.ts';

interface JsonOptions extends AdminOptions {
  json?: boolean;
}
interface AdoptOptions extends JsonOptions {
  dryRun?: boolean;
  reason?: string;
}

const PATH = '/api/v2/failures';
const REQUEST_TIMEOUT_MS = 120_000;
const STORE_COLUMNS: readonly Column<StoreDocument>[] = [
  { head: 'store', cell: ({ store }) => store },
  { head: 'node', cell: ({ node }) => node ?? '', shrinks: true },
  { head: 'seen', cell: ({ seen_at: at }) => (at === null ? '' : seconds(at)) },
  {
    head: '',
    cell: ({ is_own: isOwn, is_stranded: isStranded }) => (isOwn ? 'own' : isStranded ? 'stranded' : ''),
  },
  { head: 'letters', cell: ({ letters }) => String(letters), align: 'right' },
  { head: 'in outboxes', cell: ({ outbox_alerts: alerts }) => String(alerts), align: 'right' },
  { head: 'resubmissions', cell: ({ resubmissions }) => String(resubmissions), align: 'right' },
];

async function stores(context: CliContext, options: JsonOptions): Promise<number> {
  const { items } = await withAdminClient(context, options, (admin) =>
    admin.read<{ items: StoreDocument[] }>(`${PATH}/stores`, {}, context.signal),
  );
  if (options.json === true) writeJson(context, items);
  else writeTable(context, STORE_COLUMNS, items);
  return EXIT.ok;
}

async function adopt(context: CliContext, store: string, options: AdoptOptions): Promise<number> {
  const isPreview = options.dryRun === true;
  const adopted = await withAdminClient(context, options, (admin) =>
    adoptAll(context, admin, {
      store,
      ...(isPreview ? { dry_run: true } : {}),
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    }),
  );
  if (options.json === true) {
    writeJson(context, adopted);
    return EXIT.ok;
  }
  const { letters, outbox_alerts: alerts, resubmissions } = adopted;
  const parts = [
    `${count(letters)} dead letters`,
    `${count(alerts)} alerts of its outboxes`,
    `${count(resubmissions)} resubmissions`,
  ];
  context.io.stdout.write(`${isPreview ? 'would take over' : 'took over'} ${parts.join(', ')}\n`);
  return EXIT.ok;
}

/** The node takes over a part at a time. */
async function adoptAll(context: CliContext, admin: AdminClient, body: object): Promise<Adoption> {
  let sum: Adoption | undefined;
  for (;;) {
    const part = await admin.change<Adoption>(
      { method: 'POST', path: `${PATH}/adopt`, body, timeoutMs: REQUEST_TIMEOUT_MS },
      context.signal,
    );
    sum = {
      ...part,
      letters: part.letters + (sum?.letters ?? 0),
      outbox_alerts: part.outbox_alerts + (sum?.outbox_alerts ?? 0),
      resubmissions: part.resubmissions + (sum?.resubmissions ?? 0),
    };
    if (part.left <= 0 || part.letters + part.outbox_alerts === 0) return sum;
  }
}

export function addAdoptions(failures: Command, context: CliContext, acts: Acts): void {
  withAdmin(
    failures
      .command('stores')
      .description(
        'show each Redis behind this PostgreSQL: whether a node of it lives, and what it has here',
      ),
  )
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt failures stores']))
    .action(acts((options: JsonOptions) => stores(context, options)));
  withAdmin(
    failures
      .command('adopt')
      .description('take over what a Redis that is gone for good has left; refused while a node of it lives')
      .argument('<store>', 'its name, as mutt failures stores shows it'),
  )
    .option('--dry-run', 'only say what would be taken over')
    .option('--reason <text>', 'why, for the audit of the change')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples([
        'mutt failures adopt 8c1f… --dry-run',
        'mutt failures adopt 8c1f… --reason "core-2 is scrapped"',
      ]),
    )
    .action(acts((store: string, options: AdoptOptions) => adopt(context, store, options)));
}
