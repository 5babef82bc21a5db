/** The partitions of the mailboxes. */
import type { PartitionsPort } from '../admin-port.ts';
import { listOf, partitionDocument } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, wholeNumber } from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';

const PARTITION_MAX = 1_023;

export function partitionEndpoints(partitions: PartitionsPort): AnyEndpoint[] {
  const path = '/api/v2/partitions';
  const errors = ['E_CALL_TIMEOUT', ...STORE_ERRORS];
  return [
    endpoint({
      operationId: 'listPartitions',
      method: 'get',
      path,
      scope: 'read',
      tag: 'partitions',
      summary:
        'Who handles each partition, what waits in it, since when, why it is held back, and until when',
      replies: { 200: { description: 'All partitions', schema: listOf(partitionDocument) } },
      errors,
      answer: async () => ok({ items: await partitions.list(), next: null }),
    }),
    endpoint({
      operationId: 'getPartition',
      method: 'get',
      path: `${path}/:n`,
      scope: 'read',
      tag: 'partitions',
      summary: 'One partition',
      params: closed({ n: wholeNumber(0, PARTITION_MAX) }),
      replies: { 200: { description: 'The partition', schema: partitionDocument } },
      errors: ['E_NOT_FOUND', ...errors],
      answer: async (call) => {
        const found = (await partitions.list()).find(({ partition }) => partition === call.params.n);
        if (found === undefined) throw notFound('partition', 'List the partitions; the first is 0.');
        return ok(found);
      },
    }),
  ];
}
