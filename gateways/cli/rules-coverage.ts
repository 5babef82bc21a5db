/**
 * `mutt rules coverage`: rules that never decide anything, and those that decide about the same events.
 */
import type { AdminClient } from './admin-client.ts';
import { seconds } from './changes.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { ruleText } from './rule-documents.ts';
import type { Coverage, CoverageFinding, CoveredRule } from './rule-documents.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count, counted } from './terminal-text.ts';
import { waiting } from './waiting.ts';

export const COVERAGE_KINDS = ['never_fired', 'shadowed', 'overlapping'] as const;

export interface RulesCoverageOptions extends AdminOptions {
  kind?: string;
  limit: number;
  json?: boolean;
}

const PAGE_MAX = 200;
/** The node looks at every pair of rules, and at a sample of its events. */
const TIMEOUT_MS = 60_000;

export async function rulesCoverage(context: CliContext, options: RulesCoverageOptions): Promise<number> {
  const coverage = await withAdminClient(context, options, (admin) =>
    waiting(context, 'comparing the rules', readCoverage(context, admin, options)),
  );
  if (options.json === true) {
    writeJson(context, coverage);
    return EXIT.ok;
  }
  writeTable(context, COLUMNS, coverage.items);
  const { totals, sample, rules, all_pairs_compared: isWhole } = coverage;
  const { stderr } = context.io;
  const since = sample.oldest_received_at === null ? '' : ` since ${seconds(sample.oldest_received_at)}`;
  stderr.write(
    `${counted(rules, 'active rule')}: ${count(totals.never_fired)} never fired, ${count(totals.shadowed)} shadowed; ` +
      `${counted(totals.overlapping, 'pair')} overlapping in ${counted(sample.events, 'event')}${since}\n`,
  );
  if (!isWhole) stderr.write('mutt: not all pairs were compared: there may be more that are shadowed\n');
  if (coverage.next !== null) stderr.write('mutt: there are more; a greater --limit shows them\n');
  return EXIT.ok;
}

/** The first `limit` findings, as many pages as that takes, with what the first page says of all. */
async function readCoverage(
  context: CliContext,
  admin: AdminClient,
  { kind, limit }: RulesCoverageOptions,
): Promise<Coverage> {
  let whole: Coverage | undefined;
  for (;;) {
    const query = {
      kind,
      limit: Math.min(PAGE_MAX, limit - (whole?.items.length ?? 0)),
      cursor: whole?.next ?? undefined,
    };
    const page = await admin.read<Coverage>('/api/v2/rules/coverage', query, context.signal, TIMEOUT_MS);
    whole =
      whole === undefined ? page : { ...whole, items: [...whole.items, ...page.items], next: page.next };
    if (page.next === null || page.items.length === 0 || whole.items.length >= limit) return whole;
  }
}

const COLUMNS: readonly Column<CoverageFinding>[] = [
  { head: 'finding', cell: ({ kind }) => kind },
  { head: 'rule', cell: covered, shrinks: true },
  { head: 'other', cell: ({ other }) => (other === null ? '' : covered(other)), shrinks: true },
  { head: 'events', cell: ({ events }) => (events === null ? '' : count(events)), align: 'right' },
];

function covered(rule: CoveredRule): string {
  return ruleText(rule);
}
