/**
 * `mutt trace`: where an event went, as the node tells it: when and from whom it was received, how it was read, what
 * matched, and what became of each alert.
 */
import type { Command } from 'commander';
import { seconds } from './changes.ts';
import { examples, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { counted, cut, paletteFor, printable } from './terminal-text.ts';
import { waiting } from './waiting.ts';
import { ruleText } from './rule-documents.ts';
import type { ExplainedRule } from './rule-documents.ts';
import { explanation } from './tested-events.ts';

interface TraceOptions extends AdminOptions {
  json?: boolean;
}

interface TracedAlert {
  alert_id: string;
  destination: string;
  rule_id: number;
  state: string;
  receipt: { status: number; attempts: number; delivered_at: string } | null;
  /** Absent from an older node. */
  unsent?: { reason: string; at: string } | null;
  /** `ended_at` is absent from an older node. */
  dead_letter: {
    reason: string;
    error: string;
    attempts: number;
    last_failed_at: string;
    ended_at?: string | null;
  } | null;
  mailbox: { depth: number; paused: string | null } | null;
  /** Absent from an older node. */
  outbox?: { alerts_before: number; since: string } | null;
}
interface TracedEvent {
  event_id: string;
  received_at: string;
  partition: number | null;
  correlation_id: string | null;
  sender: { api_key: string; address: string | null; program: string; protocol: string } | null;
  audit: {
    handling_decision: string;
    environment: string;
    team: string | null;
    rule_set_version: number;
    raw_message: string;
  } | null;
  normalized: Record<string, unknown> | null;
  matches: {
    rule_id: number;
    rule_version: number;
    handling: string;
    name: string | null;
    current_version: number | null;
  }[];
  nearest: ExplainedRule[] | null;
  alerts: TracedAlert[];
  quarantine: { quarantined_at: string; history: string[] } | null;
}
interface ListedEvent {
  event_id: string;
  received_at: string;
  hostname: string;
  handling_decision: string;
}
interface ListedReject {
  id: string;
  received_at: string;
  reason: string;
  error: string;
  state: string;
}
/** What the node says; more than is shown here is passed over. */
interface Traced {
  id: string;
  kind: string;
  state: string;
  explanation: string;
  event: TracedEvent | null;
  events: ListedEvent[];
  rejects: ListedReject[];
}

/** One line of the way; without a time where it has none of its own. */
interface Step {
  at: string;
  what: string;
  text: string;
}

/** It may search back through time; each search ends by itself. */
const TIMEOUT_MS = 30_000;
const TEXT_CHARS_MAX = 400;
const WHAT_WIDTH = 11;
const GOOD_STATES: ReadonlySet<string> = new Set(['forwarded', 'handled', 'unmatched', 'not_kept']);

async function trace(context: CliContext, id: string, options: TraceOptions): Promise<number> {
  const traced = await withAdminClient(context, options, (admin) =>
    waiting(
      context,
      'looking for it',
      admin.read<Traced>(`/api/v2/events/${encodeURIComponent(id)}`, {}, context.signal, TIMEOUT_MS),
    ),
  );
  if (options.json === true) writeJson(context, traced);
  else show(context, traced);
  return traced.state === 'unknown' ? EXIT.notGood : EXIT.ok;
}

function show(context: CliContext, traced: Traced): void {
  const { stdout } = context.io;
  const paint = paletteFor(context);
  const { kind, id, state, explanation, event, events, rejects } = traced;
  const colour = state === 'unknown' ? paint.boldRed : GOOD_STATES.has(state) ? paint.green : paint.yellow;
  stdout.write(`${kind.replaceAll('_', ' ')} ${printable(id)}  ${colour(state.replaceAll('_', ' '))}\n`);
  stdout.write(`${printable(explanation)}\n`);
  if (event !== null) {
    const width = Math.max(0, ...stepsOf(event).map(({ at }) => at.length));
    const lines = stepsOf(event).map(
      ({ at, what, text }) => `${at.padEnd(width)}  ${what.padEnd(WHAT_WIDTH)} ${shown(text)}`,
    );
    stdout.write(`\n${lines.join('\n')}\n`);
    return;
  }
  if (events.length > 0) {
    stdout.write('\n');
    writeTable(context, EVENT_COLUMNS, events);
  }
  if (rejects.length > 0) {
    stdout.write('\n');
    writeTable(context, REJECT_COLUMNS, rejects);
  }
}

function stepsOf(event: TracedEvent): Step[] {
  const { event_id: id, received_at: at, partition, correlation_id: request, audit, quarantine } = event;
  const place = [
    partition === null ? '' : `partition ${partition}`,
    request === null ? '' : `request ${request}`,
  ].filter((part) => part !== '');
  return [
    step(at, 'received', [id, ...place].join(', ')),
    ...(event.sender === null ? [] : [step('', 'from', senderText(event.sender))]),
    ...(event.normalized === null ? [] : [step('', 'read as', normalizedText(event.normalized))]),
    ...(audit === null ? [] : decisionSteps(event, audit)),
    ...(event.nearest ?? []).map((rule) => step('', 'nearest', `${explanation(rule)} (as it is now)`)),
    ...event.alerts.flatMap(alertSteps),
    ...(quarantine === null
      ? []
      : [
          step(quarantine.quarantined_at, 'quarantined', `mutt failures show ${id} has its bytes`),
          ...quarantine.history.map((line) => step('', '', line)),
        ]),
  ];
}

function step(at: string, what: string, text: string): Step {
  return { at, what, text };
}

function shown(text: string): string {
  return cut(printable(text), TEXT_CHARS_MAX);
}

function senderText({ api_key, address, program, protocol }: NonNullable<TracedEvent['sender']>): string {
  const by = program === 'unknown' ? '' : ` by ${program}`;
  return `${address ?? 'an unknown address'}${by}, ${protocol}, API key ${api_key}`;
}

function normalizedText({ message, ...fields }: Record<string, unknown>): string {
  const told = Object.entries(fields).flatMap(([name, value]) => {
    if (value === null || value === false || typeof value === 'object') return [];
    return [`${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`];
  });
  return [...told, JSON.stringify(message)].join(', ');
}

function decisionSteps(event: TracedEvent, audit: NonNullable<TracedEvent['audit']>): Step[] {
  const { handling_decision: decision, environment, team, rule_set_version: version } = audit;
  const of = team === null ? '' : `, team ${team}`;
  return [
    ...event.matches.map((match) => step('', 'matched', matchText(match))),
    step('', 'decided', `${decision} (${environment}${of}, rule set ${version})`),
  ];
}

function matchText(match: TracedEvent['matches'][number]): string {
  const { rule_id: id, rule_version: version, name, current_version: current, handling } = match;
  const today = current === null ? ', gone since' : current === version ? '' : `, today v${current}`;
  return `${ruleText({ rule_id: id, name })} v${version}${today}: ${handling}`;
}

function alertSteps(alert: TracedAlert): Step[] {
  const { alert_id, destination, state, receipt, unsent, dead_letter, mailbox } = alert;
  const named = `${destination}, alert ${alert_id}`;
  if (receipt !== null) {
    const tries = counted(receipt.attempts, 'attempt');
    return [step(receipt.delivered_at, 'delivered', `${named}: HTTP ${receipt.status} after ${tries}`)];
  }
  if (dead_letter !== null) {
    const { last_failed_at, ended_at, reason, error } = dead_letter;
    const refused = step(last_failed_at, 'dead letter', `${named}: ${reason}, ${error}`);
    if (state === 'superseded') {
      return [
        refused,
        step(ended_at ?? '', 'superseded', `${named}: a later alert of its signature was taken`),
      ];
    }
    if (state === 'discarded') {
      return [refused, step(ended_at ?? '', 'discarded', `${named}: somebody threw it away`)];
    }
    if (state === 'delivered')
      return [refused, step(ended_at ?? '', 'delivered', `${named}: its receipt is not stored, or not yet`)];
    return state === 'waiting' ? [refused, step('', 'waits for', `${named}, once more`)] : [refused];
  }
  if (unsent !== undefined && unsent !== null)
    return [step(unsent.at, state, `${named}: ${unsent.reason}, not sent`)];
  if (state === 'delivered')
    return [step('', 'delivered', `${named}: its receipt is not stored, or not yet`)];
  const paused = mailbox?.paused ?? null;
  const why = paused === null ? '' : `: ${paused}`;
  if (alert.outbox !== undefined && alert.outbox !== null) {
    const { alerts_before: before, since } = alert.outbox;
    const where = `in the outbox, behind ${counted(before, 'alert')}, since its mailbox is full`;
    return [step(since, 'waits for', `${named}, ${where}${why}`)];
  }
  const depth = mailbox === null ? '' : `, ${counted(mailbox.depth, 'alert')} in its mailbox`;
  return [step('', state === 'waiting' ? 'waits for' : 'unknown', `${named}${depth}${why}`)];
}

const EVENT_COLUMNS: readonly Column<ListedEvent>[] = [
  { head: 'received', cell: ({ received_at: at }) => seconds(at) },
  { head: 'event', cell: ({ event_id: id }) => id },
  { head: 'host', cell: ({ hostname }) => hostname, shrinks: true },
  { head: 'decision', cell: ({ handling_decision: decision }) => decision },
];
const REJECT_COLUMNS: readonly Column<ListedReject>[] = [
  { head: 'received', cell: ({ received_at: at }) => seconds(at) },
  { head: 'reject', cell: ({ id }) => id },
  { head: 'state', cell: ({ state }) => state },
  { head: 'code', cell: ({ reason }) => reason },
  { head: 'why', cell: ({ error }) => error, shrinks: true },
];

export function addTrace(program: Command, context: CliContext, acts: Acts): void {
  withAdmin(
    program
      .command('trace')
      .description('show where an event went, by its id, that of one of its alerts, or of its request')
      .argument('<id>', 'event id, alert id, or correlation id'),
  )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples([
        'mutt trace 018f3e2a-7b1c-7d5e-9f00-1234567890ab-3',
        'mutt trace 5d41402abc4b2a76b9719d911017c592',
        "mutt trace $(mutt audit events --host core-rtr-01 --limit 1 --json | jq -r '.[0].event_id')",
      ]) + '\nExit code: 0 something is known of it, 1 nothing is.\n',
    )
    .action(acts((id: string, options: TraceOptions) => trace(context, id, options)));
}
