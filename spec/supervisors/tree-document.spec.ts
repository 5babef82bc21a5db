import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { treeDocument } from '../../supervisors/tree-document.ts';
import { started } from '../support/supervisor-bed.ts';

const AT = Date.parse('2024-05-01T12:00:00Z');
const rootOf = (view: unknown): Supervisor => ({ describe: () => view }) as unknown as Supervisor;

describe('treeDocument', () => {
  it('describes a real supervisor and its children', async () => {
    const { supervisor } = await started({ ids: ['a', 'b'] });
    const document = treeDocument(supervisor);
    expect(document).to.include({ id: 'root', status: 'running', epoch: 1, restarts: 0 });
    expect(document.children?.map(({ id, status }) => [id, status])).to.deep.equal([
      ['a', 'running'],
      ['b', 'running'],
    ]);
    expect(document.children?.every(({ epoch }) => epoch > 0)).to.equal(true);
    expect(document.children?.every(({ since }) => since?.endsWith('Z'))).to.equal(true);
  });

  it('shows what runs in threads and processes at the same fields, down to the last level', () => {
    const actor = {
      id: 'match',
      status: 'running',
      epoch: 1,
      restarts: 2,
      detail: { placement: 'local', waiting: 3 },
    };
    const document = treeDocument(
      rootOf({
        id: 'node',
        status: 'running',
        children: [
          {
            id: 'gateway-0',
            status: 'running',
            epoch: 4,
            restarts: 3,
            sinceMs: AT,
            exits: [{ atMs: AT, reason: 'killed' }],
            detail: {
              placement: 'process',
              pid: 17,
              rssBytes: 5,
              tree: {
                children: [
                  {
                    id: 'ingest-0',
                    status: 'running',
                    epoch: 1,
                    restarts: 0,
                    detail: { placement: 'thread', heapUsedBytes: 9, doing: '', tree: { children: [actor] } },
                  },
                ],
              },
            },
          },
          { id: 'nested', status: 'running', detail: { children: [actor] } },
        ],
      }),
    );
    const [gateway, nested] = document.children ?? [];
    expect(gateway).to.deep.include({
      epoch: 4,
      restarts: 3,
      since: '2024-05-01T12:00:00.000Z',
      exits: [{ at: '2024-05-01T12:00:00.000Z', reason: 'killed' }],
      placement: 'process',
      pid: 17,
      rss_bytes: 5,
    });
    const thread = gateway?.children?.[0];
    expect(thread).to.include({ placement: 'thread', heap_used_bytes: 9 }).and.not.have.property('doing');
    const leaf = { id: 'match', status: 'running', epoch: 1, restarts: 2, placement: 'local', waiting: 3 };
    expect(thread?.children).to.deep.equal([leaf]);
    expect(nested?.children).to.deep.equal([leaf]);
    expect(nested).to.not.have.property('exits');
  });

  it('leaves out what a part does not know, instead of guessing', () => {
    expect(
      treeDocument(rootOf({ id: 'x', status: 'down', detail: { pid: 'seven', doing: 5, tree: null } })),
    ).to.deep.equal({
      id: 'x',
      status: 'down',
      epoch: 0,
      restarts: 0,
    });
  });
});
