/**
 * The audit alone, on a private PostgreSQL: decisions stored through the audit store, first, again and half of them again,
 * beside COPY of the same rows in the same run, into the same table and into one without any index.
 *
 * CPU is that of this process and of the server with all its processes, apart.
 */
import { randomFillSync } from 'node:crypto';
import pgPromise from 'pg-promise';
import type { AuditRow } from '../actors/event.ts';
import { uuidV7Maker } from '../actors/ingest/uuid-v7.ts';
import { RECORD_JSON } from '../actors/ingest/split-records.ts';
import { decide, decisionBasis } from '../actors/match/decide.ts';
import { normalizeEvent } from '../actors/match/normalize.ts';
import { RULE_DEFAULTS } from '../actors/ports.ts';
import type { Destination, RuleRow } from '../actors/ports.ts';
import { copyIn } from '../gateways/postgres/copy-in.ts';
import { createAuditMonths } from '../gateways/postgres/audit-months.ts';
import { PostgresAuditStore } from '../gateways/postgres/audit-store.ts';
import { openConnection } from '../gateways/postgres/connection.ts';
import type { Connection } from '../gateways/postgres/connection.ts';
import { migrate } from '../gateways/postgres/migrate.ts';
import { statement } from '../gateways/postgres/sql-files.ts';
import { systemClock } from '../runtime/clock.ts';
import { startOwnPostgres } from '../spec/support/servers.ts';
import { cpuUs, median } from './support/bench.ts';
import type { BenchRun } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';
import { sampleTree } from './support/process-cpu.ts';

/** Events of one frame have one receipt time and one identifier, as a busy gateway writes them. */
const EVENTS_PER_FRAME = 100;
/** What a match thread hands over at once. */
const ROWS_PER_INSERT = 1_000;
const UNLOGGED_NOTHING = 'audit_bare';

type Shape = 'ignored' | 'one alert';

interface Sample {
  rowsPerSecond: number;
  clientUs: number;
  serverUs: number;
}

export default async function audit(run: BenchRun): Promise<void> {
  const corpus = makeCorpus();
  run.note(
    `corpus: seed ${corpus.seed}, sha256 ${corpus.sha256}, ${Math.round(corpus.bytesMean)} B an event`,
  );
  const rows = run.parameter('rows', 4_000, 100_000);
  const repetitions = run.parameter('repetitions', 1, 3);
  const server = await startOwnPostgres();
  const pgp = pgPromise({ noWarnings: true });
  const raw = pgp({ connectionString: server.url, max: 2 });
  // The server may end a connection while it is being closed; a query that fails says so itself.
  raw.$pool.on('error', () => undefined);
  const migrating = openConnection({ url: server.url, statementTimeoutMs: 0 });
  try {
    await migrate(migrating, systemClock);
    await createAuditMonths(migrating, systemClock.wallMs());
    await raw.none(`CREATE TABLE ${UNLOGGED_NOTHING} (LIKE event_audit_log)`);
    const bench = new AuditBench(server.url, server.pid, raw, corpus.events);
    for (const shape of ['ignored', 'one alert'] as const) {
      for (const connections of [1, 2]) {
        const samples = new Map<string, Sample[]>();
        for (let repetition = 0; repetition <= repetitions; repetition++) {
          for (const [way, sample] of await bench.round(shape, rows, connections)) {
            if (repetition > 0) samples.set(way, [...(samples.get(way) ?? []), sample]);
          }
        }
        report(run, shape, connections, samples);
      }
    }
  } finally {
    await migrating.close();
    await raw.$pool.end();
    await server.stop();
  }
}

function report(run: BenchRun, shape: Shape, connections: number, samples: Map<string, Sample[]>): void {
  const middle = (way: string, of: (sample: Sample) => number): number =>
    median((samples.get(way) ?? []).map(of));
  for (const way of samples.keys()) {
    run.report({
      what: `${way}, ${shape}, ${connections === 1 ? '1 connection' : `${connections} connections`}`,
      value: middle(way, ({ rowsPerSecond }) => rowsPerSecond),
      unit: 'rows/s',
      ...(way.startsWith('COPY')
        ? {}
        : { baseline: { what: 'COPY', value: middle('COPY', ({ rowsPerSecond }) => rowsPerSecond) } }),
      details: {
        'µs of CPU a row, client': middle(way, ({ clientUs }) => clientUs),
        server: middle(way, ({ serverUs }) => serverUs),
      },
    });
  }
}

class AuditBench {
  readonly #url: string;
  readonly #serverPid: number;
  readonly #raw: pgPromise.IDatabase<object>;
  readonly #events: readonly Buffer[];
  readonly #newId = uuidV7Maker(systemClock, (bytes) => randomFillSync(bytes));

  constructor(url: string, serverPid: number, raw: pgPromise.IDatabase<object>, events: readonly Buffer[]) {
    this.#url = url;
    this.#serverPid = serverPid;
    this.#raw = raw;
    this.#events = events;
  }

