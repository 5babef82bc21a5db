/**
 * The way of one event, told from what is stored: decision, receipts, dead letters, quarantine and rejects in PostgreSQL,
 * and what still waits in Redis. Only reading, by key; what has no key is searched for a bounded time (lineage-log.ts).
 *
 * Invariant: nothing is claimed that is not known. An event without a trace is `not_kept` only when it must have been
 * matched by now and such events are not all kept; else it waits, or is unknown.
 */
import type { Alert, NormalizedEvent } from '../../actors/event.ts';
import { alertLane } from '../../actors/forward/messages.ts';
import { senderParts } from '../../actors/ingest/origin.ts';
import { partitionOf } from '../../actors/ingest/partition.ts';
import { FRAME_RECORDS_MAX } from '../../actors/ingest/frame.ts';
import { uuidTimeMs } from '../../actors/ingest/uuid-v7.ts';
import { normalizeStored } from '../../actors/match/sample-event.ts';
import type { RuleRow } from '../../actors/ports.ts';
import type { EventsPort } from '../../gateways/admin/admin-port.ts';
import type { PartitionDocument } from '../../gateways/admin/documents.ts';
import type {
  EventLineageDocument,
  LineageAlertDocument,
  LineageDocument,
} from '../../gateways/admin/lineage-documents.ts';
import type { ExplainedRuleDocument } from '../../gateways/admin/rule-documents.ts';
import type { PostgresAlertOutbox } from '../../gateways/postgres/alert-outbox.ts';
import type { AuditLogEntry } from '../../gateways/postgres/audit-log.ts';
import type {
  FoundEvents,
  PostgresLineageLog,
  FoundRejects,
  StoredDeadLetter,
} from '../../gateways/postgres/lineage-log.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import { codeOf, kindOf } from '../../runtime/errors.ts';
import { auditLogDocument } from './documents.ts';
import { findInOutbox } from './find-in-outbox.ts';
import { findWaiting } from './find-waiting.ts';
import type { WaitingLook } from './find-waiting.ts';
import { alertState, pastOf } from './lineage-alert.ts';
import { stateOf } from './lineage-state.ts';
import { normalizedEventDocument } from './rule-trial-documents.ts';
import { aheadOf } from './set-aside.ts';

export interface LineagePortOptions {
  log: PostgresLineageLog;
  store: Pick<DurableStore, 'read' | 'partsLeft' | 'ledger' | 'listDelayed'>;
  outbox: Pick<PostgresAlertOutbox, 'find'>;
  partitions: number;
  clock: Clock;
  /** As it is now. */
  auditPolicy: () => 'none' | 'sample' | 'all';
  /** What is called so today; undefined when it is gone. */
  rule: (id: number) => Promise<(RuleRow & { name: string | null }) | undefined>;
  /** Rules in force that come near an event, the nearest first. */
  nearest: (event: NormalizedEvent, signal: AbortSignal) => Promise<ExplainedRuleDocument[]>;
  /** With what holds their mailboxes back. */
  partitionList: () => Promise<PartitionDocument[]>;
}

/** Of one request. */
const EVENTS_LISTED_MAX = 100;
/** Of one event; rules are asked for one by one. */
const MATCHES_NAMED_MAX = 20;
/** A clock may be ahead by so much. */
const FUTURE_MS_MAX = 300_000;
const ALERT_ID = /^[0-9a-f]{32}$/;
const EVENT_ID = /^([0-9a-f-]{36})-(\d{1,5})$/;

export function lineagePort(options: LineagePortOptions): EventsPort {
  return { trace: (id, signal) => new Tracer(options, signal).trace(id) };
}

type Stored = NonNullable<Awaited<ReturnType<PostgresLineageLog['decisionOn']>>>;
type EventLineage = Pick<LineageDocument, 'state' | 'explanation' | 'event'>;

