/**
 * One run: a whole node under traffic with known ids, by requests and over WebSockets, harmed at the given
 * moments, healed, settled, and then audited against PostgreSQL and the destination directly.
 *
 * The books it checks: every event answered 200 has exactly one audit row, every unanswered one at most one, however
 * often those with an Idempotency-Key, or over WebSockets, were sent; the alerts of the audit rows are those at the
 * destination and, of those it refuses, the dead letters; the ledger balances and says the same; at the end everything
 * stops cleanly.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../supervisors/torture/random.ts';
import { NodeUnderTest, processesOf } from '../support/node-under-test.ts';
import { Sink } from '../support/sink.ts';
import { FaultInjector } from './faults.ts';
import type { FaultResult } from './faults.ts';
import { KnownSocketTraffic } from './known-socket-traffic.ts';
import { ALERT_TEXT, KnownTraffic, idIn } from './known-traffic.ts';
import { auditRows, deadLetters, metaAlerts } from './node-database.ts';

export interface KillRunOptions {
  seed: number;
  /** Does the harm while the traffic runs, which it does until this resolves. */
  harm: (injector: FaultInjector, traffic: KnownTraffic) => Promise<FaultResult[]>;
  eventsPerSecond?: number;
  /** More of the node's environment. */
  env?: NodeJS.ProcessEnv;
  /** Sees the node before it is started. */
  prepare?: (node: NodeUnderTest) => void;
}

export interface KillRunRow {
  seed: number;
  faults: FaultResult[];
  sent: number;
  /** Events that were sent again, with an Idempotency-Key: because no answer came, and though one had. */
  resent: { unanswered: number; answered: number };
  answered: number;
  unanswered: number;
  auditRows: number;
  /** Answered and without a row. */
  lost: number;
  /** Events sent by requests that have several rows. */
  doubled: number;
  /** Events that an ack covered. */
  socketAnswered: number;
  /** Connections of WebSockets that broke, and attempts in vain. */
  socketBreaks: number;
  /** Distinct alerts at the destination. */
  alerts: number;
  /** Alerts that the destination refuses for good, kept in PostgreSQL. */
  deadLetters: number;
  /** POSTs beyond the first of an alert: allowed, since delivering is at least once. */
  repeats: number;
  balanced: boolean;
  /** From a fault's end to the first 200 for a request sent after it. */
  recoveryMs: number[];
  settledMs: number;
  failedStarts: string[];
  /** Everything that is not as it must be; empty when the run is good. */
  wrong: string[];
}

const CONNECTIONS = 5;
/** Of them, those that send with an Idempotency-Key until they are answered. */
const RESENDING = 2;
const EVENTS_PER_SECOND = 1_500;
const SOCKET_SESSIONS = 8;
const SOCKET_EVENTS_PER_SECOND = 1_500;
const SETTLE_TIMEOUT_MS = 90_000;
const EXAMPLES_SHOWN = 5;
/** Of the alert that says how many others about what no rule matched wait. */
const FLOOD_SIGNATURE = 'mutt::unmatched::flood';
/** One alert in so many is refused by the destination, by its event: always the same ones. */
const REFUSED_ONE_IN = 20;

export async function killRun(options: KillRunOptions): Promise<KillRunRow> {
  const { seed } = options;
  const sink = await Sink.start();
  const node = await NodeUnderTest.prepare({ ...options.env, MUTT_AUDIT_UNMATCHED: 'all' });
  try {
    options.prepare?.(node);
    await node.start();
    await configure(node, sink);
    sink.judge = (body) => {
      const isTaken = sink.mode === 'take' || sink.mode === 'swallow';
      return isTaken && isRefused(String(body['description'])) ? 'refuse' : undefined;
    };
    const traffic = new KnownTraffic({
      url: `http://127.0.0.1:${node.ports.ingest}/api/v2/ingest`,
      key: node.ingestKey,
      connections: CONNECTIONS,
      resending: RESENDING,
      eventsPerSecond: options.eventsPerSecond ?? EVENTS_PER_SECOND,
      random: seededRandom(seed),
      name: `s${seed}`,
    });
    const sockets = new KnownSocketTraffic({
      url: `http://127.0.0.1:${node.ports.ingest}`,
      key: node.ingestKey,
      sessions: SOCKET_SESSIONS,
      eventsPerSecond: SOCKET_EVENTS_PER_SECOND,
      random: seededRandom(seed + 1),
      name: `w${seed}`,
    });
    const injector = new FaultInjector(node, sink);
    traffic.start();
    sockets.start();
    const faults = await options.harm(injector, traffic);
    // Long enough to see it take events again after the last fault.
    await injector.heal();
    await sleep(500);
    await Promise.all([traffic.stop(), sockets.stop()]);

    const healedMs = performance.now();
    const ledger = await node.settled(SETTLE_TIMEOUT_MS, async () => (await deadLetters(node.dir)).length);
    const settledMs = performance.now() - healedMs;
    const books = await audit(node, sink, traffic, sockets);
    const wrong = [...books.wrong, ...traffic.oddities, ...sockets.oddities];
    const expect = (what: string, actual: number, wanted: number): void => {
      if (actual !== wanted) wrong.push(`${what} is ${actual}, not ${wanted}`);
    };
    expect('the number of events over WebSockets without an ack', sockets.unanswered.length, 0);
    const { terminal } = ledger;
    expect('ledger.accepted', ledger.accepted, books.rows);
    expect('ledger.forwarded', terminal['forwarded'] ?? -1, books.rowsWithAlerts - books.deadLetters);
    expect('ledger.unmatched', terminal['unmatched'] ?? -1, books.rows - books.rowsWithAlerts);
    expect('ledger.lost', ledger.lost, 0);
    expect('ledger.in_flight', ledger.in_flight, books.deadLetters);
    expect('the exit code', (await node.stop()) ?? -1, 0);
    expect('what is left running', processesOf(node.dir).length, 0);
    return {
      seed,
      faults,
      sent: traffic.sent,
      resent: traffic.resent,
      answered: traffic.answered.size,
      unanswered: traffic.unanswered.size,
      auditRows: books.rows,
      lost: books.lost,
      doubled: books.doubled,
      socketAnswered: sockets.answered.length,
      socketBreaks: sockets.breaks,
      alerts: books.alerts,
      deadLetters: books.deadLetters,
      repeats: books.repeats,
      balanced: ledger.balanced,
      recoveryMs: faults.flatMap(({ overMs }) => traffic.recoveryMs(overMs) ?? []),
      settledMs,
      failedStarts: injector.failedStarts,
      wrong,
    };
  } finally {
    await node.close();
    await sink.close();
  }
}

