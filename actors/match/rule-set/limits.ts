/**
 * How large a rule set may be. A set past one of these is refused whole, where it is saved and where it is built; the
 * one in force stays.
 */
import { CodedError } from '../../../runtime/errors.ts';

/** Rules, active or not. */
export const RULES_MAX = 50_000;
/** Active rules that no literal, OID, host or program narrows: every event tests them all. */
export const ALWAYS_RULES_MAX = 500;
/** UTF-16 units of all literals together: of the texts of contains rules, and of what regular expressions require. */
export const LITERAL_UNITS_MAX = 4_000_000;
/** Of the whole image. */
export const IMAGE_BYTES_MAX = 512 * 1024 * 1024;

export interface RuleSetCost {
  rules: number;
  alwaysRules: number;
  literalUnits: number;
  /** At most: what the image really takes is known when it is built. */
  imageBytes: number;
}

/** @throws CodedError E_RULE_SET_TOO_LARGE (permanent): which limit, by how much, and what helps. */
export function refuseTooLarge(cost: RuleSetCost): void {
  const refuse = (what: keyof RuleSetCost, max: number, unit: string, mend: string): void => {
    if (cost[what] <= max) return;
    const [is, limit] = [cost[what], max].map((number) => number.toLocaleString('en-US'));
    throw new CodedError(
      'E_RULE_SET_TOO_LARGE',
      `The rule set has ${is} ${unit}; at most ${limit} are taken.`,
      {
        details: { limit: what, value: cost[what], max },
        mend,
      },
    );
  };
  refuse('rules', RULES_MAX, 'rules', 'Delete rules that are not needed, or make one of several alike.');
  refuse(
    'alwaysRules',
    ALWAYS_RULES_MAX,
    'rules that every event must be tested against',
    'Give them a text, an OID, a host without wildcards or a program; a regular expression needs three characters in a row that every match holds.',
  );
  refuse('literalUnits', LITERAL_UNITS_MAX, 'characters in the texts of its rules', 'Shorten the texts.');
  refuse(
    'imageBytes',
    IMAGE_BYTES_MAX,
    'bytes once it is built',
    'Shorten the texts and the tests in rules.',
  );
}