class Tracer {
  readonly #options: LineagePortOptions;
  readonly #signal: AbortSignal;
  readonly #nowMs: number;

  constructor(options: LineagePortOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#nowMs = options.clock.wallMs();
  }

  async trace(id: string): Promise<LineageDocument> {
    if (eventIdParts(id) !== undefined)
      return this.#ofEvents(id, 'event', { eventIds: [id], isComplete: true });
    const { log } = this.#options;
    if (ALERT_ID.test(id)) {
      const found = await log.eventsOfAlert(id, this.#nowMs);
      if (found.eventIds.length > 0) return this.#ofEvents(id, 'alert', found);
      const ended = await this.#ofMetaAlert(id);
      if (ended !== undefined) return ended;
      // A request may be called so, too.
      const request = await this.#ofRequest(id);
      return request.state === 'unknown'
        ? unknownAlert(id, found.isComplete && request.is_complete)
        : request;
    }
    // Rejected events in quarantine whose frame could not be read have ids of another form.
    if ((await log.quarantineOf(id)) !== undefined) {
      return this.#ofEvents(id, 'event', { eventIds: [id], isComplete: true });
    }
    return this.#ofRequest(id);
  }

  /** An alert about what no rule matches is of no event; of one that has ended there is a receipt or a dead letter. */
  async #ofMetaAlert(id: string): Promise<LineageDocument | undefined> {
    const { log } = this.#options;
    const [letters, receipts] = await Promise.all([log.deadLettersOf([id]), log.receiptsOf([id])]);
    const [[letter], [receipt]] = [letters, receipts];
    const destination = (receipt ?? letter)?.destination;
    if (destination === undefined) return undefined;
    // It is in no mailbox that one would have to look at: it has ended, or its letter says what it is.
    const state = alertState(receipt, letter, { open: 0, dead: 0, untold: 0 });
    const alert = { alert_id: id, destination, state, ...pastOf(receipt, letter) };
    return { ...emptyAlert(id, true), ...stateOf({ kind: 'meta_alert', alert }) };
  }

  async #ofRequest(id: string): Promise<LineageDocument> {
    const { log } = this.#options;
    const [found, rejects] = await Promise.all([
      log.eventsOfCorrelation(id, EVENTS_LISTED_MAX + 1, this.#nowMs),
      log.rejectsOf(id, EVENTS_LISTED_MAX + 1),
    ]);
    const document = requestDocument(id, found, rejects);
    const [only] = found.events;
    if (found.events.length !== 1 || only === undefined || rejects.items.length > 0) return document;
    const { state, explanation, event } = await this.#ofEvent(only.eventId);
    return { ...document, state, explanation: `${document.explanation} ${explanation}`, event };
  }