async function configure(node: NodeUnderTest, sink: Sink): Promise<void> {
  const { status, body } = await node.admin('/api/v2/rule-set', {
    method: 'PUT',
    body: {
      rules: [
        {
          name: 'known',
          match_string: ALERT_TEXT,
          priority: 1,
          prod_handling: 'Page_and_ticket',
          dev_handling: 'Page_and_ticket',
          team_assignment: 'SPEC',
        },
      ],
      destinations: [
        {
          name: 'local',
          kind: 'moogsoft',
          url: sink.url,
          rate_per_second: 5_000,
          concurrency: 8,
          timeout_ms: 2_000,
          collapse: false,
        },
      ],
    },
  });
  if (status !== 200) throw new Error(`the rules are refused: ${status} ${JSON.stringify(body)}`);
  await node.whenApplied((body as { snapshot_version: number }).snapshot_version);
}

function isRefused(description: string): boolean {
  return Number(/\.(\d+);/.exec(description)?.[1]) % REFUSED_ONE_IN === 0;
}

interface Books {
  rows: number;
  rowsWithAlerts: number;
  lost: number;
  doubled: number;
  alerts: number;
  deadLetters: number;
  repeats: number;
  wrong: string[];
}

async function audit(
  node: NodeUnderTest,
  sink: Sink,
  traffic: KnownTraffic,
  sockets: KnownSocketTraffic,
): Promise<Books> {
  const rows = await auditRows(node.dir);
  const timesStored = new Map<string, number>();
  const decided = new Set<string>();
  const wrong: string[] = [];
  for (const { raw, alertIds } of rows) {
    const id = idIn(raw);
    if (id === undefined) wrong.push(`a row of nobody: ${raw.slice(0, 200)}`);
    else timesStored.set(id, (timesStored.get(id) ?? 0) + 1);
    for (const alertId of alertIds) decided.add(alertId);
  }
  for (const id of await metaAlerts(node.dir)) decided.add(id);
  const answered = new Set([...traffic.answered, ...sockets.answered]);
  const sent = new Set([...answered, ...traffic.unanswered, ...sockets.unanswered]);
  const lost = [...answered].filter((id) => !timesStored.has(id));
  const doubled = [...timesStored].filter(([, times]) => times > 1).map(([id]) => id);
  const strange = [...timesStored.keys()].filter((id) => !sent.has(id));
  // How often there were too many to tell them one by one has no row.
  const own = sink.received.filter(({ body }) => body['signature'] !== FLOOD_SIGNATURE);
  const delivered = new Set(own.map(({ body }) => String(body.custom_info?.alert_id)));
  const dead = await deadLetters(node.dir);
  const undelivered = [...decided].filter((id) => !delivered.has(id) && !dead.includes(id));
  const undecided = [...delivered].filter((id) => !decided.has(id));
  const complain = (what: string, ids: string[]): void => {
    if (ids.length > 0) wrong.push(`${ids.length} ${what}: ${ids.slice(0, EXAMPLES_SHOWN).join(' ')}`);
  };
  complain('answered events have no row', lost);
  complain('events have several rows', doubled);
  complain('rows are of events never sent', strange);
  complain('alerts never came to the destination', undelivered);
  complain(
    'dead letters are of delivered alerts',
    dead.filter((id) => delivered.has(id)),
  );
  complain(
    'dead letters are in no row',
    dead.filter((id) => !decided.has(id)),
  );
  complain('alerts at the destination are in no row', undecided);
  return {
    rows: rows.length,
    rowsWithAlerts: rows.filter(({ alertIds }) => alertIds.length > 0).length,
    lost: lost.length,
    doubled: doubled.length,
    alerts: delivered.size,
    deadLetters: dead.length,
    repeats: own.length - delivered.size,
    wrong,
  };
}
