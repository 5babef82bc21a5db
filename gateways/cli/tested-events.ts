/**
 * What rules decide about an event, for a person: the decision, what matched, and of the nearest others what did not
 * hold.
 */
import type { CliContext } from './context.ts';
import { ruleText } from './rule-documents.ts';
import type { CriterionOutcome, ExplainedRule, TestedEvent, TestedMatch } from './rule-documents.ts';
import { cut, paletteFor, printable } from './terminal-text.ts';

const MESSAGE_COLUMNS_MAX = 160;
const FOUND_COLUMNS_MAX = 80;

export function eventLines(context: CliContext, tested: TestedEvent): string[] {
  const paint = paletteFor(context);
  const { event, error, decision, environment, team, matches, explained } = tested;
  const id = (tested.event_id ?? null) === null ? '' : `${printable(String(tested.event_id))}  `;
  if (event === null) {
    const why = (error ?? null) === null ? 'it cannot be read' : `${error?.message} (${error?.code})`;
    return [paint.boldRed(`${id}no event: ${printable(why)}`)];
  }
  const facts = [environment, team === null ? null : `team ${team}`].filter((fact) => fact !== null);
  return [
    `${id}${printable(event.hostname)}  ${cut(printable(event.message), MESSAGE_COLUMNS_MAX)}`,
    `  ${paint.bold(printable(decision ?? 'undecided'))}  ${facts.map(printable).join(', ')}`.trimEnd(),
    ...matches.map((match) => `  matched  ${matchText(match)}`),
    ...explained
      .filter(({ why }) => why !== 'matched')
      .map((rule) => `  ${paint.dim(`not      ${explanation(rule)}`)}`),
  ];
}

function matchText({ handling, alerts, ...rule }: TestedMatch): string {
  const sent = alerts.map(
    ({ destination, severity, status, signature }) =>
      `${status} to ${destination} as ${signature}${(severity ?? null) === null ? '' : `, severity ${severity}`}`,
  );
  return printable(`${ruleText(rule)}: ${handling}${sent.length === 0 ? '' : `; ${sent.join('; ')}`}`);
}

const WHY: Readonly<Record<string, string>> = {
  not_reached: 'every criterion holds, but a rule before it ends the search',
  inactive: 'every criterion holds, but it is not active',
  suspended: 'every criterion holds, but it is suspended for the time it takes',
  not_compiled: 'it does not compile',
};

/** Which rule, and what of it does not hold. */
export function explanation(rule: ExplainedRule): string {
  const why =
    WHY[rule.why] ??
    rule.criteria
      .filter(({ outcome }) => outcome !== 'held')
      .map(missed)
      .join('; ');
  return printable(`${ruleText(rule)}: ${why}`);
}

function missed({ field, outcome, wanted, found, near }: CriterionOutcome): string {
  if (outcome === 'absent') return `${field} ${wanted}, and the event has none`;
  const part = (near ?? null) === null ? '' : `, of it only ${JSON.stringify(near)}`;
  return `${field} ${wanted}, and it is ${cut(JSON.stringify(found ?? null), FOUND_COLUMNS_MAX)}${part}`;
}
