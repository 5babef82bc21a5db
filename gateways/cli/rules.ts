/**
 * `mutt rules apply`, `diff`, `list`, `export` and `schema`: rules as a file, and back.
 */
import { stringify } from 'yaml';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { faultsIn } from './admin-client.ts';
import type { AdminClient } from './admin-client.ts';
import type { AppliedRules, FieldFault } from './admin-documents.ts';
import { tellBehind, waitUntilApplied } from './applied.ts';
import { seconds } from './changes.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import type { RuleVersion } from './rule-documents.ts';
import { changeText, recordsOf, ruleFinder, rulesDifference } from './rules-difference.ts';
import type { RuleDifference } from './rules-difference.ts';
import { faultLine, isRecord, readRulesFile, RULE_FIELDS } from './rules-file.ts';
import type { RulesFile } from './rules-file.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count, counted, fit, paletteFor, printable } from './terminal-text.ts';

export interface RulesApplyOptions extends AdminOptions {
  dryRun?: boolean;
  /** Goes into the audit of the change. */
  reason?: string;
  json?: boolean;
}

export interface RulesDiffOptions extends AdminOptions {
  exitCode?: boolean;
  json?: boolean;
}

export interface RulesShowOptions extends AdminOptions {
  json?: boolean;
}

export interface RulesExportOptions extends RulesShowOptions {
  withVersions?: boolean;
  schema?: string;
}

const EXPORT_HEADER = '# Rules of this MUTT. Change them here, then: mutt rules apply FILE.yaml\n';
/** Of so many rules that were changed meanwhile it is asked by whom. */
const CONFLICTS_ASKED_MAX = 10;

export async function rulesApply(
  context: CliContext,
  path: string,
  options: RulesApplyOptions,
): Promise<number> {
  const file = await readRulesFile(path, (document) => faultsFoundByNode(context, options, document));
  return withAdminClient(context, options, async (admin) => {
    if (options.dryRun === true) {
      const differences = await differencesFrom(context, admin, file);
      showDryRun(context, differences, options);
      // What apply would refuse is no good document, whoever asks by the exit code alone.
      return differences.some(({ conflict }) => conflict !== undefined) ? EXIT.notGood : EXIT.ok;
    }
    const document = {
      ...file.document,
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    };
    const sinceMs = context.clock.monotonicMs();
    let applied: AppliedRules;
    try {
      applied = await admin.applyRules(document, context.signal);
    } catch (thrown) {
      throw await refusal(context, admin, file, thrown);
    }
    return showApplied(context, admin, applied, sinceMs, options);
  });
}

/** Why the node does not take a file, with the places in it. */
async function refusal(
  context: CliContext,
  admin: AdminClient,
  file: RulesFile,
  thrown: unknown,
): Promise<unknown> {
  const faults = faultsIn(thrown);
  if (faults.length === 0) return thrown;
  if (codeOf(thrown) !== 'E_VERSION_CONFLICT') return file.refused(faults);
  const told = await withChangers(context, admin, file, faults).catch(() => faults);
  const lines = told.map((fault) => faultLine(file.path, file.locate(fault)));
  return new CodedError(
    'E_VERSION_CONFLICT',
    `${file.path} changes rules that somebody else has changed meanwhile\n${lines.join('\n')}`,
    {
      mend: 'Nothing was changed. `mutt rules diff` shows what differs; take it over, and the new version with it.',
      details: (thrown as CodedError).details,
    },
  );
}

/** Who changed these rules last, and why. Errors: those of the client. */
async function withChangers(
  context: CliContext,
  admin: AdminClient,
  { document }: RulesFile,
  faults: readonly FieldFault[],
): Promise<FieldFault[]> {
  const find = ruleFinder(recordsOf((await admin.ruleSet(context.signal))['rules']));
  const told = faults.slice(0, CONFLICTS_ASKED_MAX).map(async (fault): Promise<FieldFault> => {
    const rule = document.rules[Number(/^rules\[(\d+)\]/.exec(fault.field)?.[1])];
    const id = (rule === undefined ? undefined : find(rule))?.['id'];
    if (typeof id !== 'number') return fault;
    const { items } = await admin.list<RuleVersion>(`/api/v2/rules/${id}/versions`, {}, 1, context.signal);
    const [last] = items;
    if (last === undefined) return fault;
    const reason = last.reason === null ? '' : `: ${last.reason}`;
    return { ...fault, mend: `It was changed by ${last.changed_by} at ${seconds(last.changed_at)}${reason}` };
  });
  return [...(await Promise.all(told)), ...faults.slice(CONFLICTS_ASKED_MAX)];
}

/** None when no node answers: what is wrong with the file is told all the same. */
export async function faultsFoundByNode(
  context: CliContext,
  options: AdminOptions,
  document: unknown,
): Promise<FieldFault[]> {
  try {
    return await withAdminClient(
      context,
      options,
      async (admin) => (await admin.checkRules(document, context.signal)).faults,
    );
  } catch {
    return [];
  }
}

/** Errors: E_RULES_INVALID, when the node would refuse the file; those of the client. */
async function differencesFrom(
  context: CliContext,
  admin: AdminClient,
  file: RulesFile,
): Promise<RuleDifference[]> {
  const [{ faults, rules = file.document.rules }, current] = await Promise.all([
    admin.checkRules(file.document, context.signal),
    admin.ruleSet(context.signal),
  ]);
  if (faults.length > 0) throw file.refused(faults);
  return rulesDifference({ ...file.document, rules }, current);
}

