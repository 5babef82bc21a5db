/**
 * A torture: two nodes under traffic that is known event by event, everything in and around them harmed by the schedule of
 * a seed, healed, settled, stopped, and then held against what was sent. This process is the oracle; nobody harms it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../runtime/errors.ts';
import { AuditBooks, LetterBooks } from './audit-books.ts';
import { EventSet } from './event-set.ts';
import type { FaultKind } from './faults/fault.ts';
import { measureParts } from './growth.ts';
import { harm } from './harming.ts';
import { knownEventIn } from './known-event.ts';
import type { Ledger } from './node-process.ts';
import { seededRandom } from './random.ts';
import { Recoveries } from './recovery.ts';
import type { KindReport } from './recovery.ts';
import { Rig } from './rig.ts';
import { scheduleOf } from './schedule.ts';
import type { PlannedFault } from './schedule.ts';
import { heal, refusedBy, settle } from './settling.ts';
import { TortureTraffic } from './torture-traffic.ts';
import { judge } from './verdict.ts';
import type { Finding } from './finding.ts';
import type { RunRecord } from './run-record.ts';

export interface TortureOptions {
  seed: number;
  /** Whichever comes first ends the harm. */
  faultsMax: number;
  durationMs: number;
  kinds: readonly FaultKind[];
  eventsPerSecond: number;
  isKept: boolean;
  signal: AbortSignal;
  /** Told what is done now, for a person who waits. */
  say: (text: string) => void;
  onFault: (fault: PlannedFault) => void;
}

export interface TortureReport {
  seed: number;
  /** Of what lasted as long as the harm. */
  harmedMs: number;
  injected: number;
  kinds: KindReport[];
  /** Kinds that cannot be had on this machine, with why. */
  impossible: { kind: string; why: string }[];
  sent: number;
  answered: number;
  alerts: Record<string, number>;
  /** POSTs of an alert beyond its first: allowed, since delivering is at least once. */
  repeats: number;
  deadLetters: number;
  /** Alerts of MUTT about itself. */
  ownAlerts: number;
  statuses: Record<string, number>;
  socketBreaks: number;
  restarts: Record<string, number>;
  settledMs: number;
  wrong: Pick<Finding, 'kind' | 'where' | 'what' | 'count' | 'examples'>[];
  /** Where the data of a run that went wrong are. */
  keptIn: string | null;
}

const WARM_UP_MS = 3_000;
const LAST_TRAFFIC_MS = 1_000;
const SETTLE_MS = 240_000;
const QUIET_MS = 2_000;

/** Undefined when it was interrupted; nothing is left then. */
export async function torture(options: TortureOptions): Promise<TortureReport | undefined> {
  const { seed, signal, say } = options;
  const rig = await Rig.start({ random: seededRandom(seed ^ 0x2545f491), signal, say });
  const run = new TortureRun(options, rig);
  try {
    return await run.go();
  } catch (thrown) {
    run.abandon();
    await rig.breakOff({ isKept: options.isKept || !signal.aborted });
    if (signal.aborted) return undefined;
    const where = rig.directory.path('');
    throw new Error(`the torture broke off: ${messageOf(thrown)}; data and logs: ${where}`, {
      cause: thrown,
    });
  }
}

class TortureRun {
  readonly #options: TortureOptions;
  readonly #rig: Rig;
  readonly #traffic: TortureTraffic;
  readonly #recoveries: Recoveries;
  readonly #wrong: Finding[] = [];