  /** Each way once, on an empty table. */
  async round(shape: Shape, count: number, connections: number): Promise<[string, Sample][]> {
    const rows = this.#rows(shape, count);
    const half = [...this.#rows(shape, count / 2), ...rows.slice(0, count / 2)];
    await this.#empty();
    const first = await this.#insert(rows, connections, () => true);
    const again = await this.#insert(rows, connections, () => false);
    const mixed = await this.#insert(half, connections, (at) => at < count / 2);
    await this.#empty();
    const copied = await this.#copy(rows, connections, 'event_audit_log');
    const bare = await this.#copy(rows, connections, UNLOGGED_NOTHING);
    await this.#empty();
    return [
      ['first', first],
      ['all again', again],
      ['half again', mixed],
      ['COPY', copied],
      ['COPY without indexes', bare],
    ];
  }

  async #insert(
    rows: readonly AuditRow[],
    connections: number,
    isFirst: (at: number) => boolean,
  ): Promise<Sample> {
    const connection = openConnection({ url: this.#url, connectionsMax: connections });
    const store = new PostgresAuditStore(connection);
    try {
      // Opens the connections and prepares the statement on each.
      await Promise.all(
        Array.from({ length: connections }, () => store.insert([this.#rows('ignored', 1)[0]!])),
      );
      return await this.#measure(rows.length, () =>
        inLanes(connections, rows.length, async (from, to) => {
          const standing = await store.insert(rows.slice(from, to));
          standing.forEach((decision, at) => {
            if (decision.isFirst !== isFirst(from + at))
              throw new Error('A decision stands that should not.');
          });
        }),
      );
    } finally {
      await connection.close();
    }
  }

  async #copy(rows: readonly AuditRow[], connections: number, table: string): Promise<Sample> {
    const chunks = await bytesOf(rows);
    const { text } = statement('copy_audit_rows').parse() as pgPromise.IPreparedParsed;
    const copy = text.replace('event_audit_log', table);
    const held = await Promise.all(Array.from({ length: connections }, () => this.#raw.connect()));
    try {
      let next = 0;
      return await this.#measure(rows.length, () =>
        Promise.all(
          held.map(async ({ client }) => {
            for (let at = next++; at < chunks.length; at = next++) {
              await copyIn(client, copy, chunks[at]!);
            }
          }),
        ),
      );
    } finally {
      for (const one of held) void one.done();
    }
  }

  async #empty(): Promise<void> {
    await this.#raw.none(`TRUNCATE event_audit_log, ${UNLOGGED_NOTHING}`);
    // Else what one way left to be written is written while the next is measured.
    await this.#raw.none('CHECKPOINT');
  }

  async #measure(count: number, work: () => Promise<unknown>): Promise<Sample> {
    const cpu = process.cpuUsage();
    const server = this.#serverCpuMs();
    const startedMs = performance.now();
    await work();
    const seconds = (performance.now() - startedMs) / 1_000;
    return {
      rowsPerSecond: count / seconds,
      clientUs: cpuUs(cpu) / count,
      serverUs: (1_000 * (this.#serverCpuMs() - server)) / count,
    };
  }

  #serverCpuMs(): number {
    return sampleTree(this.#serverPid).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  }

  #rows(shape: Shape, count: number): AuditRow[] {
    const rule: RuleRow = {
      ...RULE_DEFAULTS,
      id: 1,
      version: 3,
      host: '*',
      prod_handling: shape === 'ignored' ? 'Ignore' : 'Page_and_ticket',
      dev_handling: 'Ignore',
      team_assignment: 'NETO',
    };
    const destination = { name: 'noc', routes: [] } as unknown as Destination;
    const basis = decisionBasis(
      {
        version: 12,
        developmentHosts: [],
        teams: {},
        destinations: [destination],
      },
      () => undefined,
    );
    const rows: AuditRow[] = [];
    let frame = '';
    let receivedAtMs = 0;
    for (let at = 0; at < count; at++) {
      if (at % EVENTS_PER_FRAME === 0) {
        frame = uuidText(this.#newId());
        receivedAtMs = systemClock.wallMs();
      }
      const record = normalizeEvent({
        id: `${frame}-${at % EVENTS_PER_FRAME}`,
        receivedAtMs,
        correlationId: frame,
        kind: RECORD_JSON,
        bytes: this.#events[at % this.#events.length]!,
      });
      rows.push(decide(record, [rule], basis));
    }
    return rows;
  }
}

/** Runs pieces of `count` things, so many at once as there are lanes. */
async function inLanes(
  lanes: number,
  count: number,
  work: (from: number, to: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let from = next; from < count; from = next) {
      next += ROWS_PER_INSERT;
      await work(from, Math.min(count, from + ROWS_PER_INSERT));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** The rows as the store would send them, by statement: so the bare COPY has nothing to do but to send them. */
async function bytesOf(rows: readonly AuditRow[]): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  const recorder = { copyIn: async (_: string, bytes: Uint8Array) => void chunks.push(bytes) };
  await new PostgresAuditStore(recorder as unknown as Connection).insert(rows);
  return chunks;
}

function uuidText(id: Buffer): string {
  return id.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
