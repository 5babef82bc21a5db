/** A recorded run of a torture as plain lists, so that specs can spoil it before it is judged. */
import { OWN_RULE_ID, TERMINAL_STATES, UNMATCHED_RULE_ID } from '../../../actors/event.ts';
import { AuditBooks, LetterBooks } from '../../../supervisors/torture/audit-books.ts';
import type { AuditedEvent, KeptLetter } from '../../../supervisors/torture/audit-books.ts';
import { EventSet } from '../../../supervisors/torture/event-set.ts';
import { Examples } from '../../../supervisors/torture/examples.ts';
import type { Finding } from '../../../supervisors/torture/finding.ts';
import { knownText, nameOf } from '../../../supervisors/torture/known-event.ts';
import type { KnownEvent } from '../../../supervisors/torture/known-event.ts';
import { ReceivedAlerts } from '../../../supervisors/torture/received-alerts.ts';
import type { PostedAlert } from '../../../supervisors/torture/received-alerts.ts';
import type { GrowthFigures, LedgerFigures, RunRecord } from '../../../supervisors/torture/run-record.ts';
import { judge } from '../../../supervisors/torture/verdict.ts';

type Post = PostedAlert & { body: string };
interface Ledger extends LedgerFigures {
  terminal: Record<string, number>;
  alerts: { superseded: number; suppressed: number };
  partitions: { partition: number; balanced: boolean; problems: string[] }[];
}

const HOSTS = ['h0', 'h1', 'roaming'];
const EVENTS_PER_HOST = 40;
/** One in so many becomes an alert. */
export const ALERT_EVERY = 4;
export const PLACES = ['strict', 'latest'] as const;
type Place = (typeof PLACES)[number];

/** Clean as it is made: whatever can rightly happen has happened in it. */
export class RecordedRun {
  sent: KnownEvent[] = [];
  answered: KnownEvent[] = [];
  rows: AuditedEvent[] = [];
  quarantined: KnownEvent[] = [];
  letters: KeptLetter[] = [];
  posts: Record<Place, Post[]> = { strict: [], latest: [] };
  refused: Record<Place, number> = { strict: 3, latest: 0 };
  oddities: Record<Place, string[]> = { strict: [], latest: [] };
  ledgers: { name: string; before: Ledger; after: Ledger }[] = [];
  witness = [{ node: 'node-1', partition: 3, acknowledged: 100, accepted: 100 }];
  begin = new Map<string, GrowthFigures>();
  end = new Map<string, GrowthFigures>();
  processes: string[] = [];
  files: string[] = [];
  alertsMax = 1_000;
  isOrdered = (host: string): boolean => host !== 'roaming';

