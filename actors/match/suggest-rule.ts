/**
 * A rule that matches the messages of a template, for people to begin from: its longest fixed part, and its program or
 * trap. Pure.
 */
import type { RuleRow } from '../ports.ts';
import { MASK } from './template.ts';

export type SuggestedRule = Pick<
  RuleRow,
  'match_string' | 'trap_oid' | 'program' | 'prod_handling' | 'dev_handling' | 'team_assignment'
> & { name: string; match_type: 'contains' };

/** A shorter part is in half of all messages. */
const LITERAL_CHARS_MIN = 4;

/** Undefined when nothing of it is fixed. `sample`: one of its messages, or the beginning of one. */
export function suggestRule(
  template: {
    fingerprint: string;
    template: string;
    program: string | null;
    trapOid: string | null;
    sample: string;
  },
  team: string,
): SuggestedRule | undefined {
  const literal = longestLiteral(template);
  const { fingerprint, program, trapOid } = template;
  if (literal === undefined && trapOid === null) return undefined;
  return {
    name: `unmatched ${fingerprint}`,
    match_type: 'contains',
    match_string: literal ?? null,
    trap_oid: trapOid,
    program,
    prod_handling: 'Ticket_only',
    dev_handling: 'Ignore',
    team_assignment: team,
  };
}

/** In the message as it is: a blank of a template may stand for several. */
function longestLiteral({ template, sample }: { template: string; sample: string }): string | undefined {
  return template
    .split(MASK)
    .flatMap((part) => (sample.includes(part.trim()) ? [part] : part.split(' ')))
    .map((part) => part.trim())
    .filter((part) => part.length >= LITERAL_CHARS_MIN && /\p{L}/u.test(part) && sample.includes(part))
    .reduce<string | undefined>(
      (longest, part) => (longest === undefined || part.length > longest.length ? part : longest),
      undefined,
    );
}
