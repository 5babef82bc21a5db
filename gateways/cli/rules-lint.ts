/**
 * `mutt rules lint`: what is wrong with a file of rules, with its places, for people and for pipelines.
 *
 * A node judges it as it would an apply, and runs the tests inside the rules. Without one only what can be known here is
 * said, and that it is no more.
 */
import { HANDLINGS } from '../../actors/event.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';
import { nearestWord } from '../../runtime/nearest-word.ts';
import type { AdminClient } from './admin-client.ts';
import type { FieldFault } from './admin-documents.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { ruleText } from './rule-documents.ts';
import type { CoverageFinding } from './rule-documents.ts';
import { recordsOf, ruleFinder, rulesDifference } from './rules-difference.ts';
import { faultLine, isRecord, openRulesFile, RULE_FIELDS, withoutRepeats } from './rules-file.ts';
import type { LocatedFault, OpenedRulesFile, RulesDocument } from './rules-file.ts';
import { writeJson } from './table.ts';
import { counted, paletteFor, printable } from './terminal-text.ts';
import { waiting } from './waiting.ts';

export interface RulesLintOptions extends AdminOptions {
  offline?: boolean;
  json?: boolean;
}

/** What a node finds. */
interface Judgement {
  faults: FieldFault[];
  warnings: FieldFault[];
}

/** Beyond this, the rest of the findings says nothing new. */
const SHADOWED_MAX = 1_000;
/** What fails when there is no node here, or was none ever. */
const NO_NODE_CODES: ReadonlySet<string> = new Set(['E_UNREACHABLE', 'E_KEY_UNREADABLE']);

export async function rulesLint(
  context: CliContext,
  path: string,
  options: RulesLintOptions,
): Promise<number> {
  const file = await openRulesFile(path);
  const judgement = await judgementOf(context, file, options);
  const further = (judgement?.faults ?? offlineFaults(file.value)).map((fault) => file.locate(fault));
  const faults = inOrder(withoutRepeats(file.faults, further));
  const warnings = inOrder((judgement?.warnings ?? []).map((fault) => file.locate(fault)));
  const judgedBy = judgement === undefined ? 'shape' : 'node';
  if (options.json === true) {
    writeJson(context, { file: path, valid: faults.length === 0, judged_by: judgedBy, faults, warnings });
  } else {
    tell(context, file, faults, warnings);
  }
  if (judgement === undefined && isRecord(file.value)) {
    const why = options.offline === true ? '' : 'no node answers here, so ';
    context.io.stderr.write(
      `mutt: ${why}only the shape was checked: no expressions, values or tests of rules\n`,
    );
  }
  return faults.length === 0 ? EXIT.ok : EXIT.notGood;
}

function tell(
  context: CliContext,
  { path, value }: OpenedRulesFile,
  faults: readonly LocatedFault[],
  warnings: readonly LocatedFault[],
): void {
  const paint = paletteFor(context);
  const rules = isRecord(value) && Array.isArray(value['rules']) ? value['rules'].length : 0;
  const sum = [
    counted(rules, 'rule'),
    counted(faults.length, 'fault'),
    ...(warnings.length === 0 ? [] : [counted(warnings.length, 'warning')]),
  ].join(', ');
  const lines = [
    ...faults.map((fault) => faultLine(path, fault)),
    ...warnings.map((warning) => faultLine(path, { ...warning, why: `warning: ${warning.why}` })),
    (faults.length === 0 ? paint.green : paint.boldRed)(`${path}: ${sum}`),
  ];
  context.io.stdout.write(`${lines.join('\n')}\n`);
}

/** Undefined when no node was asked, or none is here. Errors: those of a node that was named, or refuses the key. */
async function judgementOf(
  context: CliContext,
  { value }: OpenedRulesFile,
  options: RulesLintOptions,
): Promise<Judgement | undefined> {
  if (options.offline === true || !isRecord(value)) return undefined;
  try {
    return await withAdminClient(context, options, async (admin) => {
      const { faults, rules } = await waiting(
        context,
        'the node judges the file',
        admin.checkRules(value, context.signal),
      );
      const warnings =
        faults.length > 0 || rules === undefined
          ? []
          : await shadowWarnings(context, admin, { rules }).catch((thrown: unknown) => {
              if (codeOf(thrown) === 'E_INTERRUPTED') throw thrown;
              context.io.stderr.write(
                `mutt: whether rules are shadowed is not known: ${printable(messageOf(thrown))}\n`,
              );
              return [];
            });
      return { faults, warnings };
    });
  } catch (thrown) {
    const isNamed = options.adminUrl !== undefined || options.adminKeyFile !== undefined;
    if (!isNamed && NO_NODE_CODES.has(codeOf(thrown))) return undefined;
    throw thrown;
  }
}

/** Rules that are in force as the file has them, and can never decide. */
async function shadowWarnings(
  context: CliContext,
  admin: AdminClient,
  document: RulesDocument,
): Promise<FieldFault[]> {
  if (document.rules.length === 0) return [];
  const query = { kind: 'shadowed' };
  const [current, { items }] = await Promise.all([
    admin.ruleSet(context.signal),
    admin.list<CoverageFinding>('/api/v2/rules/coverage', query, SHADOWED_MAX, context.signal),
  ]);
  const find = ruleFinder(recordsOf(current['rules']));
  const differences = rulesDifference(document, current);
  const places = new Map(document.rules.map((rule, index) => [find(rule)?.['id'], index]));
  const isChanged = (id: number): boolean => {
    const index = places.get(id);
    return index !== undefined && differences[index]?.outcome !== 'unchanged';
  };
  return items.flatMap(({ rule_id: id, other }) => {
    const index = places.get(id);
    if (index === undefined || other === null || isChanged(id) || isChanged(other.rule_id)) return [];
    return [
      {
        field: `rules[${index}]`,
        why: `it never decides: rule ${ruleText(other)} goes before it and matches whatever it does`,
        mend: 'Give it a lower priority number, narrow the other down, or let the other continue.',
      },
    ];
  });
}

/** What can be known of rules without a node. The node finds all of it, and the rest. */
function offlineFaults(value: unknown): FieldFault[] {
  const rules = isRecord(value) ? value['rules'] : undefined;
  return (Array.isArray(rules) ? (rules as unknown[]) : []).flatMap((rule, index) =>
    isRecord(rule) ? ruleFaults(rule, `rules[${index}]`) : [],
  );
}

const GIVEN_BY_NODE: readonly string[] = ['id', 'name', 'version', 'expected_version'];

function ruleFaults(rule: Record<string, unknown>, place: string): FieldFault[] {
  const missing = Object.entries(RULE_FIELDS)
    .filter(([field, byDefault]) => byDefault === undefined && !GIVEN_BY_NODE.includes(field))
    .filter(([field]) => rule[field] === undefined || rule[field] === null)
    .map(([field]) => ({ field: `${place}.${field}`, why: 'is missing', mend: 'It has no default.' }));
  const unknown = ['prod_handling', 'dev_handling'].flatMap((field) => {
    const handling = rule[field];
    if (typeof handling !== 'string' || (HANDLINGS as readonly string[]).includes(handling)) return [];
    const nearest = nearestWord(handling, HANDLINGS);
    const mend = nearest === undefined ? `Give one of ${HANDLINGS.join(', ')}.` : `Did you mean ${nearest}?`;
    return [{ field: `${place}.${field}`, why: 'is no handling', mend }];
  });
  return [...missing, ...unknown];
}

/** As they stand in the file. */
function inOrder(faults: LocatedFault[]): LocatedFault[] {
  return faults.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}