  constructor(options: TortureOptions, rig: Rig) {
    this.#options = options;
    this.#rig = rig;
    this.#traffic = new TortureTraffic({
      nodes: rig.nodes,
      key: () => rig.ingestKey,
      eventsPerSecond: options.eventsPerSecond,
      random: seededRandom(options.seed),
    });
    this.#recoveries = new Recoveries(options.kinds.map(({ name }) => name));
  }

  async go(): Promise<TortureReport | undefined> {
    const { signal, say, kinds, seed, faultsMax, durationMs, onFault } = this.#options;
    const rig = this.#rig;
    const traffic = this.#traffic;
    const before = await this.#ledgers();
    traffic.start();
    say('traffic runs; harm begins');
    await sleep(WARM_UP_MS, undefined, { signal }).catch(() => undefined);
    const begin = measureParts(rig.nodes, rig.postgres);
    const possible = kinds.filter(({ impossible }) => impossible?.() === undefined);
    const startedMs = performance.now();
    const unwell = await harm({
      rig,
      traffic,
      recoveries: this.#recoveries,
      schedule: scheduleOf(
        possible,
        rig.nodes.map(({ name }) => name),
        seed,
      ),
      faultsMax: possible.length === 0 ? 0 : faultsMax,
      untilMs: startedMs + durationMs,
      signal,
      onFault,
    });
    const harmedMs = performance.now() - startedMs;
    if (signal.aborted) return this.#breakOff();
    say('healing');
    this.#note('recovery', 'nodes', 'faults from which it did not recover', unwell);
    // What does not get well is told with all the rest.
    await heal(rig).catch((thrown: unknown) =>
      this.#note('recovery', 'nodes', 'things that cannot be made well', [messageOf(thrown)]),
    );
    await sleep(LAST_TRAFFIC_MS);
    await traffic.stop();
    if (signal.aborted) return this.#breakOff();
    say('settling: what waits is delivered, dead letters heal by themselves');
    const { ledgers, isSettled, settledMs } = await settle(rig, SETTLE_MS, signal);
    if (signal.aborted) return this.#breakOff();
    if (!isSettled)
      this.#note('ledger', 'nodes', `are not settled within ${SETTLE_MS} ms`, [...ledgers].map(inFlightOf));
    await sleep(QUIET_MS);
    const end = measureParts(rig.nodes, rig.postgres);
    say('stopping and reading the books');
    for (const node of rig.nodes)
      await node.end().catch((thrown: unknown) => node.badStops.push(messageOf(thrown)));
    this.#note(
      'stop',
      'nodes',
      'clean stops that were none',
      rig.nodes.flatMap(({ badStops }) => badStops),
    );
    this.#note('traffic', 'replies', 'what no reply may say', traffic.oddities);
    const record = await this.#record(before, ledgers, { begin, end });
    this.#wrong.push(...judge(record));
    return this.#finish(record, { harmedMs, settledMs });
  }

  /** Senders end at once. */
  abandon(): void {
    this.#traffic.abandon();
  }

  async #breakOff(): Promise<undefined> {
    this.#options.say('breaking off: everything is stopped and removed');
    this.abandon();
    await this.#rig.breakOff({ isKept: this.#options.isKept });
    return undefined;
  }

  #note(kind: string, where: string, what: string, lines: readonly string[]): void {
    if (lines.length === 0) return;
    this.#wrong.push({
      kind: kind as Finding['kind'],
      where,
      what,
      count: lines.length,
      examples: lines.slice(0, 5),
    });
  }

  async #ledgers(): Promise<Map<string, Ledger>> {
    const read = this.#rig.nodes.map(async (node): Promise<[string, Ledger]> => [
      node.name,
      await node.ledger(),
    ]);
    return new Map(await Promise.all(read));
  }

  async #record(
    before: ReadonlyMap<string, Ledger>,
    after: ReadonlyMap<string, Ledger>,
    growth: RunRecord['growth'],
  ): Promise<RunRecord> {
    const rig = this.#rig;
    const { oracle } = rig.postgres;
    const audit = new AuditBooks();
    for await (const row of oracle.decisions()) {
      const { raw_message: raw, handling_decision: decision, alerts, received_ms: receivedMs } = row;
      audit.add({ raw, decision, alerts, receivedMs });
    }
    const letters = new LetterBooks();
    for await (const { destination, description, state } of oracle.letters())
      letters.add({ destination, description, state });
    const quarantined = new EventSet();
    for (const { body } of await oracle.quarantined()) {
      const event = knownEventIn(body.toString('utf8'));
      if (event !== undefined) quarantined.add(event);
    }
    const losses = await oracle.losses();
    return {
      sent: this.#traffic.sent,
      answered: this.#traffic.answered,
      audit,
      quarantined,
      letters,
      destinations: (['strict', 'latest', 'calm'] as const).map((name) => ({
        name,
        received: rig.destinations[name].received,
        oddities: rig.destinations[name].oddities,
        mayEndUnsent: name === 'latest',
        refused: refusedBy(rig, name),
      })),
      nodes: rig.nodes.flatMap(({ name }) => {
        const [first, last] = [before.get(name), after.get(name)];
        return first === undefined || last === undefined
          ? []
          : [{ name, before: { alerts: {}, ...first }, after: { alerts: {}, ...last } }];
      }),
      witness: losses.map(({ store, partition, from_sequence: from, to_sequence: to }) => ({
        node: store,
        partition,
        acknowledged: to,
        accepted: from - 1,
      })),
      growth,
      leftovers: { processes: [], files: [] },
      isOrdered: (host) => this.#traffic.isOrdered(host),
    };
  }

  async #finish(
    { audit, destinations, letters }: RunRecord,
    { harmedMs, settledMs }: { harmedMs: number; settledMs: number },
  ): Promise<TortureReport> {
    const { seed, kinds, isKept } = this.#options;
    const rig = this.#rig;
    await rig.postgres.stop();
    const left = rig.directory.processes().map((pid) => `process ${pid}`);
    this.#note('left over', 'ports', 'are still listened on', await rig.openPorts());
    this.#note('left over', 'processes', 'run on after everything was stopped', left);
    const isBad = this.#wrong.length > 0;
    await rig.close({ isKept: isKept || isBad });
    const received = destinations.map((destination) => destination.received);
    return {
      seed,
      harmedMs: Math.round(harmedMs),
      injected: this.#recoveries.injected,
      kinds: this.#recoveries.report(),
      impossible: kinds.flatMap(({ name, impossible }) => {
        const why = impossible?.();
        return why === undefined ? [] : [{ kind: name, why }];
      }),
      sent: this.#traffic.sent.size,
      answered: this.#traffic.answered.size,
      alerts: Object.fromEntries(destinations.map(({ name, received: { size } }) => [name, size])),
      repeats: received.reduce((sum, { repeats }) => sum + repeats, 0),
      deadLetters: audit.destinations.reduce((sum, name) => sum + letters.at(name).all.size, 0),
      ownAlerts: rig.destinations.own.received.own,
      statuses: this.#traffic.statuses,
      socketBreaks: this.#traffic.socketBreaks,
      restarts: {
        ...Object.fromEntries(rig.nodes.map(({ name, restarts }) => [name, restarts])),
        postgres: rig.postgres.restarts,
      },
      settledMs: Math.round(settledMs),
      wrong: this.#wrong,
      keptIn: isKept || isBad ? rig.directory.path('') : null,
    };
  }
}

function inFlightOf([name, { in_flight: inFlight, balanced }]: [string, Ledger]): string {
  return `${name}: ${inFlight} in flight, ${balanced ? 'balanced' : 'NOT balanced'}`;
}