function figuresOf(differences: readonly RuleDifference[]): Figures {
  const of = (outcome: RuleDifference['outcome']): number =>
    differences.filter((difference) => difference.outcome === outcome).length;
  return { created: of('created'), updated: of('updated'), unchanged: of('unchanged') };
}

function showDryRun(context: CliContext, differences: RuleDifference[], options: RulesApplyOptions): void {
  const figures = figuresOf(differences);
  const { stdout } = context.io;
  if (options.json === true) {
    writeJson(context, { dry_run: true, ...figures, differences });
    return;
  }
  for (const { what, outcome, fields } of differences) {
    if (outcome === 'unchanged') continue;
    const which = fields.length === 0 ? '' : `: ${fields.map(printable).join(', ')}`;
    stdout.write(`${fit(outcome, 9)} ${printable(what)}${which}\n`);
  }
  tellConflicts(context, differences);
  stdout.write(`Dry run, nothing was changed. It would be: ${describe(figures)}.\n`);
}

/** Field by field, what applying a file would change. */
export async function rulesDiff(
  context: CliContext,
  path: string,
  options: RulesDiffOptions,
): Promise<number> {
  const file = await readRulesFile(path, (document) => faultsFoundByNode(context, options, document));
  const differences = await withAdminClient(context, options, (admin) =>
    differencesFrom(context, admin, file),
  );
  const figures = figuresOf(differences);
  const differs = figures.created + figures.updated > 0;
  if (options.json === true) {
    writeJson(context, { ...figures, differences });
  } else {
    const paint = paletteFor(context);
    const lines = differences
      .filter(({ outcome }) => outcome !== 'unchanged')
      .flatMap(({ what, outcome, changes }) => [
        (outcome === 'created' ? paint.green : paint.yellow)(`${fit(outcome, 9)} ${printable(what)}`),
        ...changes.map((change) => `  ${changeText(change)}`),
      ]);
    context.io.stdout.write([...lines, describe(figures)].map((line) => `${line}\n`).join(''));
    tellConflicts(context, differences);
  }
  return options.exitCode === true && differs ? EXIT.notGood : EXIT.ok;
}

function tellConflicts(context: CliContext, differences: readonly RuleDifference[]): void {
  for (const { what, conflict } of differences) {
    if (conflict === undefined) continue;
    const { version, present } = conflict;
    const why = present === null ? 'is not there any more' : `is at version ${present} by now`;
    context.io.stderr.write(
      `mutt: ${printable(what)} ${why}, the file is of version ${version}: apply will refuse it\n`,
    );
  }
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

interface Figures {
  created: number;
  updated: number;
  unchanged: number;
}

function describe(figures: Figures): string {
  return `${count(figures.created)} created, ${count(figures.updated)} updated, ${count(figures.unchanged)} unchanged`;
}

export async function rulesList(context: CliContext, options: RulesShowOptions): Promise<number> {
  const document = await withAdminClient(context, options, (admin) => admin.ruleSet(context.signal));
  const { io } = context;
  if (options.json === true) {
    writeJson(context, document);
    return EXIT.ok;
  }
  const paint = paletteFor(context);
  const rules = recordsOf(document['rules']);
  writeTable(context, RULE_COLUMNS, rules, (rule) =>
    isSuspended(rule) ? paint.red : rule['is_active'] === false ? paint.dim : undefined,
  );
  if (io.isTTY) io.stdout.write(`${counted(rules.length, 'rule')}, in the order they are tried\n`);
  return EXIT.ok;
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
  if (isSuspended(rule)) parts.push('(suspended)');
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

/** The node leaves it out: a message took it over its budget. */
function isSuspended(rule: Record<string, unknown>): boolean {
  return isRecord(rule['suspended']);
}

/** Writes the rules as the file that `apply` takes. */
export async function rulesExport(context: CliContext, options: RulesExportOptions): Promise<number> {
  const document = await withAdminClient(context, options, (admin) => admin.ruleSet(context.signal));
  const withVersions = options.withVersions === true;
  const exported: Record<string, unknown> = {
    rules: recordsOf(document['rules']).map((rule) => concise(rule, withVersions)),
  };
  for (const section of ['development_hosts', 'teams', 'destinations']) {
    if (document[section] !== undefined) exported[section] = document[section];
  }
  // Editors look for it on the first lines of a file; a line end in it would be YAML of its own.
  const schema =
    options.schema === undefined ? '' : `# yaml-language-server: $schema=${printable(options.schema)}\n`;
  context.io.stdout.write(
    options.json === true
      ? `${JSON.stringify(exported, null, 2)}\n`
      : schema + EXPORT_HEADER + stringify(exported, { lineWidth: 0 }),
  );
  return EXIT.ok;
}

/** The JSON Schema of a file of rules, for editors. */
export async function rulesSchema(context: CliContext, options: AdminOptions): Promise<number> {
  const schema = await withAdminClient(context, options, (admin) =>
    admin.read<Record<string, unknown>>('/api/v2/rules/schema', {}, context.signal),
  );
  writeJson(context, schema);
  return EXIT.ok;
}

/** Without what is default, and without the id where there is a name to find the rule by. */
function concise(rule: Record<string, unknown>, withVersions: boolean): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [field, byDefault] of Object.entries(RULE_FIELDS)) {
    const value = rule[field];
    if (value === undefined || value === null || field === 'version') continue;
    if (field === 'id' && typeof rule['name'] === 'string') continue;
    if (JSON.stringify(value) === JSON.stringify(byDefault)) continue;
    kept[field] = value;
  }
  if (withVersions) kept['expected_version'] = rule['version'];
  return kept;
}

function text(value: unknown): string {
  if (typeof value === 'string') return printable(value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