  constructor() {
    for (const host of HOSTS) {
      for (let sequence = 0; sequence < EVENTS_PER_HOST; sequence++) this.#send({ host, sequence });
    }
    // Never answered: 2 of h0 was not stored, 4 was, and its alert came late.
    const [unstored, unanswered] = [event('h0', 2), event('h0', 4)];
    this.answered = this.answered.filter((each) => !isOneOf(each, unstored, unanswered));
    this.rows = this.rows.filter(({ raw }) => !raw.includes(knownText(unstored, false)));
    this.move('strict', unanswered, event('h0', 8));
    // Of a host whose events go to two nodes.
    this.move('strict', event('roaming', 4), event('roaming', 8));
    // Taken, and the answer lost: it comes again, also after later ones.
    this.posts.strict.push(...this.of('strict', event('h1', 8)), ...this.of('strict', event('h1', 0)));
    // Refused for good: one letter waits, one was superseded when it was replayed, one was delivered, late.
    for (const [sequence, state] of [
      [12, 'kept'],
      [16, 'superseded'],
      [20, 'delivered'],
    ] as const) {
      const posts = this.of('strict', event('h1', sequence));
      this.without('strict', event('h1', sequence));
      if (state === 'delivered') this.posts.strict.push(...posts);
      this.letters.push({ destination: 'strict', description: textOf(event('h1', sequence)), state });
    }
    // A backlog was collapsed: the later one speaks for it, once with its count and, after a crash, without.
    this.without('latest', event('h0', 12));
    const [later] = this.of('latest', event('h0', 16));
    if (later === undefined) throw new Error('there is no such post');
    this.posts.latest.push({ ...later, body: later.body.replace('"count":1', '"count":2') });
    // It broke its handler.
    this.quarantined = [event('h1', 3)];
    this.rows = this.rows.filter(({ raw }) => !raw.includes(knownText(event('h1', 3), false)));
    // Of MUTT itself, and of what no rule matches.
    for (const ruleId of [OWN_RULE_ID, UNMATCHED_RULE_ID])
      this.posts.strict.push({ ...later, ruleId, description: 'of no event', body: '{}' });
    this.ledgers = [
      { name: 'node-1', ...this.#ledger() },
      { name: 'node-2', before: emptyLedger(), after: emptyLedger() },
    ];
    const figures = { memoryBytes: 4e8, threads: 20, openFiles: 100, connections: 30 };
    this.begin.set('node-1 gateway-0', figures);
    this.end.set('node-1 gateway-0', { memoryBytes: 5e8, threads: 22, openFiles: 120, connections: 40 });
    // Started meanwhile.
    this.end.set('node-1 gateway-1', figures);
  }

  of(place: Place, { host, sequence }: KnownEvent): Post[] {
    return this.posts[place].filter(({ alertId }) => alertId === `${host}-${sequence}-${place}`);
  }

  without(place: Place, { host, sequence }: KnownEvent): void {
    this.posts[place] = this.posts[place].filter(({ alertId }) => alertId !== `${host}-${sequence}-${place}`);
  }

  /** Its posts come behind those of the other. */
  move(place: Place, which: KnownEvent, behind: KnownEvent): void {
    const moved = this.of(place, which);
    this.without(place, which);
    const at = this.posts[place].findIndex(
      ({ alertId }) => alertId === `${behind.host}-${behind.sequence}-${place}`,
    );
    this.posts[place].splice(at + 1, 0, ...moved);
  }

  row(which: KnownEvent): AuditedEvent {
    const row = this.rows.find(({ raw }) => raw.includes(knownText(which, false)));
    if (row === undefined) throw new Error(`no row of ${nameOf(which)}`);
    return row;
  }

  dropRow(which: KnownEvent): void {
    const row = this.row(which);
    this.rows = this.rows.filter((each) => each !== row);
  }

  repeat(place: Place, which: KnownEvent, fields: Partial<Post>): void {
    const [post] = this.of(place, which);
    if (post === undefined) throw new Error(`no alert of ${nameOf(which)}`);
    this.posts[place].push({ ...post, ...fields });
  }

  get ledger(): Ledger {
    const [first] = this.ledgers;
    if (first === undefined) throw new Error('no node');
    return first.after;
  }

  judge(): Finding[] {
    const audit = new AuditBooks();
    for (const row of this.rows) audit.add(row);
    const letters = new LetterBooks();
    for (const letter of this.letters) letters.add(letter);
    const record: RunRecord = {
      sent: setOf(this.sent),
      answered: setOf(this.answered),
      audit,
      quarantined: setOf(this.quarantined),
      letters,
      destinations: PLACES.map((name) => {
        const received = new ReceivedAlerts({ collapses: name === 'latest', alertsMax: this.alertsMax });
        this.posts[name].forEach((post, atMs) => received.take(post, post.body, atMs));
        const oddities = new Examples();
        for (const text of this.oddities[name]) oddities.add(() => text);
        return { name, received, oddities, mayEndUnsent: name === 'latest', refused: this.refused[name] };
      }),
      nodes: this.ledgers,
      witness: this.witness,
      growth: { begin: this.begin, end: this.end },
      leftovers: { processes: this.processes, files: this.files },
      isOrdered: this.isOrdered,
    };
    return judge(record);
  }

  #send(which: KnownEvent): void {
    this.sent.push(which);
    this.answered.push(which);
    const isAlert = which.sequence % ALERT_EVERY === 0;
    const alerts = isAlert
      ? PLACES.map((place) => ({ id: `${which.host}-${which.sequence}-${place}`, destination: place }))
      : [];
    this.rows.push({
      raw: textOf(which),
      decision: isAlert ? 'Page_only' : 'Unmatched',
      alerts,
      receivedMs: which.sequence,
    });
    for (const { id, destination } of alerts) {
      const [signature, description] = [which.host, textOf(which)];
      const post = { alertId: id, dedupKey: `key of ${id}`, signature, ruleId: 1, description };
      this.posts[destination].push({ ...post, body: JSON.stringify({ ...post, count: 1 }) });
    }
  }

  #ledger(): { before: Ledger; after: Ledger } {
    const unmatched = this.rows.filter(({ decision }) => decision === 'Unmatched').length;
    const before = { ...emptyLedger(), accepted: 7, terminal: { ...emptyLedger().terminal, unmatched: 7 } };
    const after = emptyLedger();
    after.accepted = 7 + this.rows.length + this.quarantined.length;
    after.in_flight = 1;
    // The last alert of an event says how it ended: of two that ended otherwise, one was also sent.
    const forwarded = this.rows.length - unmatched - 2;
    Object.assign(after.terminal, { unmatched: unmatched + 7, forwarded, superseded: 1, quarantined: 1 });
    after.alerts.superseded = 2;
    return { before, after };
  }
}

function emptyLedger(): Ledger {
  return {
    accepted: 0,
    replayed: 0,
    terminal: Object.fromEntries(TERMINAL_STATES.map((state) => [state, 0])),
    in_flight: 0,
    balanced: true,
    lost: 0,
    alerts: { superseded: 0, suppressed: 0 },
    partitions: [{ partition: 3, balanced: true, problems: [] }],
  };
}

export function event(host: string, sequence: number): KnownEvent {
  return { host, sequence };
}

export function textOf(which: KnownEvent): string {
  return knownText(which, which.sequence % ALERT_EVERY === 0);
}

export function isOneOf(which: KnownEvent, ...others: KnownEvent[]): boolean {
  return others.some((other) => nameOf(other) === nameOf(which));
}

function setOf(events: readonly KnownEvent[]): EventSet {
  const set = new EventSet();
  set.addAll(events);
  return set;
}
