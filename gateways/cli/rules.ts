/**
 * `mutt rules apply`, `list` and `export`: rules as a file, and back.
 */
import { stringify } from 'yaml';
import type { CodedError } from '../../runtime/errors.ts';
import type { AdminClient } from './admin-client.ts';
import type { AppliedRules, FieldFault } from './admin-documents.ts';
import { tellBehind, waitUntilApplied } from './applied.ts';
import { connectAdmin } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { rulesDifference } from './rules-difference.ts';
import type { RuleDifference } from './rules-difference.ts';
import { isRecord, readRulesFile, RULE_FIELDS } from './rules-file.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count, counted, fit, paletteFor, printable } from './terminal-text.ts';

export interface RulesApplyOptions extends AdminOptions {
  dryRun?: boolean;
  /** Goes into the audit of the change. */
  reason?: string;
  json?: boolean;
}

export interface RulesShowOptions extends AdminOptions {
  json?: boolean;
}

const EXPORT_HEADER = '# Rules of this MUTT. Change them here, then: mutt rules apply FILE.yaml\n';

export async function rulesApply(
  context: CliContext,
  path: string,
  options: RulesApplyOptions,
): Promise<number> {
  const file = await readRulesFile(path, (document) => faultsFoundByNode(context, options, document));
  const admin = connectAdmin(context, options);
  try {
    if (options.dryRun === true) {
      return showDifference(
        context,
        rulesDifference(file.document, await admin.ruleSet(context.signal)),
        options,
      );
    }
    const document = {
      ...file.document,
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    };
    const sinceMs = context.clock.monotonicMs();
    const applied = await admin.applyRules(document, context.signal).catch((thrown: unknown) => {
      const faults = (thrown as Partial<CodedError>).details?.['faults'];
      throw Array.isArray(faults) && faults.length > 0 ? file.refused(faults as FieldFault[]) : thrown;
    });
    return await showApplied(context, admin, applied, sinceMs, options);
  } finally {
    admin.close();
  }
}

/** None when no node answers: what is wrong with the file is told all the same. */
async function faultsFoundByNode(
  context: CliContext,
  options: AdminOptions,
  document: unknown,
): Promise<FieldFault[]> {
  const admin = connectAdmin(context, options);
  try {
    return await admin.faultsOf(document, context.signal);
  } catch {
    return [];
  } finally {
    admin.close();
  }
}

function showDifference(
  context: CliContext,
  differences: RuleDifference[],
  options: RulesApplyOptions,
): number {
  const of = (outcome: RuleDifference['outcome']): number =>
    differences.filter((difference) => difference.outcome === outcome).length;
  const figures = { created: of('created'), updated: of('updated'), unchanged: of('unchanged') };
  const { stdout } = context.io;
  if (options.json === true) {
    stdout.write(`${JSON.stringify({ dry_run: true, ...figures, differences }, null, 2)}\n`);
    return EXIT.ok;
  }
  for (const { what, outcome, fields } of differences) {
    if (outcome === 'unchanged') continue;
    stdout.write(
      `${fit(outcome, 9)} ${printable(what)}${fields.length === 0 ? '' : `: ${fields.join(', ')}`}\n`,
    );
  }
  stdout.write(`Dry run, nothing was changed. It would be: ${describe(figures)}.\n`);
  stdout.write('Expressions and values are judged by the node, when the file is applied.\n');
  return EXIT.ok;
}

async function showApplied(
  context: CliContext,
  admin: AdminClient,
  applied: AppliedRules,
  sinceMs: number,
  options: RulesApplyOptions,
): Promise<number> {
  const { io } = context;
  const everywhere = await waitUntilApplied(context, admin, applied.snapshot_version, sinceMs);
  const { behind, tookMs } = everywhere;
  if (options.json === true) {
    writeJson(context, { ...applied, applied_everywhere: behind.length === 0, behind });
  } else {
    io.stdout.write(`${describe(applied)}; rule set version ${applied.snapshot_version}\n`);
    if (behind.length === 0) io.stdout.write(`in force on every worker after ${count(tookMs)} ms\n`);
  }
  return tellBehind(context, everywhere);
}

