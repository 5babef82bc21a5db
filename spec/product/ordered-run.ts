/**
 * A node under ordered traffic whose settings are changed: what every spec of live settings starts with, and the account
 * with which it ends.
 *
 * Settings are set in PostgreSQL, as another node's API would: this node has to notice.
 */
import { expect } from 'chai';
import { checkTogether } from '../../actors/settings.ts';
import type { SettingKey, SettingValue } from '../../actors/settings.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresSettingsStore } from '../../gateways/postgres/settings-store.ts';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { Sink } from '../support/sink.ts';
import { auditRows, databaseUrlOf, deadLetters } from './node-database.ts';
import { ONCE, ORDERED_TEXT, OrderedTraffic, orderedIn } from './ordered-traffic.ts';
import type { OrderedTrafficOptions } from './ordered-traffic.ts';

/** The destination of every alert. */
export const DESTINATION = 'sink';
const WORKED_MS = 60_000;

export class OrderedRun {
  readonly node: NodeUnderTest;
  readonly sink: Sink;
  readonly database: Connection;
  readonly settings: PostgresSettingsStore;
  readonly traffic: OrderedTraffic;
  /** The highest number delivered, by host, in the alerts before `#delivered`. */
  readonly #highest = new Map<string, number>();
  #delivered = 0;

  private constructor(node: NodeUnderTest, sink: Sink, traffic: OrderedTraffic) {
    this.node = node;
    this.sink = sink;
    this.traffic = traffic;
    this.database = openConnection({
      url: databaseUrlOf(node.dir),
      connectionsMax: 1,
      applicationName: 'spec-settings',
    });
    this.settings = new PostgresSettingsStore(this.database, (values) => checkTogether(values));
  }

  /** With traffic under way. */
  static async start(
    env: NodeJS.ProcessEnv,
    options: Omit<OrderedTrafficOptions, 'url' | 'key'>,
  ): Promise<OrderedRun> {
    const sink = await Sink.start();
    let node: NodeUnderTest | undefined;
    try {
      node = await NodeUnderTest.start(env);
      await sendAlertsTo(node, sink);
      const traffic = new OrderedTraffic({
        url: `http://127.0.0.1:${node.ports.ingest}/api/v2/ingest`,
        key: node.ingestKey,
        ...options,
      });
      const run = new OrderedRun(node, sink, traffic);
      traffic.start();
      return run;
    } catch (thrown) {
      await node?.close();
      await sink.close();
      throw thrown;
    }
  }

  async close(): Promise<void> {
    await this.traffic.stop();
    await this.database.close();
    await this.node.close();
    await this.sink.close();
  }

  /** Settles when it is stored; workers hear of it a little later. */
  async set(key: SettingKey, value: SettingValue): Promise<void> {
    await this.settings.set(key, value, {}, { changedBy: 'spec' });
  }

  /** Settles when every worker runs what is set now. */
  async whenInForce(): Promise<void> {
    const [row] = await this.database.rows<{ snapshot_version: number }>('read_config_version');
    await this.node.whenApplied(row?.snapshot_version ?? Infinity);
  }

  /** The node has worked under what is set now: events that every host has sent since have gone all the way. */
  async whenWorked(): Promise<void> {
    const sent = new Map([...this.traffic.answered].map((name) => namesOf(name)));
    let behind: string[] = [];
    await until(
      async () => {
        this.#noteDelivered();
        behind = [...sent]
          .filter(([host, number]) => !host.startsWith(ONCE) && this.#isBehind(host, number))
          .map(([host]) => host);
        return sent.size > 0 && behind.length === 0;
      },
      WORKED_MS,
      () => `no alert since from ${behind.join(', ')}: ${JSON.stringify(this.traffic.statuses)}`,
    );
  }

  #isBehind(host: string, number: number): boolean {
    return (this.#highest.get(host) ?? 0) <= number;
  }

  #noteDelivered(): void {
    const { received } = this.sink;
    for (; this.#delivered < received.length; this.#delivered += 1) {
      const [host, number] = namesOf(orderedIn(String(received[this.#delivered]?.body['description'])));
      this.#highest.set(host, Math.max(number, this.#highest.get(host) ?? 0));
    }
  }

  /**
   * Ends the traffic and holds everything that was sent against what the node has made of it. `unmatched` events came
   * beside the ordered ones.
   */
  async expectNothingLost({ unmatched = 0 } = {}): Promise<void> {
    const { traffic, node, sink } = this;
    await traffic.stop();
    const ledger = await node.settled();
    expect(ledger).to.include({ balanced: true, lost: 0, rejected: 0 });
    expect(await deadLetters(node.dir)).to.deep.equal([]);

    const rows = (await auditRows(node.dir))
      .map(({ raw }) => orderedIn(raw))
      .filter((name) => name !== undefined);
    const stored = new Set(rows);
    expect(rows.length, 'audit rows that came twice').to.equal(stored.size);
    expect(ledger.accepted, 'events in the ledger').to.equal(stored.size + unmatched);
    const { forwarded, unmatched: leftAlone, ...others } = ledger.terminal;
    expect({ forwarded, unmatched: leftAlone }, 'terminal states').to.deep.equal({
      forwarded: stored.size,
      unmatched,
    });
    expect(
      Object.values(others).every((count) => count === 0),
      JSON.stringify(others),
    ).to.equal(true);
    expect(
      [...traffic.answered].filter((name) => !stored.has(name)),
      'answered and lost',
    ).to.deep.equal([]);
    expect(
      [...stored].filter((name) => !traffic.answered.has(name) && !traffic.unanswered.has(name)),
      'never sent',
    ).to.deep.equal([]);

    const delivered = sink.received.map(({ body }) => orderedIn(String(body['description'])) ?? 'another');
    expect(new Set(delivered), 'alerts').to.deep.equal(stored);
    expect(delivered.length, 'alerts that came twice').to.equal(stored.size);
    expect(outOfOrder(delivered), 'alerts out of order').to.deep.equal([]);
    console.log(
      `      ${stored.size} events, ${traffic.unanswered.size} without an answer, replies ${JSON.stringify(traffic.statuses)}`,
    );
  }
}

/** One rule that finds all ordered events; alerts of a host leave one after another. */
async function sendAlertsTo(node: NodeUnderTest, sink: Sink): Promise<void> {
  const { status, body } = await node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
    method: 'PUT',
    body: {
      rules: [
        {
          name: 'ordered',
          match_string: ORDERED_TEXT,
          prod_handling: 'Ticket_only',
          dev_handling: 'Ticket_only',
          team_assignment: 'SPEC',
          signature: '{host}',
        },
      ],
      destinations: [
        {
          name: DESTINATION,
          kind: 'moogsoft',
          url: sink.url,
          rate_per_second: 5_000,
          concurrency: 16,
          timeout_ms: 5_000,
          collapse: false,
        },
      ],
    },
  });
  expect(status, JSON.stringify(body)).to.equal(200);
  await node.whenApplied(body.snapshot_version);
}

function outOfOrder(delivered: readonly string[]): string[] {
  const last = new Map<string, number>();
  const passed: string[] = [];
  for (const [host, number] of delivered.map(namesOf)) {
    if (number <= (last.get(host) ?? 0)) passed.push(`${host}: ${number} after ${last.get(host)}`);
    last.set(host, number);
  }
  return passed;
}

function namesOf(event = ''): [host: string, number: number] {
  const [host = '', number = ''] = event.split(' ');
  return [host, Number(number)];
}
