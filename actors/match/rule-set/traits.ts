/**
 * What of a rule is tested without its row: a number each. Which severities it takes (a bit for each, and one for events
 * without), which facility, and whether it needs any other criterion, or the next rules are tried after it.
 */
import type { RuleRow } from '../../ports.ts';
import { holdsSeverity } from '../criteria.ts';

/** Stands for "the event names none". */
export const NO_SEVERITY = 8;
const FACILITY_SHIFT = 9;
const FACILITY_MASK = 0x1f;
/** No facility of syslog; for a row whose facility is none. */
const FACILITY_NEVER = 31;
/** Where its literal is found, its criterion on the message holds. */
export const LITERAL_IS_ENOUGH = 1 << 14;

export function traitsOf(row: RuleRow, isLiteralEnough: boolean): number {
  let traits = isLiteralEnough ? LITERAL_IS_ENOUGH : 0;
  for (let severity = 0; severity <= NO_SEVERITY; severity++) {
    if (holdsSeverity(row, severity === NO_SEVERITY ? undefined : severity)) traits |= 1 << severity;
  }
  const { facility } = row;
  const isKnown = facility !== null && Number.isInteger(facility) && facility >= 0 && facility <= 23;
  const filed = facility === null ? 0 : isKnown ? facility + 1 : FACILITY_NEVER;
  return traits | (filed << FACILITY_SHIFT);
}

/** As traits know it: 0 to 7, or NO_SEVERITY. */
export function severityIndexOf(severity: number | undefined): number {
  return severity === undefined || severity < 0 || severity > 7 ? NO_SEVERITY : severity;
}

export function takesSeverity(traits: number, severityIndex: number): boolean {
  return ((traits >>> severityIndex) & 1) === 1;
}

export function takesFacility(traits: number, facility: number | undefined): boolean {
  const filed = (traits >>> FACILITY_SHIFT) & FACILITY_MASK;
  return filed === 0 || filed - 1 === facility;
}
