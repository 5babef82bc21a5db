/**
 * Dead letters on a real node and a real destination: found, replayed, thrown away, healed without a person; and whatever
 * dies in the middle of it, each is delivered, none is doubled, and the ledger balances.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { Sink } from '../support/sink.ts';
import { signalActor } from './faults.ts';
import { queryNode } from './node-database.ts';

const TIMEOUT_MS = 120_000;
const WAIT_MS = 60_000;
const FAILURES = '/api/v2/failures';

interface Letter {
  id: string;
  state: string;
  reason: string;
  error: string;
  signature: string;
  excerpt: string;
  retry_at: string | null;
  replays: number;
}
interface Operation {
  id: string;
  state: string;
  letters: number;
  waiting: number;
  on_their_way: number;
  delivered: number;
  failed: number;
  superseded: number;
  canceled: number;
}

describe('Dead letters', function () {
  this.timeout(TIMEOUT_MS);
  let node: NodeUnderTest;
  let sink: Sink;
  let serial = 0;

  before(async () => {
    sink = await Sink.start();
    node = await NodeUnderTest.start();
    const { status, body } = await node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
      method: 'PUT',
      body: {
        rules: [
          {
            name: 'all',
            match_string: 'ALERT',
            prod_handling: 'Page_only',
            dev_handling: 'Page_only',
            team_assignment: 'NETO',
            signature: '{host}::all',
          },
        ],
        destinations: [
          {
            name: 'noc',
            kind: 'moogsoft',
            url: sink.url,
            rate_per_second: 5_000,
            concurrency: 16,
            // Each of them is looked for.
            collapse: false,
            timeout_ms: 2_000,
          },
        ],
      },
    });
    expect(status, JSON.stringify(body)).to.equal(200);
    await fetch(`http://127.0.0.1:${node.ports.admin}/api/v2/destinations/local`, {
      method: 'DELETE',
      headers: { 'x-api-key': node.adminKey, 'if-match': '*' },
    });
    await node.whenApplied(body.snapshot_version + 1);
  });
  after(async () => {
    await node.close();
    await sink.close();
  });

  /** Events of as many hosts, whose alerts the destination refuses. */
  async function refused(count: number, hosts = count): Promise<string[]> {
    const numbers = Array.from({ length: count }, () => `nr=${++serial};`);
    sink.judge = (body) =>
      numbers.some((number) => String(body['description']).includes(number)) ? 'refuse' : 'take';
    const before = await kept();
    const events = numbers.map((number, at) => ({
      hostname: `dead-${at % hosts}`,
      message: `ALERT ${number}`,
      timestamp: new Date().toISOString(),
    }));
    const reply = await node.post(JSON.stringify(events));
    expect(reply.body.accepted, JSON.stringify(reply)).to.equal(count);
    await until(
      async () => (await kept()) === before + count,
      WAIT_MS,
      () => 'they are not dead letters',
    );
    return numbers;
  }

  async function kept(): Promise<number> {
    const [row] = await queryNode<{ n: string }>(
      node.dir,
      "SELECT count(*) AS n FROM dead_letters WHERE state = 'kept'",
    );
    return Number(row?.n);
  }

  async function call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    return node.admin<T>(path, { method, ...(body === undefined ? {} : { body }) });
  }
  const letters = async (query = ''): Promise<Letter[]> =>
    (await call<{ items: Letter[] }>('GET', `${FAILURES}?kind=dead_letter&limit=200${query}`)).body.items;

  async function replay(body: object): Promise<Operation> {
    const reply = await call<Operation>('POST', `${FAILURES}/replays`, body);
    expect(reply.status, JSON.stringify(reply.body)).to.equal(202);
    return reply.body;
  }
  async function operation(id: string): Promise<Operation> {
    return (await call<Operation>('GET', `${FAILURES}/replays/${id}`)).body;
  }
  async function ended(id: string): Promise<Operation> {
    let last: Operation | undefined;
    await until(
      async () => {
        last = await operation(id).catch(() => undefined);
        return last?.state === 'done' || last?.state === 'canceled';
      },
      WAIT_MS,
      () => `the replay does not end: ${JSON.stringify(last)}\n${node.output}`,
    );
    return last as Operation;
  }
  const takenTimes = (numbers: readonly string[]): number[] =>
    numbers.map(
      (number) => sink.received.filter(({ body }) => String(body['description']).includes(number)).length,
    );
  const put = (key: string, value: unknown) =>
    node.admin(`/api/v2/config/${key}`, { method: 'PUT', body: { value }, headers: { 'if-match': '*' } });

  it('are listed, shown, looked at before they are sent, sent, and thrown away', async () => {
    const startedMs = Date.now();
    const [first = '', second = '', third = ''] = await refused(3);
    const found = await letters('&destination=noc&code=rejected&team=NETO');
    expect(found).to.have.length(3);
    expect(found[0]).to.include({
      state: 'kept',
      reason: 'rejected',
      error: 'HTTP 422: {}',
      retry_at: null,
      replays: 0,
    });
    const idOf = (number: string): string => found.find(({ excerpt }) => excerpt.includes(number))?.id ?? '';
    expect((await letters('&destination=other')).length).to.equal(0);
    expect((await letters('&since=2100-01-01T00:00:00Z')).length).to.equal(0);
    expect((await letters('&state=delivered')).length).to.equal(0);
    const refusal = await call<{ code: string }>('GET', `${FAILURES}?kind=dead_letter&key=x`);
    expect([refusal.status, refusal.body.code]).to.deep.equal([400, 'E_PARAMETER_INVALID']);

    const preview = await call<{ letters: number; superseded: number; items: object[] }>(
      'POST',
      `${FAILURES}/replays`,
      { destination: 'noc', dry_run: true },
    );
    expect(preview.status).to.equal(200);
    expect(preview.body).to.include({ letters: 3, superseded: 0 });

    sink.judge = undefined;
    const begun = await replay({ ids: [idOf(first)], set: { severity: 1, description: `edited ${first}` } });
    expect(await ended(begun.id)).to.include({ letters: 1, delivered: 1, failed: 0 });
    const edited = sink.received.find(({ body }) => String(body['description']).includes(first));
    expect(edited?.body['description']).to.equal(`edited ${first}`);
    const shown = await call<{ state: string; replay_history: object[]; body: { text: string } }>(
      'GET',
      `${FAILURES}/${idOf(first)}`,
    );
    expect(shown.body.state).to.equal('delivered');
    expect(shown.body.body.text).to.include(`ALERT ${first}`);
    expect(shown.body.replay_history).to.have.length(1);
    expect(shown.body.replay_history[0]).to.include({
      outcome: 'delivered',
      is_edited: true,
      operation_id: begun.id,
    });
    const again = await call<{ code: string }>('POST', `${FAILURES}/replays`, { ids: [idOf(first)] });
    expect([again.status, again.body.code]).to.deep.equal([409, 'E_NOTHING_TO_REPLAY']);
    const named = await call<{ code: string }>('POST', `${FAILURES}/replays`, { per_second: 1 });
    expect([named.status, named.body.code]).to.deep.equal([400, 'E_BODY_INVALID']);

    const gone = await fetch(`http://127.0.0.1:${node.ports.admin}${FAILURES}/${idOf(second)}`, {
      method: 'DELETE',
      headers: { 'x-api-key': node.adminKey },
    });
    expect(gone.status).to.equal(204);
    const many = await call<{ items: { outcome: string }[] }>('POST', `${FAILURES}/discard`, {
      ids: [idOf(third), idOf(first), 'nothing-there'],
      reason: 'a test',
    });
    expect(many.body.items.map(({ outcome }) => outcome)).to.deep.equal(['discarded', 'busy', 'unknown']);
    const settled = await node.settled();
    expect(settled.terminal).to.include({ discarded: 2, forwarded: 1 });
    interface Traced {
      state: string;
      event: { alerts: { dead_letter: { ended_at: string | null } }[] };
    }
    const traced = await call<Traced>('GET', `/api/v2/events/${idOf(second)}`);
    expect(traced.body.state).to.equal('discarded');
    expect(Date.parse(traced.body.event.alerts[0]?.dead_letter.ended_at ?? '')).to.be.above(startedMs);
  });

  it('are delivered once each while the admin process, the remediation thread and PostgreSQL die', async () => {
    const numbers = await refused(1_000);
    const before = await node.ledger();
    sink.judge = undefined;
    const { id, letters: many } = await replay({ destination: 'noc', per_second: 400 });
    expect(many).to.equal(1_000);
    const progressed = (least: number): Promise<void> =>
      until(
        async () => sink.received.length >= least,
        WAIT_MS,
        () => `only ${sink.received.length} came\n${node.output}`,
      );
    const already = sink.received.length;
    await progressed(already + 50);
    process.kill((await node.actor('admin')).pid ?? 0, 'SIGKILL');
    await progressed(already + 300);
    await until(
      async () => {
        // The admin process may not be back yet.
        const asked = call('POST', '/api/v2/actors/remediation-0/restart', { how: 'kill' });
        return (await asked.catch(() => undefined))?.status === 200;
      },
      WAIT_MS,
      () => 'the thread is not killed',
    );
    await progressed(already + 550);
    await signalActor(node, 'postgres', 'SIGKILL');
    const operationNow = await ended(id);
    expect(operationNow).to.include({
      letters: 1_000,
      delivered: 1_000,
      waiting: 0,
      failed: 0,
      superseded: 0,
    });
    expect(takenTimes(numbers).every((times) => times === 1)).to.equal(true);
    const ledger = await node.settled();
    expect(ledger.terminal['forwarded']).to.equal((before.terminal['forwarded'] ?? 0) + 1_000);
    expect(ledger.replayed).to.equal(before.replayed);
  });

  it('end as superseded where a later alert of the host was taken, and only then', async () => {
    const [old = ''] = await refused(1);
    sink.judge = undefined;
    const later = `nr=${++serial};`;
    await node.post(
      JSON.stringify({ hostname: 'dead-0', message: `ALERT ${later}`, timestamp: new Date().toISOString() }),
    );
    await until(
      async () => takenTimes([later])[0] === 1,
      WAIT_MS,
      () => 'the later one did not come',
    );
    await until(
      async () =>
        (
          await call<{ superseded: number }>('POST', `${FAILURES}/replays`, {
            destination: 'noc',
            dry_run: true,
          })
        ).body.superseded === 1,
      WAIT_MS,
      () => 'it is not superseded',
    );
    const { id } = await replay({ destination: 'noc' });
    expect(await ended(id)).to.include({ superseded: 1, delivered: 0 });
    expect(takenTimes([old])).to.deep.equal([0]);
    expect((await node.settled()).terminal['superseded']).to.equal(1);
  });

  it('are delivered without a person, in the order of their signature, once their destination takes them', async () => {
    for (const [key, value] of [
      ['remediation.rejected.isRetried', true],
      ['remediation.retry.delayMaxMs', 500],
      ['remediation.retry.baseMs', 200],
      ['remediation.letter.replaysMax', 100],
      ['remediation.rate.perSecondMax', 1_000],
      ['remediation.rate.perSecondMin', 20],
    ] as const) {
      // Lower the longest wait after the first one.
      await put(
        key === 'remediation.retry.delayMaxMs' ? 'remediation.retry.baseMs' : key,
        value === 500 ? 200 : value,
      );
      if (key === 'remediation.retry.delayMaxMs') await put(key, 500);
    }
    const numbers = await refused(60, 6);
    // For a while everything is refused again and again.
    await until(
      async () => {
        const [row] = await queryNode<{ most: number }>(
          node.dir,
          'SELECT max(automatic_replays) AS most FROM dead_letters',
        );
        return (row?.most ?? 0) >= 2;
      },
      WAIT_MS,
      () => `they are not replayed: ${node.output}`,
    );
    expect(takenTimes(numbers).every((times) => times === 0)).to.equal(true);
    sink.judge = undefined;
    const settled = await node.settled();
    expect(settled.balanced).to.equal(true);
    const came = sink.received
      .map(({ body }) => String(body['description']))
      .map((text) => numbers.findIndex((number) => text.includes(number)))
      .filter((at) => at >= 0);
    expect(new Set(came).size).to.equal(came.length);
    for (let host = 0; host < 6; host++) {
      const ofHost = came.filter((at) => at % 6 === host);
      expect(ofHost, `host ${host}`).to.deep.equal([...ofHost].sort((a, b) => a - b));
    }
    const counts = async (): Promise<Record<string, number>> => {
      const states = await queryNode<{ state: string; n: string }>(
        node.dir,
        'SELECT state, count(*) AS n FROM dead_letters WHERE automatic_replays > 0 GROUP BY state',
      );
      return Object.fromEntries(states.map(({ state, n }) => [state, Number(n)]));
    };
    let last: Record<string, number> = {};
    await until(
      async () => {
        last = await counts();
        return (last['delivered'] ?? 0) + (last['superseded'] ?? 0) === 60;
      },
      WAIT_MS,
      () => `not all have ended: ${JSON.stringify(last)}`,
    );
    expect(last['delivered']).to.equal(came.length);
  });

  it('wait here while their destination is away, but for a few, and come in order when it is back', async () => {
    const port = sink.port;
    const settings: [string, unknown][] = [
      ['remediation.isEnabled', false],
      ['remediation.rejected.isRetried', false],
      ['remediation.rate.perSecondMin', 2],
      ['forward.breaker.baseMs', 50],
      ['forward.breaker.delayMaxMs', 200],
    ];
    for (const [key, value] of settings) await put(key, value);
    const [lastKey, lastValue] = settings.at(-1) ?? [];
    await until(
      async () => {
        const path = '/api/v2/config/effective';
        const { body } = await node.admin<{ settings: Record<string, unknown> }>(path);
        return body.settings[lastKey ?? ''] === lastValue;
      },
      WAIT_MS,
      () => 'the settings are not in effect',
    );
    const { body: status } = await node.admin<{ snapshot: { version: number } }>('/api/v2/status');
    await node.whenApplied(status.snapshot.version);
    const numbers = await refused(40, 4);
    await queryNode(node.dir, "UPDATE dead_letters SET reason = 'network' WHERE state = 'kept'");
    // The rate that it had come to before.
    await queryNode(node.dir, 'DELETE FROM replay_paces');
    await sink.close();
    await put('remediation.isEnabled', true);
    const onTheirWay = async (): Promise<number> => {
      const [row] = await queryNode<{ n: string }>(
        node.dir,
        "SELECT count(*) AS n FROM dead_letters WHERE state = 'replayed'",
      );
      return Number(row?.n);
    };
    await until(
      async () => (await onTheirWay()) > 0,
      WAIT_MS,
      () => 'none is replayed',
    );
    // Long enough for all of them at that rate.
    for (let look = 0; look < 30; look++) {
      expect(await onTheirWay()).to.be.at.most(6);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    sink = await Sink.start(port);
    expect((await node.settled()).balanced).to.equal(true);
    expect(takenTimes(numbers)).to.deep.equal(numbers.map(() => 1));
    const came = sink.received.map(({ body }) =>
      numbers.findIndex((number) => String(body['description']).includes(number)),
    );
    for (let host = 0; host < 4; host++) {
      const ofHost = came.filter((at) => at % 4 === host);
      expect(ofHost, `host ${host}`).to.deep.equal([...ofHost].sort((a, b) => a - b));
    }
    const { body: metrics } = await node.admin<string>('/metrics');
    expect(metrics).to.match(
      /^mutt_remediation_replayed_total\{source="automatic",status="success"\} [1-9]/m,
    );
    expect(metrics).to.match(/^mutt_remediation_replayed_total\{source="automatic",status="fail"\} [1-9]/m);
    expect(metrics).to.match(/^mutt_remediation_replayed_total\{source="manual",status="success"\} [1-9]/m);
  });
});
