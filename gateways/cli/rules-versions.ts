/**
 * `mutt rules versions` and `rollback`: what a rule was, who changed it, and back to that.
 */
import type { AdminClient } from './admin-client.ts';
import { tellBehind, waitUntilApplied } from './applied.ts';
import { seconds } from './changes.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import type { RuleVersion } from './rule-documents.ts';
import { changeText, nameOf, ruleChanges } from './rules-difference.ts';
import { ruleIdOf } from './rules-lookup.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count, printable } from './terminal-text.ts';

export interface RuleVersionsOptions extends AdminOptions {
  limit: number;
  json?: boolean;
}

export interface RuleRollbackOptions extends AdminOptions {
  toVersion?: number;
  ifVersion?: number;
  reason?: string;
  json?: boolean;
}

/** A version and the one before it, if there was one and it was read. */
interface Step {
  now: RuleVersion;
  before: RuleVersion | undefined;
}

export async function ruleVersions(
  context: CliContext,
  rule: string,
  options: RuleVersionsOptions,
): Promise<number> {
  const { items, next } = await withAdminClient(context, options, async (admin) => {
    const path = versionsPath(await ruleIdOf(context, admin, rule));
    // One more, to say what the last of them changed.
    return admin.list<RuleVersion>(path, {}, options.limit + 1, context.signal);
  });
  const shown = items.slice(0, options.limit);
  if (options.json === true) {
    writeJson(context, shown);
    return EXIT.ok;
  }
  const steps = shown.map((now, index): Step => ({ now, before: items[index + 1] }));
  writeTable(context, COLUMNS, steps);
  if (next !== null || items.length > shown.length) {
    context.io.stderr.write('mutt: there are more; a greater --limit shows them\n');
  }
  return EXIT.ok;
}

function versionsPath(id: number): string {
  return `/api/v2/rules/${id}/versions`;
}

const COLUMNS: readonly Column<Step>[] = [
  { head: 'version', cell: ({ now }) => String(now.version), align: 'right' },
  { head: 'at', cell: ({ now }) => seconds(now.changed_at) },
  { head: 'by', cell: ({ now }) => now.changed_by, shrinks: true },
  { head: 'operation', cell: ({ now }) => now.operation },
  { head: 'audit', cell: ({ now }) => String(now.audit_id), align: 'right' },
  { head: 'reason', cell: ({ now }) => now.reason ?? '', shrinks: true },
  { head: 'change', cell: stepText, shrinks: true },
];

function stepText({ now, before }: Step): string {
  if (now.rule === null || before === undefined || before.rule === null) return '';
  return ruleChanges(before.rule, now.rule).map(changeText).join(', ');
}

export async function ruleRollback(
  context: CliContext,
  rule: string,
  options: RuleRollbackOptions,
): Promise<number> {
  return withAdminClient(context, options, async (admin) => {
    const { signal } = context;
    const id = await ruleIdOf(context, admin, rule);
    const path = `/api/v2/rules/${id}`;
    const before = await admin.read<Record<string, unknown>>(path, {}, signal);
    const sinceMs = context.clock.monotonicMs();
    const after = await admin.change<Record<string, unknown>>(
      {
        method: 'POST',
        path: `${path}/rollback`,
        ifVersion: options.ifVersion ?? Number(before['version']),
        body: {
          ...(options.toVersion === undefined ? {} : { to_version: options.toVersion }),
          ...(options.reason === undefined ? {} : { reason: options.reason }),
        },
      },
      signal,
    );
    return tellRolledBack(context, admin, before, after, sinceMs, options);
  });
}

async function tellRolledBack(
  context: CliContext,
  admin: AdminClient,
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  sinceMs: number,
  options: RuleRollbackOptions,
): Promise<number> {
  // The answer tells the version of the rule; what workers run has that of the whole set.
  const { version } = await admin.ruleSet(context.signal);
  const applied = await waitUntilApplied(context, admin, Number(version), sinceMs);
  const { behind, tookMs } = applied;
  if (options.json === true) {
    writeJson(context, { ...after, applied_everywhere: behind.length === 0, behind });
  } else {
    const changes = ruleChanges(before, after);
    const versions = `version ${String(before['version'])} -> ${String(after['version'])}`;
    const lines = [
      `rule #${String(after['id'])} ${printable(nameOf(after))}: ${versions}`,
      ...(changes.length === 0 ? ['  nothing differs'] : changes.map((change) => `  ${changeText(change)}`)),
      ...(behind.length === 0 ? [`in force on every worker after ${count(tookMs)} ms`] : []),
    ];
    context.io.stdout.write(`${lines.join('\n')}\n`);
  }
  return tellBehind(context, applied);
}
