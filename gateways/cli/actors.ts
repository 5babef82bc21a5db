/**
 * `mutt actors`: the live tree of a node, and what an operator may do to its parts.
 */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { TreeNode } from './admin-documents.ts';
import { examples, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { paletteFor, printable } from './terminal-text.ts';
import { flatten, isHealthy, TREE_COLUMNS } from './tree-table.ts';
import { waiting } from './waiting.ts';

/** A part may take long to finish what it does; the node itself gives up after 20 s. */
const RESTART_TIMEOUT_MS = 30_000;

const INSPECTION_COLUMNS: readonly Column<{ field: string; value: string }>[] = [
  { head: 'field', cell: ({ field }) => field },
  { head: 'value', cell: ({ value }) => value, shrinks: true },
];

interface TreeOptions extends AdminOptions {
  json?: boolean;
}
interface RestartOptions extends AdminOptions {
  how: 'drain' | 'kill';
  json?: boolean;
}

async function actorsTree(context: CliContext, options: TreeOptions): Promise<number> {
  const tree = await withAdminClient(context, options, (admin) =>
    admin.read<TreeNode>('/api/v2/actors', {}, context.signal),
  );
  const paint = paletteFor(context);
  const rows = flatten(tree, context.clock.wallMs());
  if (options.json === true) writeJson(context, tree);
  else writeTable(context, TREE_COLUMNS, rows, ({ node }) => (isHealthy(node) ? undefined : paint.yellow));
  return rows.every(({ node }) => isHealthy(node)) ? EXIT.ok : EXIT.notGood;
}

async function actorsRestart(context: CliContext, id: string, options: RestartOptions): Promise<number> {
  const restarted = await withAdminClient(context, options, (admin) =>
    waiting(
      context,
      `restarting ${printable(id)}`,
      admin.change<unknown>(
        {
          method: 'POST',
          path: `/api/v2/actors/${encodeURIComponent(id)}/restart`,
          body: { how: options.how },
          timeoutMs: RESTART_TIMEOUT_MS,
        },
        context.signal,
      ),
    ),
  );
  if (options.json === true) writeJson(context, restarted);
  else context.io.stdout.write(`${printable(id)} is restarted\n`);
  return EXIT.ok;
}

/** Suspends or resumes an actor. */
export async function actorsHold(
  context: CliContext,
  operation: 'suspend' | 'resume',
  path: string,
  options: TreeOptions,
): Promise<number> {
  const [doing, done] =
    operation === 'suspend'
      ? ['suspending', 'is suspended: what comes for it waits']
      : ['resuming', 'works again'];
  const held = await withAdminClient(context, options, (admin) =>
    waiting(
      context,
      `${doing} ${printable(path)}`,
      admin.change<{ id: string }>(
        {
          method: 'POST',
          path: `/api/v2/actors/${encodeURIComponent(path)}/${operation}`,
          timeoutMs: RESTART_TIMEOUT_MS,
        },
        context.signal,
      ),
    ),
  );
  if (options.json === true) writeJson(context, held);
  else context.io.stdout.write(`${printable(held.id)} ${done}\n`);
  return EXIT.ok;
}

export async function actorsInspect(
  context: CliContext,
  path: string,
  options: TreeOptions,
): Promise<number> {
  const found = await withAdminClient(context, options, (admin) =>
    admin.read<Record<string, unknown>>(
      `/api/v2/actors/${encodeURIComponent(path)}/state`,
      {},
      context.signal,
    ),
  );
  if (options.json === true) {
    writeJson(context, found);
    return EXIT.ok;
  }
  const rows = Object.entries(found).map(([field, value]) => ({
    field,
    value: typeof value === 'string' ? value : JSON.stringify(value),
  }));
  writeTable(context, INSPECTION_COLUMNS, rows);
  return EXIT.ok;
}

export function addActors(program: Command, context: CliContext, acts: Acts): void {
  const actors = program
    .command('actors')
    .description('show, restart, suspend and resume the parts of the node');
  withAdmin(
    actors.command('tree').description('show every part: state, epoch, restarts, memory, what it does'),
  )
    .option('--json', 'print JSON')
    .addHelpText('after', `${examples(['mutt actors tree'])}\nExit code: 1 when a part does not run.\n`)
    .action(acts((options: TreeOptions) => actorsTree(context, options)));
  withAdmin(
    actors
      .command('restart')
      .description('restart a part; what it has in hand is neither lost nor done twice')
      .argument('<id>', 'its id, as `mutt actors tree` shows it'),
  )
    .addOption(
      new Option('--how <way>', 'drain: let it finish what it does; kill: at once')
        .choices(['drain', 'kill'])
        .default('drain'),
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(['mutt actors restart match-0', 'mutt actors restart forward-0 --how kill']),
    )
    .action(acts((id: string, options: RestartOptions) => actorsRestart(context, id, options)));
  const PATH = 'its path in the tree, or the unique end of it: match-0/match';
  for (const [operation, what] of [
    ['suspend', 'let an actor begin no work; what comes for it waits'],
    ['resume', 'let a suspended actor go on'],
  ] as const) {
    withAdmin(actors.command(operation).description(what).argument('<path>', PATH))
      .option('--json', 'print JSON')
      .addHelpText('after', examples([`mutt actors ${operation} match-0/match`]))
      .action(acts((path: string, options: TreeOptions) => actorsHold(context, operation, path, options)));
  }
  withAdmin(
    actors
      .command('inspect')
      .description('show how an actor is, and what it says of its state')
      .argument('<path>', PATH),
  )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(['mutt actors inspect forward-0/forward', 'mutt actors inspect match-0/match --json']),
    )
    .action(acts((path: string, options: TreeOptions) => actorsInspect(context, path, options)));
}
