/**
 * The edges of a running node: what is refused, what is parked, what waits, and what happens while something it needs
 * is away. One node for all of it, since every check leaves the node as well as it found it; what cannot be undone (an
 * alert no destination takes, whose event stays in flight) comes last.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, processesOf, until } from '../support/node-under-test.ts';
import type { Ledger } from '../support/node-under-test.ts';
import { Sink } from '../support/sink.ts';
import { signalActor } from './faults.ts';
import { queryNode } from './node-database.ts';

const ENTRY = fileURLToPath(new URL('../../supervisors/mutt.ts', import.meta.url));
const TIMEOUT_MS = 60_000;
/** What a store may be gone before the node says so. */
const NOTICED_MS = 6_000;

interface Problem {
  status: number;
  code: string;
  detail: string;
  errors?: { field: string; why: string; mend: string }[];
}

describe('A running node', function () {
  this.timeout(TIMEOUT_MS);
  let node: NodeUnderTest;
  let one: Sink;
  let two: Sink;
  let event = 0;

  before(async () => {
    [one, two] = await Promise.all([Sink.start(), Sink.start()]);
    node = await NodeUnderTest.start({ MUTT_AUDIT_UNMATCHED: 'all', MUTT_MATCH_THREADS: '2' });
    await applyRules();
  });

  after(async () => {
    await node.close();
    await Promise.all([one.close(), two.close()]);
  });

  const rule = (name: string, text: string, more: object = {}): object => ({
    name,
    match_string: text,
    prod_handling: 'Page_and_ticket',
    dev_handling: 'Ticket_only',
    team_assignment: name.toUpperCase(),
    ...more,
  });
  const destination = (name: string, sink: Sink, more: object = {}): object => ({
    name,
    kind: 'moogsoft',
    url: sink.url,
    rate_per_second: 5_000,
    concurrency: 8,
    collapse: false,
    timeout_ms: 2_000,
    ...more,
  });

  const document = (rules: object[] = []): object => ({
    rules: [rule('first', 'ALERT-ONE'), rule('both', 'ALERT-BOTH', { signature: '{host}::both' }), ...rules],
    destinations: [
      destination('one', one),
      // A name of its own in the routes: only what goes to both goes to the second.
      destination('two', two, { routes: [{ team: 'BOTH' }] }),
    ],
  });

  async function applyRules(rules: object[] = []): Promise<number> {
    const { status, body } = await node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
      method: 'PUT',
      body: document(rules),
    });
    expect(status, JSON.stringify(body)).to.equal(200);
    const startedMs = performance.now();
    await node.whenApplied(body.snapshot_version);
    return performance.now() - startedMs;
  }

  const eventOf = (text: string, hostname = 'edge-1'): Record<string, unknown> => ({
    hostname,
    message: `${text} edge=${++event};`,
    timestamp: new Date().toISOString(),
  });

  /** Posts events that must all be taken, and gives their numbers. */
  async function send(...events: Record<string, unknown>[]): Promise<number[]> {
    const { status, body } = await node.post(JSON.stringify(events));
    expect({ ...body, status }).to.include({ status: 200, accepted: events.length });
    return events.map(({ message }) => numberIn(String(message)));
  }

  async function rowsOf(numbers: number[]): Promise<Map<number, number>> {
    const rows = await queryNode<{ raw: string }>(node.dir, 'SELECT raw_message AS raw FROM event_audit_log');
    const times = new Map(numbers.map((number) => [number, 0]));
    for (const { raw } of rows) {
      const number = numberIn(raw);
      if (times.has(number)) times.set(number, (times.get(number) ?? 0) + 1);
    }
    return times;
  }

  const takenBy = (sink: Sink): number[] =>
    sink.received.map(({ body }) => numberIn(String(body['description'])));

  async function delivered(sink: Sink, numbers: number[], timeoutMs = 30_000): Promise<void> {
    await until(
      async () => numbers.every((number) => takenBy(sink).includes(number)),
      timeoutMs,
      () => `not all of ${numbers.join(' ')} came, only ${takenBy(sink).join(' ')}`,
    );
  }

  const fetchAdmin = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${node.ports.admin}${path}`, { signal: AbortSignal.timeout(10_000), ...init });

  describe('asked wrongly by an administrator', () => {
    const cases: [string, () => Promise<Response>, number, string][] = [
      ['no key', () => fetchAdmin('/api/v2/status'), 401, 'E_KEY_MISSING'],
      ['an unknown key', () => fetchAdmin('/api/v2/status', withKey('nobody')), 401, 'E_KEY_UNKNOWN'],
      [
        'a key without the scope',
        () => fetchAdmin('/api/v2/status', withKey(node.ingestKey)),
        403,
        'E_SCOPE_MISSING',
      ],
      [
        'an unknown path',
        () => fetchAdmin('/api/v2/nothing', withKey(node.adminKey)),
        404,
        'E_ROUTE_UNKNOWN',
      ],
      [
        'a wrong method',
        () => fetchAdmin('/api/v2/ledger', { ...withKey(node.adminKey), method: 'DELETE' }),
        405,
        'E_METHOD',
      ],
      [
        'a body that is no JSON',
        () =>
          fetchAdmin('/api/v2/rule-set', { ...withKey(node.adminKey), method: 'PUT', body: '{"rules": [' }),
        400,
        'E_JSON_MALFORMED',
      ],
      [
        'an actor that does not exist',
        () =>
          fetchAdmin('/api/v2/actors/nobody/restart', {
            ...withKey(node.adminKey),
            method: 'POST',
            body: '{}',
          }),
        404,
        'E_ACTOR_UNKNOWN',
      ],
      [
        'a way to restart that does not exist',
        () =>
          fetchAdmin('/api/v2/actors/match-0/restart', {
            ...withKey(node.adminKey),
            method: 'POST',
            body: '{"how":"gently"}',
          }),
        400,
        'E_BODY_INVALID',
      ],
    ];
    for (const [what, ask, status, code] of cases) {
      it(`answers ${what} with ${status} ${code}, as a problem document`, async () => {
        const reply = await ask();
        const problem = (await reply.json()) as Problem;
        expect(reply.headers.get('content-type')).to.include('application/problem+json');
        expect({ status: reply.status, code: problem.code }).to.deep.equal({ status, code });
        expect(problem.detail).to.be.a('string').and.not.equal('');
        if (status === 405) expect(reply.headers.get('allow')).to.include('GET');
      });
    }

    it('refuses a rule that does not compile, names field and mend, and keeps the set in force', async () => {
      const before = await node.admin<{ version: number; rules: unknown[] }>('/api/v2/rule-set');
      const { status, body } = await node.admin<Problem>('/api/v2/rule-set', {
        method: 'PUT',
        body: document([rule('bad', '(unclosed', { match_type: 'regex' }), rule('worse', '', {})]),
      });
      expect({ status, code: body.code }).to.deep.equal({ status: 400, code: 'E_CONFIG_INVALID' });
      expect(body.errors?.map(({ field }) => field)).to.include('rules[2].match_string');
      expect(body.errors?.some(({ field }) => field.startsWith('rules[3]'))).to.equal(true);
      for (const { why, mend } of body.errors ?? []) expect(`${why}|${mend}`).to.match(/.+\|.+/);
      const now = await node.admin<{ version: number; rules: unknown[] }>('/api/v2/rule-set');
      expect(now.body).to.deep.equal(before.body);
      const numbers = await send(eventOf('ALERT-ONE'));
      await delivered(one, numbers);
    });
  });

  it('applies a change of rules on every worker within a second', async () => {
    const tookMs = await applyRules([rule('late', 'ALERT-LATE')]);
    console.log(`        applied on all workers after ${tookMs.toFixed(0)} ms`);
    expect(tookMs).to.be.below(1_000);
    const { body } = await node.admin<{ snapshot: { applied: { worker: string }[] } }>('/api/v2/status');
    expect(body.snapshot.applied.map(({ worker }) => worker)).to.include.members(['match-0', 'match-1']);
    const numbers = await send(...['a', 'b', 'c', 'd'].map((host) => eventOf('ALERT-LATE', host)));
    await delivered(one, numbers);
  });

  describe('given input it cannot use', () => {
    it('stores the good records of a request, and parks the others with their bytes', async () => {
      const good = eventOf('good beside bad');
      const bad = '{"hostname":"edge-1","message":"no time, edge=bad-1;"}';
      const { status, body } = await node.post(`${JSON.stringify(good)}\n${bad}\n`);
      expect({ ...body, status }).to.include({ status: 200, accepted: 1, rejected: 1 });
      await node.settled();
      expect([...(await rowsOf([numberIn(String(good['message']))])).values()]).to.deep.equal([1]);
      const parked = await queryNode<{ body: Buffer; position: number; key_name: string; code: string }>(
        node.dir,
        'SELECT body, position, key_name, code FROM rejects WHERE correlation_id = $1',
        [body['correlation_id']],
      );
      expect(parked.map((row) => ({ ...row, body: row.body.toString('utf8') }))).to.deep.equal([
        { body: bad, position: 1, key_name: 'ingest', code: parked[0]?.code },
      ]);
    });

    it('parks what nobody can read as it came, byte for byte', async () => {
      const noise = Buffer.from([0x7b, 0xff, 0x00, 0xfe, 0x80, 0x22, 0x0a, 0xc3]);
      const { body } = await node.post(noise);
      const parked = await queryNode<{ body: Buffer }>(
        node.dir,
        'SELECT body FROM rejects WHERE correlation_id = $1',
        [body['correlation_id']],
      );
      expect(Buffer.concat(parked.map((row) => row.body)).equals(noise)).to.equal(true);
    });

    it('keeps the bytes of an event whose text it repaired, and finds it by any spelling of its host', async () => {
      const line = Buffer.from('<34>Jun 14 15:16:01 Latin-1.Example. app: gr\xfcn', 'latin1');
      expect((await node.post(line)).status).to.equal(200);
      await node.settled();
      const { body } = await node.admin<{ items: Record<string, unknown>[] }>(
        '/api/v2/audit-logs?hostname=LATIN-1.example',
      );
      expect(body.items).to.have.length(1);
      expect(body.items[0]).to.include({
        hostname: 'latin-1.example',
        text_repaired: true,
        raw_message: '<34>Jun 14 15:16:01 Latin-1.Example. app: gr\uFFFDn',
        raw_base64: line.toString('base64'),
      });
    });

    it('stores nothing of a request with one bad record when the sender asks to be strict', async () => {
      const before = await node.settled();
      const { status, body } = await node.post(JSON.stringify([eventOf('good'), { hostname: 'edge-1' }]), {
        prefer: 'handling=strict',
      });
      expect(status).to.equal(400);
      expect(body['errors']).to.have.length(1);
      const { accepted, rejected } = await node.settled();
      expect({ accepted, rejected }).to.deep.equal({ accepted: before.accepted, rejected: before.rejected });
    });
  });

  describe('whose destination is down', () => {
    it('keeps the alerts, opens the breaker, and then delivers all, those of one signature in order', async () => {
      two.mode = 'fail';
      const hosts = ['s-1', 's-2', 's-3', 's-4'];
      const numbers: number[] = [];
      for (let round = 0; round < 5; round++) {
        numbers.push(...(await send(...hosts.map((host) => eventOf('ALERT-BOTH', host)))));
      }
      // The other destination does not notice.
      await delivered(one, numbers, 5_000);
      await until(
        async () => two.requests >= 5,
        5_000,
        () => 'it is not tried',
      );
      const triedBefore = two.requests;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      // Without a breaker, 20 waiting alerts would be tried without end; with one, a probe comes now and then.
      expect(two.requests - triedBefore).to.be.below(6);
      expect((await node.ledger()).in_flight).to.be.at.least(numbers.length);
      two.mode = 'take';
      await delivered(two, numbers);
      for (const host of hosts) {
        const taken = two.received.filter(({ body }) => body['source'] === host);
        const order = taken.map(({ body }) => numberIn(String(body['description'])));
        expect(order, host).to.deep.equal(order.toSorted((a, b) => a - b));
      }
      const { balanced, in_flight } = await node.settled();
      expect({ balanced, in_flight }).to.deep.equal({ balanced: true, in_flight: 0 });
    });
  });

  describe('whose Redis does not answer', () => {
    it('answers 503 with Retry-After, is not ready and says why, and recovers by itself', async () => {
      const resume = await signalActor(node, 'redis', 'SIGSTOP');
      try {
        await until(
          async () => !(await node.isReady()),
          NOTICED_MS,
          () => 'it stays ready',
        );
        const ready = await fetch(`http://127.0.0.1:${node.ports.health}/ready`);
        expect(ready.status).to.equal(503);
        expect(await ready.text()).to.include('Redis');
        const reply = await fetch(`http://127.0.0.1:${node.ports.ingest}/api/v2/ingest`, {
          method: 'POST',
          headers: { 'x-api-key': node.ingestKey },
          body: JSON.stringify(eventOf('while Redis is away')),
          signal: AbortSignal.timeout(20_000),
        });
        expect(reply.status).to.equal(503);
        expect(Number(reply.headers.get('retry-after'))).to.be.at.least(1);
      } finally {
        resume();
      }
      await node.whenReady(10_000);
      const numbers = await send(eventOf('ALERT-ONE'));
      await delivered(one, numbers);
      await node.settled();
    });

    it('survives requests with good and bad records while both stores are gone', async () => {
      const before = await node.actor('gateway-0-ingest-0');
      const resumes = [
        await signalActor(node, 'redis', 'SIGSTOP'),
        await signalActor(node, 'postgres', 'SIGSTOP'),
      ];
      const body = `${JSON.stringify(eventOf('mixed'))}\n{"hostname":"edge-1"}\n`;
      const { status } = await node.post(body);
      for (const resume of resumes) resume();
      expect(status).to.equal(503);
      await node.whenReady(10_000);
      await send(eventOf('after both'));
      await node.settled();
      expect((await node.actor('gateway-0-ingest-0')).restarts).to.equal(before.restarts);
    });
  });

  describe('whose PostgreSQL does not answer', () => {
    it('goes on taking events, answers its metrics, and then loses and doubles no row', async () => {
      await node.settled();
      const resume = await signalActor(node, 'postgres', 'SIGSTOP');
      const numbers: number[] = [];
      try {
        for (let round = 0; round < 10; round++) {
          numbers.push(...(await send(...[1, 2, 3].map((host) => eventOf('ALERT-ONE', `p-${host}`)))));
        }
        expect(await node.isReady()).to.equal(true);
        const startedMs = performance.now();
        const metrics = await fetchAdmin('/metrics');
        expect(metrics.status).to.equal(200);
        const text = await metrics.text();
        expect(text).to.include('mutt_ingest_requests_total');
        expect(text).to.match(/^mutt_ledger_in_flight_events [1-9]\d*$/m);
        const ledger = await node.ledger();
        expect(ledger.in_flight).to.equal(numbers.length);
        expect(performance.now() - startedMs).to.be.below(5_000);
      } finally {
        resume();
      }
      await node.settled();
      await delivered(one, numbers);
      expect([...(await rowsOf(numbers)).values()]).to.deep.equal(numbers.map(() => 1));
    });
  });

  describe('whose parts are killed', () => {
    it('loses no counter with them', async () => {
      const before = await counters();
      expect(before.size).to.be.above(50);
      for (const id of ['match-0', 'forward-0', 'gateway-0', 'admin']) {
        const { epoch } = await node.actor(id);
        if (id === 'gateway-0' || id === 'admin') await signalActor(node, id, 'SIGKILL');
        else await node.admin(`/api/v2/actors/${id}/restart`, { method: 'POST', body: { how: 'kill' } });
        await until(
          async () => {
            const now = await node.actor(id).catch(() => undefined);
            return now !== undefined && now.epoch > epoch && now.status === 'running';
          },
          15_000,
          () => `${id} does not come back`,
        );
      }
      const sent = await send(eventOf('ALERT-ONE'), eventOf('unmatched'));
      await node.settled();
      const now = await counters();
      const shrunk = [...before].filter(([name, value]) => (now.get(name) ?? -1) < value);
      expect(shrunk).to.deep.equal([]);
      // A child process reports its counters four times a second.
      const stored = 'mutt_ingest_stored_events_total';
      let added = 0;
      await until(
        async () => {
          added = ((await counters()).get(stored) ?? 0) - (before.get(stored) ?? 0);
          return added >= sent.length;
        },
        5_000,
        () => `${added} of ${sent.length} events are counted`,
      );
      expect(added).to.equal(sent.length);
    });

    /** Every counter of the scrape by its name and labels; gauges may fall. */
    async function counters(): Promise<Map<string, number>> {
      const text = await (await fetchAdmin('/metrics')).text();
      const kinds = new Map(
        [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [name, kind]),
      );
      return new Map(
        [...text.matchAll(/^(([a-z_]+)(?:\{.*\})?) ([\d.e+]+)$/gm)].flatMap(
          ([, series = '', name = '', value]) =>
            kinds.get(name) === 'counter' ? [[series, Number(value)] as const] : [],
        ),
      );
    }
  });

  describe('whose destination refuses an alert for good', () => {
    let settled: Ledger;

    it('keeps it as a dead letter, delivers the others, and counts its event as in flight', async () => {
      settled = await node.settled();
      one.judge = (body) => (String(body['description']).includes('POISON') ? 'refuse' : undefined);
      const [poison] = await send(eventOf('ALERT-ONE POISON', 'd-1'));
      const numbers = await send(eventOf('ALERT-ONE', 'd-1'), eventOf('ALERT-ONE', 'd-2'));
      await delivered(one, numbers);
      const letters = async (): Promise<{ destination: string; reason: string; description: string }[]> =>
        queryNode(
          node.dir,
          "SELECT destination, reason, alert ->> 'description' AS description FROM dead_letters",
        );
      await until(
        async () => (await letters()).length > 0,
        10_000,
        () => 'no dead letter',
      );
      const [letter] = await letters();
      expect(letter).to.include({ destination: 'one', reason: 'rejected' });
      expect(numberIn(letter?.description ?? '')).to.equal(poison);
      await until(
        async () => (await node.ledger()).in_flight === 1,
        10_000,
        () => 'its event is not in flight',
      );
      const ledger = await node.ledger();
      expect(ledger.balanced).to.equal(true);
      expect(ledger.terminal['forwarded']).to.equal((settled.terminal['forwarded'] ?? 0) + 2);
    });

    it('remembers that over a restart, and refuses another number of partitions', async () => {
      expect(await node.stop()).to.equal(0);
      const refusal = await new Promise<{ code: number; text: string }>((resolve) => {
        execFile(
          process.execPath,
          [ENTRY, 'start'],
          { env: { ...node.environment, MUTT_PARTITIONS: '4' }, timeout: 30_000 },
          (error, stdout, stderr) =>
            resolve({ code: error === null ? 0 : Number(error.code ?? -1), text: stdout + stderr }),
        );
      });
      expect(refusal.code, refusal.text).to.be.above(0);
      expect(refusal.text).to.include('E_PARTITIONS_CHANGED').and.to.include('MUTT_PARTITIONS=8');
      expect(processesOf(node.dir)).to.deep.equal([]);
      await node.start();
      const { in_flight, balanced, accepted } = await node.ledger();
      expect({ in_flight, balanced, accepted }).to.deep.equal({
        in_flight: 1,
        balanced: true,
        accepted: settled.accepted + 3,
      });
    });
  });
});

function numberIn(text: string): number {
  return Number(/edge=(\d+);/.exec(text)?.[1] ?? NaN);
}

function withKey(key: string): RequestInit {
  return { headers: { 'x-api-key': key, 'content-type': 'application/json' } };
}
