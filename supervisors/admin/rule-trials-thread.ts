/**
 * What runs in the threads that try rules: questions in, documents out. Each task has a connection of its own, reads what
 * is in force itself, and ends when it is answered or its thread is ended.
 */
import { canonicalHostname } from '../../actors/hostname.ts';
import { Backtest } from '../../actors/match/backtest.ts';
import type { NormalizedEvent } from '../../actors/event.ts';
import type { AuditPolicy } from '../../actors/match/audit-policy.ts';
import { clearedElsewhere, parseConfiguration } from '../../actors/match/configuration.ts';
import type { NormalizedRecord } from '../../actors/match/normalize.ts';
import { NO_CHANGE, RuleTrial, trialRules } from '../../actors/match/rule-trial.ts';
import type { CandidateChange, NamedRow } from '../../actors/match/rule-trial.ts';
import { normalizeSample, normalizeStored } from '../../actors/match/sample-event.ts';
import type { SampleEvent } from '../../actors/match/sample-event.ts';
import type { Snapshot } from '../../actors/ports.ts';
import { BACKTEST_EVENTS_DEFAULT, BACKTEST_SECONDS_DEFAULT } from '../../gateways/admin/rule-documents.ts';
import type {
  BacktestReply,
  BacktestRequest,
  CandidateRequest,
  ExplainedRuleDocument,
  RuleTestReply,
  RuleTestRequest,
  TestedEventDocument,
} from '../../gateways/admin/rule-documents.ts';
import { PostgresAuditLog } from '../../gateways/postgres/audit-log.ts';
import { PostgresConfigAudit } from '../../gateways/postgres/config-audit.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresRuleStore } from '../../gateways/postgres/rule-store.ts';
import { PostgresSnapshotSource } from '../../gateways/postgres/snapshot-source.ts';
import { PostgresStoredEvents } from '../../gateways/postgres/stored-events.ts';
import type { StoredEventPosition } from '../../gateways/postgres/stored-events.ts';
import { systemClock } from '../../runtime/clock.ts';
import { CodedError, codeOf, toWire } from '../../runtime/errors.ts';
import type { WireError } from '../../runtime/errors.ts';
import { nameThread } from '../../runtime/shared/thread-name.ts';
import { readCoverage } from './rule-coverage.ts';
import {
  explainedRuleDocument,
  ruleSetSummary,
  testedEvent,
  unreadableEvent,
} from './rule-trial-documents.ts';

export type TrialQuestion =
  | { kind: 'test'; request: RuleTestRequest }
  | { kind: 'backtest'; request: BacktestRequest; unmatchedPolicy: AuditPolicy }
  | { kind: 'coverage' }
  | { kind: 'nearest'; event: NormalizedEvent };

export interface TrialTask {
  databaseUrl: string;
  question: TrialQuestion;
}

/** A refusal passes as a value: an error would lose its code on the way. */
export type TrialAnswer = { found: unknown } | { refused: WireError };

const CONNECTIONS_MAX = 2;
const NEAREST_DEFAULT = 3;
const RECENT_DEFAULT = 20;
const DAY_MS = 86_400_000;
const PAGE_EVENTS = 1_000;
const RULES_SHOWN_MAX = 200;
const SAMPLES_DEFAULT = 5;
const UNREADABLE: readonly string[] = ['E_EVENT_UNREADABLE', 'E_EVENT_OVER_BUDGET'];

export default async function answer({ databaseUrl, question }: TrialTask): Promise<TrialAnswer> {
  nameThread('rule-trials');
  const database = openConnection({
    url: databaseUrl,
    connectionsMax: CONNECTIONS_MAX,
    applicationName: 'mutt-rule-trial',
  });
  try {
    if (question.kind === 'test') return { found: await test(database, question.request) };
    if (question.kind === 'coverage') return { found: await readCoverage(database) };
    if (question.kind === 'nearest') return { found: await nearest(database, question.event) };
    return { found: await backtest(database, question.request, question.unmatchedPolicy) };
  } catch (thrown) {
    return { refused: toWire(thrown) };
  } finally {
    await database.close();
  }
}

