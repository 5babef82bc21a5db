/**
 * What of the rules in force does nothing, or contradicts itself: those that never fired, those that an earlier one
 * shadows, and pairs that matched the same recent events and decide otherwise.
 */
import { findShadowed, OverlapCount } from '../../actors/match/coverage.ts';
import { inOrder } from '../../actors/match/explain.ts';
import { isSuspended, RuleTrial, trialRules, NO_CHANGE } from '../../actors/match/rule-trial.ts';
import type { NamedRow } from '../../actors/match/rule-trial.ts';
import { normalizeStored } from '../../actors/match/sample-event.ts';
import type { RuleRow, Snapshot } from '../../actors/ports.ts';
import type { CoverageReading } from '../../gateways/admin/admin-port.ts';
import type { CoverageFinding } from '../../gateways/admin/rule-documents.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresRuleActivityStore } from '../../gateways/postgres/rule-activity-store.ts';
import { PostgresSnapshotSource } from '../../gateways/postgres/snapshot-source.ts';
import { PostgresStoredEvents } from '../../gateways/postgres/stored-events.ts';
import type { StoredEventPosition } from '../../gateways/postgres/stored-events.ts';
import { systemClock } from '../../runtime/clock.ts';

export interface WholeCoverage {
  /** In the order of the kinds, then of the rules; of each kind at most 10,000. */
  findings: CoverageFinding[];
  summary: CoverageReading['summary'];
}

const SAMPLE_EVENTS_MAX = 2_000;
const SAMPLE_MS_MAX = 5_000;
const PAGE_EVENTS = 500;
const FINDINGS_OF_KIND_MAX = 10_000;

/** Errors: E_SEARCH_TOO_LONG, E_RULE_SET_TOO_LARGE, those of Connection. */
export async function readCoverage(database: Connection): Promise<WholeCoverage> {
  const snapshot = await new PostgresSnapshotSource(database).load();
  const active = (snapshot.rules as NamedRow[])
    .filter((row) => row.is_active && !isSuspended(row))
    .sort(inOrder);
  const fired = await new PostgresRuleActivityStore(database).list();
  const firedIds = new Set(fired.map(({ ruleId }) => ruleId));
  const neverFired = active.filter(({ id }) => !firedIds.has(id));
  const { shadowed, pairsCompared, isComplete } = findShadowed(active);
  const { overlaps, sample } = await findOverlaps(database, snapshot, active);
  const found: CoverageFinding[][] = [
    neverFired.map((row) => finding('never_fired', row, null)),
    shadowed.map(({ row, by }) => finding('shadowed', row, by)),
    overlaps.map(({ a, b, events, eventId }) => ({
      ...finding('overlapping', a, b),
      events,
      event_id: eventId,
    })),
  ];
  return {
    findings: found.flatMap((ofKind) => ofKind.slice(0, FINDINGS_OF_KIND_MAX)),
    summary: {
      snapshot_version: snapshot.version,
      rules: active.length,
      totals: {
        never_fired: neverFired.length,
        shadowed: shadowed.length,
        overlapping: overlaps.length,
      },
      at: new Date(systemClock.wallMs()).toISOString(),
      pairs_compared: pairsCompared,
      all_pairs_compared: isComplete,
      sample,
    },
  };
}

/** Of the newest events, for as long as that takes no more than a few seconds. */
async function findOverlaps(
  database: Connection,
  snapshot: Snapshot,
  active: readonly NamedRow[],
): Promise<{ overlaps: ReturnType<OverlapCount['found']>; sample: CoverageReading['summary']['sample'] }> {
  // Every rule lets later ones match too: so all that match an event are found.
  const all = active.map((row) => ({ ...row, continue: true }));
  const trial = new RuleTrial(trialRules(all, NO_CHANGE), snapshot);
  const overlaps = new OverlapCount();
  const stored = new PostgresStoredEvents(database);
  const endsAtMs = systemClock.monotonicMs() + SAMPLE_MS_MAX;
  const window = { fromMs: 0, toMs: systemClock.wallMs() + 1 };
  let events = 0;
  let newestMs: number | null = null;
  let oldestMs: number | null = null;
  let position: StoredEventPosition | null | undefined;
  while (position !== null && events < SAMPLE_EVENTS_MAX && systemClock.monotonicMs() < endsAtMs) {
    const page = await stored.page({ ...window, after: position, limit: PAGE_EVENTS });
    for (const each of page.items) {
      newestMs ??= each.receivedAtMs;
      oldestMs = each.receivedAtMs;
      events += 1;
      try {
        overlaps.look(each.eventId, trial.match(normalizeStored(each).event));
      } catch {
        // What an older program stored may be unreadable: it says nothing about the rules.
      }
    }
    position = page.next;
  }
  const stamp = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return {
    overlaps: overlaps.found(),
    sample: { events, newest_received_at: stamp(newestMs), oldest_received_at: stamp(oldestMs) },
  };
}

function finding(kind: CoverageFinding['kind'], row: RuleRow, other: RuleRow | null): CoverageFinding {
  return {
    kind,
    ...covered(row),
    other: other === null ? null : covered(other),
    events: null,
    event_id: null,
  };
}

function covered(row: RuleRow): NonNullable<CoverageFinding['other']> {
  const { id, version, name, priority } = row as NamedRow;
  return { rule_id: id, rule_version: version, name, priority };
}