  async #ofEvents(
    id: string,
    kind: LineageDocument['kind'],
    { eventIds, isComplete }: { eventIds: string[]; isComplete: boolean },
  ): Promise<LineageDocument> {
    const ways = await Promise.all(eventIds.slice(0, EVENTS_LISTED_MAX).map((each) => this.#ofEvent(each)));
    const events = ways.flatMap(({ event }) => {
      const audit = event?.audit ?? null;
      return audit === null ? [] : [listedEvent(audit)];
    });
    const base = { id, kind, rejects: [], is_complete: isComplete && eventIds.length <= EVENTS_LISTED_MAX };
    const [only] = ways;
    if (ways.length === 1 && only !== undefined) {
      return { ...base, events, state: only.state, explanation: only.explanation, event: only.event };
    }
    const explanation = `The alert is about ${ways.length} events: ask for each.`;
    return { ...base, events, state: 'several', explanation, event: null };
  }

  async #ofEvent(eventId: string): Promise<EventLineage> {
    return (await this.#ofEnded(eventId)) ?? this.#ofNoTrace(eventId);
  }

  /** Decided or set aside; undefined when it is neither. */
  async #ofEnded(eventId: string): Promise<EventLineage | undefined> {
    const { log } = this.#options;
    const [stored, quarantine] = await Promise.all([log.decisionOn(eventId), log.quarantineOf(eventId)]);
    if (stored !== undefined) return this.#ofDecision(stored);
    if (quarantine === undefined) return undefined;
    const { receivedAtMs, quarantinedAtMs, partition, reason, attempts, history } = quarantine;
    const event = blankEvent(eventId, receivedAtMs);
    event.partition = partition;
    event.quarantine = { reason, attempts, history, quarantined_at: time(quarantinedAtMs) };
    return { ...stateOf({ kind: 'quarantined', partition, reason, attempts }), event };
  }

  /** Neither decided nor set aside, as far as anything says. */
  async #ofNoTrace(eventId: string): Promise<EventLineage> {
    const { log, store, partitions, auditPolicy } = this.#options;
    const parts = eventIdParts(eventId);
    if (parts === undefined) return { ...stateOf({ kind: 'never' }), event: null };
    const { frameId, index, receivedAtMs } = parts;
    if (receivedAtMs > this.#nowMs + FUTURE_MS_MAX) return { ...stateOf({ kind: 'future' }), event: null };
    const all = Array.from({ length: partitions }, (_, partition) => partition);
    const look = await findWaiting(store, all, { frameId, receivedAtMs });
    if (look.found !== undefined && index >= look.found.records) {
      return { ...stateOf({ kind: 'never' }), event: null };
    }
    const event = blankEvent(eventId, receivedAtMs);
    if (look.found !== undefined || look.perhaps !== undefined) {
      event.waiting = waitingDocument(look);
      event.partition = look.found?.partition ?? null;
      return { ...stateOf({ kind: 'waiting', look }), event };
    }
    // It may have been decided, or set aside, between the two looks.
    const ended = await this.#ofEnded(eventId);
    if (ended !== undefined) return ended;
    const keptSinceMs = await log.keptSinceMs();
    if (keptSinceMs !== undefined && receivedAtMs < keptSinceMs) {
      return { ...stateOf({ kind: 'too_old', keptSinceMs }), event };
    }
    return { ...stateOf({ kind: 'no_trace', policy: auditPolicy() }), event };
  }

  async #ofDecision(stored: Stored): Promise<EventLineage> {
    const { partitions } = this.#options;
    const partition = partitionOf(stored.hostname, partitions);
    const read = readAgain(stored);
    const [alerts, matches, nearest] = await Promise.all([
      this.#alertsOf(stored, partition),
      this.#matchesOf(stored),
      this.#nearestTo(stored, read),
    ]);
    const event: EventLineageDocument = {
      ...blankEvent(stored.eventId, stored.receivedAtMs),
      partition,
      correlation_id: stored.correlationId,
      sender: senderDocument(stored.origin),
      audit: auditLogDocument(stored),
      normalized: read === undefined ? null : normalizedEventDocument(read),
      matches,
      nearest,
      alerts,
    };
    return { ...stateOf({ kind: 'decided', decision: stored.decision, alerts }), event };
  }

  /** Null when it cannot be said now: the rules are tried beside this, and the rest is known. */
  async #nearestTo(
    { decision }: Stored,
    event: NormalizedEvent | undefined,
  ): Promise<EventLineageDocument['nearest']> {
    if (event === undefined || decision !== 'Unmatched') return [];
    try {
      return await this.#options.nearest(event, this.#signal);
    } catch {
      return null;
    }
  }

  async #matchesOf({ matches }: AuditLogEntry): Promise<EventLineageDocument['matches']> {
    const known = matches.filter(isMatch);
    const today = await Promise.all(
      known.slice(0, MATCHES_NAMED_MAX).map(({ rule_id: id }) => this.#options.rule(id)),
    );
    return known.map((match, at) => ({
      ...match,
      name: today[at]?.name ?? null,
      current_version: today[at]?.version ?? null,
    }));
  }

  async #alertsOf(stored: AuditLogEntry, partition: number): Promise<LineageAlertDocument[]> {
    const { log, outbox, store } = this.#options;
    const { alerts } = stored;
    if (alerts.length === 0) return [];
    const ids = alerts.map(({ id }) => id);
    const open = await this.#openParts(stored, partition);
    const outside = await findInOutbox(outbox, store, open === 0 ? [] : ids);
    // Receipts last: what left its mailbox between the looks has left a receipt, or will be seen as open.
    const letters = new Map((await log.deadLettersOf(ids)).map((letter) => [letter.alertId, letter]));
    const receipts = new Map((await log.receiptsOf(ids)).map((receipt) => [receipt.alertId, receipt]));
    const mailboxes = receipts.size === ids.length ? [] : await this.#mailboxesOf(partition);
    const isOpen = (letter: StoredDeadLetter | undefined): boolean =>
      letter !== undefined && !['delivered', 'superseded', 'discarded'].includes(letter.state);
    const dead = ids.filter((id) => isOpen(letters.get(id)) && !receipts.has(id)).length;
    const untold = ids.filter((id) => !letters.has(id) && !receipts.has(id)).length;
    const describe = async (alert: (typeof alerts)[number]): Promise<LineageAlertDocument> => {
      const receipt = receipts.get(alert.id);
      const letter = letters.get(alert.id);
      const state = alertState(receipt, letter, { open, dead, untold });
      const mailbox = mailboxes.find((each) => each.mailbox === alertLane(alert.destination));
      return {
        alert_id: alert.id,
        destination: alert.destination,
        rule_id: alert.rule_id,
        state,
        ...pastOf(receipt, letter),
        mailbox:
          state !== 'waiting' || mailbox === undefined
            ? null
            : {
                depth: mailbox.depth,
                oldest_at: mailbox.oldest_at,
                paused: mailbox.paused?.detail ?? null,
                waits_behind: await this.#aheadOf(partition, alert),
              },
        outbox: state === 'waiting' ? (outside.get(alert.id) ?? null) : null,
      };
    };
    return Promise.all(alerts.map(describe));
  }

  /** How many alerts of an event have not ended; undefined when Redis does not say. */
  async #openParts(stored: AuditLogEntry, partition: number): Promise<number | undefined> {
    const { store } = this.#options;
    const { eventId, receivedAtMs, alerts } = stored;
    try {
      const frameId = eventIdParts(eventId)?.frameId ?? '';
      // The decision is stored before its alerts are: until then they are open, and nothing counts them.
      const look = await findWaiting(store, [partition], { frameId, receivedAtMs });
      if (look.found !== undefined) return alerts.length;
      const left = await store.partsLeft(partition, eventId);
      // Nothing counts them before their commit either, and that may be still to come.
      return left === 0 && look.perhaps !== undefined ? undefined : left;
    } catch (thrown) {
      if (kindOf(thrown) !== 'transient') throw thrown;
      return undefined;
    }
  }

  async #aheadOf(
    partition: number,
    alert: { id: string; destination: string; signature: string },
  ): Promise<string | null> {
    try {
      return (await aheadOf(this.#options.store, partition, alert)) ?? null;
    } catch (thrown) {
      if (kindOf(thrown) !== 'transient') throw thrown;
      return null;
    }
  }

  async #mailboxesOf(partition: number): Promise<PartitionDocument['mailboxes']> {
    try {
      const list = await this.#options.partitionList();
      return list.find((each) => each.partition === partition)?.mailboxes ?? [];
    } catch (thrown) {
      // Why it waits is told where that is known.
      if (kindOf(thrown) !== 'transient') throw thrown;
      return [];
    }
  }
}