function describe(figures: { created: number; updated: number; unchanged: number }): string {
  return `${count(figures.created)} created, ${count(figures.updated)} updated, ${count(figures.unchanged)} unchanged`;
}

export async function rulesList(context: CliContext, options: RulesShowOptions): Promise<number> {
  const admin = connectAdmin(context, options);
  try {
    const document = await admin.ruleSet(context.signal);
    const { io } = context;
    if (options.json === true) {
      writeJson(context, document);
      return EXIT.ok;
    }
    const paint = paletteFor(context);
    const rules = rulesOf(document);
    writeTable(context, RULE_COLUMNS, rules, (rule) => (rule['is_active'] === false ? paint.dim : undefined));
    if (io.isTTY) io.stdout.write(`${counted(rules.length, 'rule')}, in the order they are tried\n`);
    return EXIT.ok;
  } finally {
    admin.close();
  }
}

const RULE_COLUMNS: readonly Column<Record<string, unknown>>[] = [
  { head: 'id', cell: (rule) => text(rule['id']), align: 'right' },
  { head: 'version', cell: (rule) => text(rule['version']), align: 'right' },
  { head: 'priority', cell: (rule) => text(rule['priority']), align: 'right' },
  { head: 'handling', cell: (rule) => text(rule['prod_handling']) },
  { head: 'team', cell: (rule) => text(rule['team_assignment']) },
  { head: 'name', cell: (rule) => text(rule['name']), shrinks: true },
  { head: 'matches', cell: criteria, shrinks: true },
];

/** What a rule asks for, on one line. */
function criteria(rule: Record<string, unknown>): string {
  const parts: string[] = [];
  const add = (label: string, field: string): void => {
    if (rule[field] !== null && rule[field] !== undefined) parts.push(`${label}${text(rule[field])}`);
  };
  if (rule['is_active'] === false) parts.push('(off)');
  if (rule['match_type'] === 'regex' && typeof rule['match_string'] === 'string') {
    parts.push(`/${text(rule['match_string'])}/`);
  } else {
    add('', 'match_string');
  }
  add('oid ', 'trap_oid');
  add(`severity ${text(rule['severity_op'] ?? '=')} `, 'syslog_severity');
  add('host ', 'host');
  add('program ', 'program');
  add('facility ', 'facility');
  add('network ', 'network');
  if (rule['continue'] === true) parts.push('(goes on)');
  return parts.join('  ');
}

/** Writes the rules as the file that `apply` takes. */
export async function rulesExport(context: CliContext, options: RulesShowOptions): Promise<number> {
  const admin = connectAdmin(context, options);
  try {
    const document = await admin.ruleSet(context.signal);
    const exported: Record<string, unknown> = { rules: rulesOf(document).map(concise) };
    for (const section of ['development_hosts', 'teams', 'destinations']) {
      if (document[section] !== undefined) exported[section] = document[section];
    }
    context.io.stdout.write(
      options.json === true
        ? `${JSON.stringify(exported, null, 2)}\n`
        : EXPORT_HEADER + stringify(exported, { lineWidth: 0 }),
    );
    return EXIT.ok;
  } finally {
    admin.close();
  }
}

/** Without the version, without what is default, and without the id where there is a name to find the rule by. */
function concise(rule: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [field, byDefault] of Object.entries(RULE_FIELDS)) {
    const value = rule[field];
    if (value === undefined || value === null || field === 'version') continue;
    if (field === 'id' && typeof rule['name'] === 'string') continue;
    if (JSON.stringify(value) === JSON.stringify(byDefault)) continue;
    kept[field] = value;
  }
  return kept;
}

function rulesOf(document: Record<string, unknown>): Record<string, unknown>[] {
  const { rules } = document;
  return Array.isArray(rules) ? (rules as unknown[]).filter(isRecord) : [];
}

function text(value: unknown): string {
  if (typeof value === 'string') return printable(value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
