/**
 * Rule sets for the benchmark: 70 % contains, 30 % regular expressions, 2 % of all by OID; made from a seed. Most look like
 * the messages of the corpus and differ from them late, as operators' rules do; five of them (fewer than ten in any set)
 * match, and with them the 5 % of the events that are there to be matched.
 */
import { RULE_DEFAULTS } from '../../actors/ports.ts';
import type { RuleRow } from '../../actors/ports.ts';
import { MATCHING_WORDS } from '../support/corpus.ts';
import { seededRandom } from '../../supervisors/torture/random.ts';

const RULES_SEED = 20_261_122;

type Draw = (below: number) => number;
type Criteria = Partial<RuleRow>;

const UPPER = [
  'BGP',
  'OSPF',
  'LINK',
  'LINEPROTO',
  'SEC',
  'ETHPORT',
  'AUTHPRIV',
  'ASA',
  'SYS',
  'STP',
  'HSRP',
  'VPC',
];
const MNEMONICS = [
  'UPDOWN',
  'ADJCHANGE',
  'CONFIG_I',
  'FAIL',
  'RESTART',
  'LOSS',
  'MISMATCH',
  'EXCEEDED',
  'DUPADDR',
];
const WORDS = [
  'fan',
  'supply',
  'module',
  'neighbor',
  'session',
  'tunnel',
  'license',
  'memory',
  'queue',
  'disk',
  'lease',
];
const STATES = ['failed', 'lost', 'degraded', 'exhausted', 'removed', 'expired', 'unreachable', 'flapping'];

/** Texts that no event of the corpus holds: its numbers end before theirs begin, or its words are others. */
const LITERALS: ((d: Draw) => string)[] = [
  (d) => `Interface GigabitEthernet${d(4)}/${50 + d(9_000)}, changed state`,
  (d) => `neighbor 10.${d(256)}.${d(256)}.${256 + d(700)} Down`,
  (d) => `%${UPPER[d(UPPER.length)]}-${d(3)}-${MNEMONICS[d(MNEMONICS.length)]}_${d(50_000)}`,
  (d) => `${WORDS[d(WORDS.length)]} ${d(50_000)} ${STATES[d(STATES.length)]}`,
  (d) => `Failed password for root from 192.0.2.${300 + d(50_000)}`,
  (d) => `via vlan${4_100 + d(50_000)}`,
];
const EXPRESSIONS: ((d: Draw) => string)[] = [
  (d) => `%${UPPER[d(UPPER.length)]}-[0-3]-${MNEMONICS[d(MNEMONICS.length)]}_X${d(50_000)}`,
  (d) => `${WORDS[d(WORDS.length)]} \\d+ (?:was )?${STATES[d(STATES.length)]} on unit${d(50_000)}`,
  (d) => `^\\d+: .* from node-${d(50_000)} .*refused$`,
  (d) => `(?:eth|bond)\\d+: link${d(50_000)} is (?:down|lost)`,
];

export function makeRules(count: number): RuleRow[] {
  const random = seededRandom(RULES_SEED);
  const draw: Draw = (below) => Math.floor(random() * below);
  const rules: RuleRow[] = [];
  for (let at = 0; at < count; at++) {
    const criteria = criteriaOf(at, draw);
    rules.push({
      ...RULE_DEFAULTS,
      id: at + 1,
      version: 1,
      prod_handling: 'Page_and_ticket',
      dev_handling: 'Ignore',
      team_assignment: 'network',
      // The rules that match are spread over the whole set: none of them is found early.
      priority: draw(1_000),
      ...criteria,
    });
  }
  return rules;
}

function criteriaOf(at: number, draw: Draw): Criteria {
  const isExpression = at % 10 >= 7;
  const word = at < 2 * MATCHING_WORDS.length && at % 2 === 0 ? MATCHING_WORDS[at / 2] : undefined;
  if (word !== undefined) {
    return isExpression
      ? { match_type: 'regex', match_string: `${word} unit \\d+` }
      : { match_string: word.toUpperCase() };
  }
  if (isExpression) {
    return { match_type: 'regex', match_string: EXPRESSIONS[draw(EXPRESSIONS.length)]!(draw) };
  }
  if (at % 50 === 3) {
    return { match_type: 'oid_prefix', trap_oid: `1.3.6.1.4.1.${draw(50_000)}.${draw(90)}` };
  }
  return { match_string: LITERALS[draw(LITERALS.length)]!(draw) };
}
