/** The same rules through an Aho–Corasick package: it finds the literals, V8's own searches confirm the candidates. */
import { AhoCorasick as Monyone } from '@monyone/aho-corasick/fast';
import ModernFast from 'modern-ahocorasick/unicode-fast';
import type { NormalizedEvent } from '../../actors/event.ts';
import { planRuleSet } from '../../actors/match/rule-set/plan.ts';
import type { RuleRow } from '../../actors/ports.ts';
import { plainRules } from './plain-loop.ts';

/** The places of the keywords that a text in lower case holds, some of them more than once. */
type Find = (lowerText: string) => Iterable<number>;

export const PACKAGES: Readonly<Record<string, (keywords: readonly string[]) => Find>> = {
  'modern-ahocorasick': (keywords) => {
    const matcher = new ModernFast([...keywords]);
    return (text) => matcher.search(text).map(({ patternIndex }) => patternIndex);
  },
  '@monyone/aho-corasick': (keywords) => {
    const matcher = new Monyone([...keywords]);
    const places = new Map(keywords.map((keyword, at) => [keyword, at]));
    return (text) => matcher.matchInText(text).map(({ keyword }) => places.get(keyword)!);
  },
};

/** The first rule that matches; only rules with a literal are tried, as the corpus holds no traps. */
export function matchThrough(
  rows: readonly RuleRow[],
  build: (keywords: readonly string[]) => Find,
): (event: NormalizedEvent) => RuleRow | undefined {
  const rules = plainRules(rows);
  const rankOf = new Map(rules.map(({ row }, rank) => [row.id, rank]));
  const ranksUnder = new Map<string, number[]>();
  for (const { row, filing } of planRuleSet(rows).rules) {
    if (filing.by !== 'literal') continue;
    for (const key of filing.keys) {
      const literal = key.toLowerCase();
      ranksUnder.set(literal, [...(ranksUnder.get(literal) ?? []), rankOf.get(row.id)!]);
    }
  }
  const keywords = [...ranksUnder.keys()];
  const ranks = [...ranksUnder.values()];
  const find = build(keywords);
  return (event) => {
    const lower = event.message.toLowerCase();
    const candidates = new Set<number>();
    for (const place of find(lower)) for (const rank of ranks[place]!) candidates.add(rank);
    for (const rank of [...candidates].sort((a, b) => a - b)) {
      const { row, holds } = rules[rank]!;
      if (holds(event, lower)) return row;
    }
    return undefined;
  };
}
