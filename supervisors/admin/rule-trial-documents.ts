/** What trials of rules find, as the documents that the API sends. */
import type { NormalizedEvent } from '../../actors/event.ts';
import type { RuleExplanation } from '../../actors/match/explain.ts';
import type { NormalizedRecord } from '../../actors/match/normalize.ts';
import { isSuspended } from '../../actors/match/rule-trial.ts';
import type { CandidateChange, RuleTrial } from '../../actors/match/rule-trial.ts';
import type { RuleRow } from '../../actors/ports.ts';
import type {
  ExplainedRuleDocument,
  NormalizedEventDocument,
  RuleTestReply,
  TestedEventDocument,
} from '../../gateways/admin/rule-documents.ts';
import { messageOf } from '../../runtime/errors.ts';

/** Which rules to explain beside those that match. */
export interface ExplainWanted {
  ruleId: number | undefined;
  nearest: number;
}

export function ruleSetSummary(
  { active, rules: { added, changed, removed } }: RuleTrial,
  { base }: CandidateChange,
  snapshotVersion: number,
): RuleTestReply['rule_set'] {
  return { base, snapshot_version: snapshotVersion, rules: active, added, changed, removed };
}

export function testedEvent(
  trial: RuleTrial,
  record: NormalizedRecord,
  eventId: string | null,
  wanted: ExplainWanted,
): TestedEventDocument {
  const { event } = record;
  const matches = trial.match(event);
  const row = trial.decide(record, matches);
  const explanation = wanted.ruleId === undefined ? undefined : trial.explain(wanted.ruleId, event);
  const explanations =
    wanted.ruleId === undefined
      ? trial.nearest(event, wanted.nearest)
      : explanation === undefined
        ? []
        : [explanation];
  return {
    event_id: eventId,
    error: null,
    event: normalizedEventDocument(event),
    environment: row.environment,
    team: row.team,
    decision: row.decision,
    matches: row.matches.map(({ rule_id, handling }) => ({
      ...trial.reference(rule_id),
      handling,
      alerts: row.alerts
        .filter((alert) => alert.rule_id === rule_id)
        .map(({ destination, signature, severity, status }) => ({
          destination,
          signature,
          severity,
          status,
        })),
    })),
    explained: explanations.map((each) => explainedRuleDocument(trial, each, matches)),
  };
}

/** An event that cannot be read, as an answer. */
export function unreadableEvent(thrown: unknown, code: string, eventId: string | null): TestedEventDocument {
  return {
    event_id: eventId,
    error: { code, message: messageOf(thrown) },
    event: null,
    environment: null,
    team: null,
    decision: null,
    matches: [],
    explained: [],
  };
}

export function normalizedEventDocument(event: NormalizedEvent): NormalizedEventDocument {
  return {
    hostname: event.hostname,
    message: event.message,
    received_at: new Date(event.receivedAtMs).toISOString(),
    event_time: new Date(event.eventTimeMs).toISOString(),
    clock_skewed: event.clockSkewed,
    text_repaired: event.textRepaired,
    severity: event.severity ?? null,
    facility: event.facility ?? null,
    program: event.program ?? null,
    pid: event.pid ?? null,
    msgid: event.msgid ?? null,
    source_ip: event.sourceIp ?? null,
    trap_oid: event.trapOid ?? null,
    source: event.source ?? null,
    ...(event.varbinds === undefined ? {} : { varbinds: event.varbinds }),
    ...(event.structuredData === undefined ? {} : { structured_data: event.structuredData }),
    fields: event.fields,
  };
}

export function explainedRuleDocument(
  trial: RuleTrial,
  { row, why, matched, criteria }: RuleExplanation,
  matches: readonly RuleRow[],
): ExplainedRuleDocument {
  const isReached = matches.some(({ id }) => id === row.id);
  return {
    ...trial.reference(row.id),
    why: matched && isSuspended(row) ? 'suspended' : matched && !isReached ? 'not_reached' : why,
    criteria,
  };
}
