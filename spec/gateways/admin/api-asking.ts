/** How specs of the API ask: what has to go well, what has to be refused and how, lists to their end. */
import { expect } from 'chai';
import { after, before } from 'mocha';
import { NodeUnderTest } from '../../support/node-under-test.ts';
import { ApiUnderTest } from './api-under-test.ts';
import type { ApiReply, Asked } from './api-under-test.ts';

/** For the whole of a spec file. */
export const API_TIMEOUT_MS = 120_000;
/** For something to come about on a busy machine. */
export const WAIT_MS = 30_000;
const PAGES_MAX = 500;

export type Item = Record<string, unknown>;

/** What only a running node has. */
export interface Asking {
  node: NodeUnderTest;
  api: ApiUnderTest;
  ask: (operationId: string, asked?: Asked) => Promise<ApiReply>;
  /** Has to succeed. */
  good: (operationId: string, asked?: Asked) => Promise<ApiReply>;
  /** Has to be refused so, with a fault of this field; gives the problem. */
  refused: (reply: Promise<ApiReply>, status: number, code: string, field?: string) => Promise<Item>;
  /** The newest change that was recorded. */
  newest: (query: Record<string, string>) => Promise<Item>;
  /** Every item of a list, page by page. */
  all: (
    operationId: string,
    limit: number,
    query?: Record<string, string | number>,
    params?: Record<string, string | number>,
  ) => Promise<Item[]>;
}

export const items = (reply: ApiReply): Item[] => reply.body['items'] as Item[];

/** A node for the suite it is called in; its members are there when the suite's tests run. */
export function askingANode(): Asking {
  const asking = {
    ask: (operationId: string, asked: Asked = {}) => asking.api.call(operationId, asked),
    good: async (operationId: string, asked: Asked = {}) => {
      const reply = await asking.ask(operationId, asked);
      expect(reply.status, reply.text).to.be.within(200, 299);
      return reply;
    },
    refused: async (reply, status, code, field) => {
      const { body, text, ...rest } = await reply;
      expect(rest.status, text).to.equal(status);
      expect(body['code'], text).to.equal(code);
      if (field !== undefined) {
        const faults = body['errors'] as { field: string; why: string; mend: string }[];
        const fields = faults.map((fault) => fault.field);
        expect(fields, text).to.include(field);
        for (const fault of faults) expect(fault.why.length * fault.mend.length, text).to.be.greaterThan(0);
      }
      return body;
    },
    newest: async (query) => {
      const [entry] = items(await asking.good('listConfigAudit', { query: { ...query, limit: 1 } }));
      if (entry === undefined) throw new Error('nothing was recorded');
      return entry;
    },
    all: async (
      operationId: string,
      limit: number,
      query: Record<string, string | number> = {},
      params = {},
    ) => {
      const found: Item[] = [];
      let cursor: string | null = '';
      for (let pages = 0; cursor !== null; pages++) {
        expect(pages).to.be.lessThan(PAGES_MAX);
        const reply: ApiReply = await asking.good(operationId, {
          params,
          query: { ...query, limit, ...(cursor === '' ? {} : { cursor }) },
        });
        expect(items(reply).length).to.be.at.most(limit);
        found.push(...items(reply));
        cursor = reply.body['next'] as string | null;
      }
      return found;
    },
  } as Asking;
  before(async () => {
    asking.node = await NodeUnderTest.start();
    asking.api = await ApiUnderTest.of(asking.node);
    await asking.api.liftRate();
  });
  after(() => asking.node.close());
  return asking;
}