/** What is in force, and the change of it that is asked about. */
interface Asked {
  snapshot: Snapshot;
  inForce: NamedRow[];
  change: CandidateChange;
}

async function readAsked(database: Connection, request: CandidateRequest): Promise<Asked> {
  const snapshot = await new PostgresSnapshotSource(database).load();
  const document = { rules: request.rules ?? [] };
  const cleared = clearedElsewhere(document);
  const known = await new PostgresRuleStore(database).known(cleared);
  const { rules } = parseConfiguration(document, new Set(cleared.filter((id) => !known.has(id))));
  const change = { base: request.base ?? 'in_force', rules, remove: request.remove ?? [] };
  return { snapshot, inForce: snapshot.rules as NamedRow[], change };
}

async function test(database: Connection, request: RuleTestRequest): Promise<RuleTestReply> {
  requireOneSource(request);
  const { snapshot, inForce, change } = await readAsked(database, request);
  const trial = new RuleTrial(trialRules(inForce, change), snapshot);
  const wanted = { ruleId: request.rule_id, nearest: request.nearest ?? NEAREST_DEFAULT };
  if (wanted.ruleId !== undefined && !trial.rules.references.has(wanted.ruleId)) {
    throw fault('rule_id', 'is the id of no rule of the tested set', 'Give the id of one of its rules.');
  }
  const show = (read: () => NormalizedRecord, eventId: string | null): TestedEventDocument => {
    let record: NormalizedRecord;
    try {
      record = read();
    } catch (thrown) {
      return unreadableEvent(thrown, codeOf(thrown), eventId);
    }
    return testedEvent(trial, record, eventId, wanted);
  };
  const rule_set = ruleSetSummary(trial, change, snapshot.version);
  if (request.recent !== undefined) {
    const { limit = RECENT_DEFAULT, hostname, from, to } = request.recent;
    const { items } = await new PostgresAuditLog(database).search({
      limit,
      hostname: hostname === undefined ? undefined : canonicalHostname(hostname),
      fromMs: timeOf(from, 'recent.from'),
      toMs: timeOf(to, 'recent.to'),
    });
    return { rule_set, items: items.map((stored) => show(() => normalizeStored(stored), stored.eventId)) };
  }
  const receivedAtMs = timeOf(request.received_at, 'received_at') ?? systemClock.wallMs();
  const samples = samplesOf(request);
  return {
    rule_set,
    items: samples.map((sample) => show(() => normalizeSample(sample, receivedAtMs), null)),
  };
}

/** Of the rules in force, those that come nearest to an event which none matched. */
async function nearest(database: Connection, event: NormalizedEvent): Promise<ExplainedRuleDocument[]> {
  const snapshot = await new PostgresSnapshotSource(database).load();
  const trial = new RuleTrial(trialRules(snapshot.rules as NamedRow[], NO_CHANGE), snapshot);
  return trial.nearest(event, NEAREST_DEFAULT).map((each) => explainedRuleDocument(trial, each, []));
}

function samplesOf({ event, events, line, lines }: RuleTestRequest): SampleEvent[] {
  return [
    ...[...(event === undefined ? [] : [event]), ...(events ?? [])].map((each) => ({ event: each })),
    ...[...(line === undefined ? [] : [line]), ...(lines ?? [])].map((each) => ({ line: each })),
  ];
}

const SOURCES = ['event', 'events', 'line', 'lines', 'recent'] as const;

function requireOneSource(request: RuleTestRequest): void {
  const given = SOURCES.filter((name) => request[name] !== undefined);
  if (given.length === 1) return;
  const mend = `Give one of ${SOURCES.join(', ')}.`;
  if (given.length === 0) throw fault('', 'has no events to test with', mend);
  throw fault(given[1] ?? '', `is one too many beside ${given[0]}`, mend);
}

