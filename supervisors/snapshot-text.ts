/**
 * A snapshot as JSON, quickly: each rule is written once for as long as it stays the same object, since of ten thousand
 * rules a change concerns one. The loop of the supervisor must not stand still for the others.
 */
import type { RuleRow, Snapshot } from '../actors/ports.ts';

const texts = new WeakMap<RuleRow, string>();

/** JSON of an array. Rules are never changed in place. */
export function rulesText(rules: readonly RuleRow[]): string {
  return `[${rules.map(textOf).join(',')}]`;
}

export function snapshotText({ rules, ...rest }: Snapshot): string {
  return `${JSON.stringify(rest).slice(0, -1)},"rules":${rulesText(rules)}}`;
}

function textOf(rule: RuleRow): string {
  let text = texts.get(rule);
  if (text === undefined) {
    text = JSON.stringify(rule);
    texts.set(rule, text);
  }
  return text;
}
