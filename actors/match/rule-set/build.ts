/** Builds the shared image of a rule set. Pure; takes from milliseconds to seconds: nothing for a thread that matches. */
import type { RuleRow } from '../../ports.ts';
import { buildAutomaton } from './automaton.ts';
import { makeImage } from './image.ts';
import { makeKeyTable } from './key-table.ts';
import type { RuleSetCost } from './limits.ts';
import { planRuleSet } from './plan.ts';
import type { Filing, PlannedRule, RefusedRule, RuleSetPlan } from './plan.ts';
import { NO_SEVERITY, takesSeverity, traitsOf } from './traits.ts';

export interface RuleSetStatistics {
  literals: number;
  /** Of the automaton over them. */
  states: number;
  /** Of the image. */
  bytes: number;
  buildMs: number;
  /** Rules that nothing narrows: every event tests them, or every one of their severity. */
  alwaysRules: number;
}

export interface BuiltRuleSet {
  version: number;
  image: SharedArrayBuffer;
  /** Active ones that compile. */
  rules: number;
  /** Active ones that are left out, and why. */
  refused: RefusedRule[];
  statistics: RuleSetStatistics;
}

/**
 * Compiles `rows` (in any order, inactive ones too: a cleared rule may be off).
 * @throws CodedError E_RULE_SET_TOO_LARGE (permanent) past a stated limit, see limits.ts.
 */
export function buildRuleSet(rows: readonly RuleRow[], version: number): BuiltRuleSet {
  const startedMs = performance.now();
  const plan = planRuleSet(rows);
  const { rules, refused, cost } = plan;
  const traits = Int32Array.from(rules, ({ row, isLiteralEnough }) => traitsOf(row, isLiteralEnough));
  const filed = new Filed(rules);
  const literals = [...filed.by.literal.keys()].sort();
  const { states, ...automaton } = buildAutomaton(literals);
  const keyRanks: number[] = [];
  const image = makeImage({
    version,
    rules: rules.length,
    lastReceivedAtMs: new Float64Array(rules.length),
    hits: new Int32Array(rules.length),
    suspended: new Int32Array(rules.length),
    traits,
    ...rowSections(plan),
    ...automaton,
    ...listSections(literals.map((literal) => filed.by.literal.get(literal)!)),
    oids: makeKeyTable(filed.by.oid, keyRanks),
    hosts: makeKeyTable(filed.by.host, keyRanks),
    programs: makeKeyTable(filed.by.program, keyRanks),
    keyRanks: Int32Array.from(keyRanks),
    ...alwaysSections(filed.always, traits),
  });
  const statistics = {
    literals: literals.length,
    states,
    bytes: image.byteLength,
    buildMs: performance.now() - startedMs,
    alwaysRules: cost.alwaysRules,
  };
  return { version, image, rules: rules.length, refused, statistics };
}

/**
 * What a set of these rules costs, without building it: whoever saves a rule asks first.
 * @throws CodedError E_RULE_SET_TOO_LARGE (permanent), exactly where buildRuleSet does.
 */
export function ruleSetCost(rows: readonly RuleRow[]): RuleSetCost {
  return planRuleSet(rows).cost;
}

/** Ranks under what they are filed under, in order. */
class Filed {
  readonly by: Record<Exclude<Filing['by'], 'nothing'>, Map<string, number[]>> = {
    literal: new Map(),
    oid: new Map(),
    host: new Map(),
    program: new Map(),
  };
  readonly always: number[] = [];

  constructor(rules: readonly PlannedRule[]) {
    for (const [rank, { filing }] of rules.entries()) {
      if (filing.by === 'nothing') this.always.push(rank);
      else for (const key of filing.keys) this.#file(this.by[filing.by], key, rank);
    }
  }

  #file(lists: Map<string, number[]>, key: string, rank: number): void {
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [rank]);
    else list.push(rank);
  }
}

function listSections(lists: readonly (readonly number[])[]): {
  literalStarts: Int32Array;
  literalRanks: Int32Array;
} {
  const literalStarts = new Int32Array(lists.length + 1);
  for (const [at, list] of lists.entries()) literalStarts[at + 1] = literalStarts[at]! + list.length;
  return { literalStarts, literalRanks: Int32Array.from(lists.flat()) };
}

function alwaysSections(
  always: readonly number[],
  traits: Int32Array,
): { alwaysStarts: Int32Array; alwaysRanks: Int32Array } {
  const alwaysStarts = new Int32Array(NO_SEVERITY + 2);
  const ranks: number[] = [];
  for (let severity = 0; severity <= NO_SEVERITY; severity++) {
    ranks.push(...always.filter((rank) => takesSeverity(traits[rank]!, severity)));
    alwaysStarts[severity + 1] = ranks.length;
  }
  return { alwaysStarts, alwaysRanks: Int32Array.from(ranks) };
}

function rowSections({ rules, idle, texts }: RuleSetPlan): {
  ids: Int32Array;
  rowStarts: Int32Array;
  rows: Uint8Array;
} {
  const rows = [...rules.map(({ row }) => row), ...idle];
  const rowStarts = new Int32Array(rows.length + 1);
  for (const [at, text] of texts.entries()) rowStarts[at + 1] = rowStarts[at]! + text.length;
  const order = rows.map((_, at) => at).sort((a, b) => rows[a]!.id - rows[b]!.id);
  const ids = Int32Array.from([...order.map((at) => rows[at]!.id), ...order]);
  return { ids, rowStarts, rows: Buffer.concat(texts) };
}