async function backtest(
  database: Connection,
  request: BacktestRequest,
  policy: AuditPolicy,
): Promise<BacktestReply> {
  const toMs = timeOf(request.to, 'to') ?? systemClock.wallMs();
  const fromMs = timeOf(request.from, 'from') ?? toMs - DAY_MS;
  if (fromMs >= toMs) throw fault('to', 'is not after from', 'Swap or correct the two times.');
  const { snapshot, inForce, change } = await readAsked(database, request);
  const before = new RuleTrial(trialRules(inForce, NO_CHANGE), snapshot);
  const after = new RuleTrial(trialRules(inForce, change), snapshot);
  const found = new Backtest(before, after, request.samples ?? SAMPLES_DEFAULT);
  const eventsMax = request.events_max ?? BACKTEST_EVENTS_DEFAULT;
  const timeLimitMs = (request.time_limit_seconds ?? BACKTEST_SECONDS_DEFAULT) * 1000;
  const endsAtMs = systemClock.monotonicMs() + timeLimitMs;
  const events = new PostgresStoredEvents(database);
  let looked = 0;
  let unreadable = 0;
  let newestMs: number | null = null;
  let oldestMs: number | null = null;
  let endedBy: BacktestReply['window']['ended_by'] = 'window';
  let position: StoredEventPosition | null | undefined;
  while (position !== null) {
    const limit = Math.min(PAGE_EVENTS, eventsMax - looked - unreadable);
    if (limit === 0 || systemClock.monotonicMs() >= endsAtMs) {
      endedBy = limit === 0 ? 'events_max' : 'time_limit';
      break;
    }
    const page = await events.page({ fromMs, toMs, after: position, limit });
    for (const stored of page.items) {
      newestMs ??= stored.receivedAtMs;
      oldestMs = stored.receivedAtMs;
      try {
        found.look(normalizeStored(stored), stored);
        looked += 1;
      } catch (thrown) {
        // What the matcher gives up on is set aside by it too.
        if (!UNREADABLE.includes(codeOf(thrown))) throw thrown;
        unreadable += 1;
      }
    }
    position = page.next;
  }
  const different = found.differentRules();
  return {
    rule_set: ruleSetSummary(after, change, snapshot.version),
    window: {
      from: stamp(fromMs),
      to: stamp(toMs),
      oldest_received_at: oldestMs === null ? null : stamp(oldestMs),
      newest_received_at: newestMs === null ? null : stamp(newestMs),
      ended_by: endedBy,
    },
    events: {
      looked_at: looked,
      unreadable,
      decided_otherwise_when_stored: found.decidedOtherwiseWhenStored,
      stored_unmatched: found.storedUnmatched,
    },
    unmatched_policy: policy,
    caveat: CAVEATS[policy] ?? ((await wasChanged(database, fromMs)) ? CHANGED_CAVEAT : null),
    counts: { ...found.counts },
    alerts: {
      ...found.alerts,
      destinations: [...found.destinations].map(([destination, counts]) => ({ destination, ...counts })),
    },
    rules: different.slice(0, RULES_SHOWN_MAX),
    rules_different: different.length,
    samples: found.samples,
  };
}

/** What the audit log cannot say, by the policy that is in force now. */
const CAVEATS: Readonly<Record<AuditPolicy, string | null>> = {
  all: null,
  sample:
    'Of events that no rule matched the audit log keeps one in a hundred, and the first of each template and hour: ' +
    'what is gained may be a hundred times as much.',
  none: 'The audit log keeps no events that no rule matched: what would be gained is not known.',
};

const CHANGED_CAVEAT =
  'audit.unmatched.policy was changed within the window: until then the audit log did not keep every event that no rule ' +
  'matched, and what is gained may be more.';

/** Whether the policy was another one for a part of the time since `fromMs`, as far as settings say. */
async function wasChanged(database: Connection, fromMs: number): Promise<boolean> {
  const changes = await new PostgresConfigAudit(database).search({
    resource: 'settings',
    recordKey: 'audit.unmatched.policy',
    fromMs,
    limit: 1,
  });
  return changes.items.length > 0;
}

function stamp(ms: number): string {
  return new Date(ms).toISOString();
}

/** Errors: E_BODY_INVALID. */
function timeOf(text: string | undefined, field: string): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isFinite(ms)) return ms;
  throw fault(field, 'is no time', 'Give an existing time in RFC 3339.');
}

function fault(field: string, why: string, mend: string): CodedError {
  const message = field === '' ? `the body ${why}` : `${field} ${why}`;
  return new CodedError('E_BODY_INVALID', message, { mend, details: { faults: [{ field, why, mend }] } });
}