/** The parts of an event's id; undefined for what is none. */
function eventIdParts(id: string): { frameId: string; index: number; receivedAtMs: number } | undefined {
  const [, frameId = '', digits = ''] = EVENT_ID.exec(id) ?? [];
  const receivedAtMs = uuidTimeMs(frameId);
  const index = Number(digits);
  if (receivedAtMs === undefined || index >= FRAME_RECORDS_MAX) return undefined;
  return { frameId, index, receivedAtMs };
}

function blankEvent(eventId: string, receivedAtMs: number): EventLineageDocument {
  return {
    event_id: eventId,
    received_at: time(receivedAtMs),
    partition: null,
    correlation_id: null,
    sender: null,
    waiting: null,
    audit: null,
    normalized: null,
    matches: [],
    nearest: [],
    alerts: [],
    quarantine: null,
  };
}

function requestDocument(id: string, found: FoundEvents, rejects: FoundRejects): LineageDocument {
  const events = found.events.slice(0, EVENTS_LISTED_MAX);
  const isWhole = found.events.length <= EVENTS_LISTED_MAX && rejects.items.length <= EVENTS_LISTED_MAX;
  const isComplete = found.isComplete && rejects.isComplete && isWhole;
  const listed = rejects.items.slice(0, EVENTS_LISTED_MAX);
  return {
    id,
    kind: 'correlation_id',
    ...stateOf({ kind: 'request', events: events.length, rejects: listed.length, isComplete }),
    event: null,
    events: events.map(({ eventId, receivedAtMs, hostname, decision }) => ({
      event_id: eventId,
      received_at: time(receivedAtMs),
      hostname,
      handling_decision: decision,
    })),
    rejects: listed.map((reject) => ({
      id: reject.id,
      received_at: time(reject.receivedAtMs),
      key: reject.keyName,
      sender: reject.sender,
      reason: reject.code,
      error: reject.message,
      state: reject.state,
    })),
    is_complete: isComplete,
  };
}

