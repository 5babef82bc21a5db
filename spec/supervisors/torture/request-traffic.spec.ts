/** What the traffic of a torture takes for answered, against a server that answers by plan. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RequestTraffic } from '../../../supervisors/torture/request-traffic.ts';
import { seededRandom } from '../../../supervisors/torture/random.ts';
import { until } from '../../support/node-under-test.ts';

interface Seen {
  key: string | undefined;
  numbers: number[];
}
interface Planned {
  status: number;
  body?: (count: number) => unknown;
  headers?: Record<string, string>;
  /** Breaks the connection in place of an answer. */
  isBroken?: boolean;
}

const GOOD: Planned = { status: 200, body: (accepted) => ({ accepted }) };
const REQUESTS = 12;

/** Runs one connection until it has sent some requests, which get these answers in turn and then good ones. */
async function meets(
  plan: Planned[],
  resending: number,
): Promise<{ seen: Seen[]; answered: number[]; not: number[]; traffic: RequestTraffic<number> }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const parsed = JSON.parse(Buffer.concat(chunks).toString()) as { n: string } | { n: string }[];
      const numbers = [parsed].flat().map(({ n }) => Number(n));
      seen.push({ key: request.headers['idempotency-key'] as string | undefined, numbers });
      const { status, body = () => ({}), headers = {}, isBroken } = plan[seen.length - 1] ?? GOOD;
      if (isBroken === true) request.socket.destroy();
      else response.writeHead(status, headers).end(JSON.stringify(body(numbers.length)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const [answered, not]: number[][] = [[], []];
  let n = 0;
  const traffic = new RequestTraffic<number>({
    urls: [`http://127.0.0.1:${port}/a`, `http://127.0.0.1:${port}/b`],
    key: () => 'k',
    connections: 1,
    resending,
    eventsPerSecond: 10_000,
    random: seededRandom(5),
    name: 'spec',
    next: () => ({ event: n, document: { n: String(n++) } }),
    settle: (events, isAnswered) => (isAnswered ? answered : not)?.push(...events),
  });
  traffic.start();
  await until(
    async () => seen.length >= REQUESTS,
    20_000,
    () => `${seen.length} requests came`,
  );
  await traffic.stop();
  server.closeAllConnections();
  server.close();
  expect([...(answered ?? []), ...(not ?? [])].sort((a, b) => a - b)).to.deep.equal(
    Array.from({ length: n }, (_, at) => at),
  );
  return { seen, answered: answered ?? [], not: not ?? [], traffic };
}

const NOT_ANSWERED: Record<string, Planned> = {
  'a broken connection': { status: 0, isBroken: true },
  'a 500': { status: 500 },
  'a 503 that says when to come again': {
    status: 503,
    body: () => ({ code: 'E_STORE_AWAY', detail: 'try again' }),
    headers: { 'retry-after': '2' },
  },
  'a 200 that accepted less': { status: 200, body: (count) => ({ accepted: count - 1 }) },
  'a 200 that calls the key reused': {
    status: 200,
    body: (accepted) => ({ accepted, idempotency_key_reused: true }),
  },
};

describe('The traffic of a torture', function () {
  this.timeout(30_000);

  it('takes a 200 with everything accepted as answered, and sends in order', async () => {
    const { seen, not, traffic } = await meets([], 0);
    expect(not).to.deep.equal([]);
    expect(traffic.oddities).to.deep.equal([]);
    const numbers = seen.flatMap((each) => each.numbers);
    expect(numbers).to.deep.equal([...numbers].sort((a, b) => a - b));
    expect(seen.every(({ key }) => key === undefined)).to.equal(true);
  });

  for (const [what, planned] of Object.entries(NOT_ANSWERED)) {
    it(`does not take ${what} as answered`, async () => {
      const { seen, answered, not } = await meets([GOOD, planned], 0);
      expect(not).to.deep.equal(seen[1]?.numbers);
      expect(answered).to.include.members(seen[0]?.numbers ?? []);
    });

    it(`sends again under the same key after ${what}, before anything else`, async () => {
      const { seen, not } = await meets([planned, planned, planned], 1);
      expect(not).to.deep.equal([]);
      const [first, ...again] = seen.slice(0, 4);
      for (const each of again) expect(each).to.deep.equal(first);
      expect(seen.find(({ key }) => key !== first?.key)?.numbers[0]).to.be.above(
        first?.numbers.at(-1) ?? Infinity,
      );
    });
  }

  it('complains of answers that none may be, and of a 503 that does not say what to do', async () => {
    const { traffic } = await meets(
      [{ status: 500 }, { status: 503 }, NOT_ANSWERED['a 503 that says when to come again'] ?? GOOD],
      0,
    );
    expect(traffic.oddities).to.have.length(2);
    expect(traffic.oddities[0]).to.match(/^500 with/);
    expect(traffic.oddities[1]).to.match(/^503 with the code ""/);
    expect([...traffic.refusals]).to.deep.equal([
      ['', 1],
      ['E_STORE_AWAY', 1],
    ]);
  });
});