function unknownAlert(id: string, isComplete: boolean): LineageDocument {
  return { ...emptyAlert(id, isComplete), ...stateOf({ kind: 'unknown_alert', isComplete }) };
}

function emptyAlert(id: string, isComplete: boolean): Omit<LineageDocument, 'state' | 'explanation'> {
  return { id, kind: 'alert', event: null, events: [], rejects: [], is_complete: isComplete };
}

function listedEvent(audit: NonNullable<EventLineageDocument['audit']>): LineageDocument['events'][number] {
  const { event_id, received_at, hostname, handling_decision } = audit;
  return { event_id, received_at, hostname, handling_decision };
}

function waitingDocument({ found, perhaps }: WaitingLook): EventLineageDocument['waiting'] {
  const at = found ?? perhaps;
  if (at === undefined) return null;
  const { partition, lane, oldestReceivedAtMs } = at;
  return {
    partition,
    mailbox: lane,
    frames_before: found?.framesBefore ?? null,
    oldest_at: time(oldestReceivedAtMs),
  };
}

function senderDocument(origin: Stored['origin']): EventLineageDocument['sender'] {
  if (origin === undefined) return null;
  const { address, program, protocol } = senderParts(origin.sender);
  return { api_key: origin.apiKey, address: address === '' ? null : address, program, protocol };
}

/** An older program may have written them otherwise. */
function isMatch(
  match: unknown,
): match is { rule_id: number; rule_version: number; handling: Alert['decision'] } {
  if (typeof match !== 'object' || match === null) return false;
  const { rule_id: id, rule_version: version, handling } = match as Record<string, unknown>;
  return Number.isInteger(id) && Number.isInteger(version) && typeof handling === 'string';
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

/** As the program of today reads it; undefined when it cannot be read any more. */
function readAgain(stored: Stored): NormalizedEvent | undefined {
  try {
    return normalizeStored(stored).event;
  } catch (thrown) {
    if (codeOf(thrown) !== 'E_EVENT_UNREADABLE') throw thrown;
    return undefined;
  }
}
