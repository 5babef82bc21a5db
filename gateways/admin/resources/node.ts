/** The node as a whole: status, version, the books, metrics, and that it lives. */
import { Type } from 'typebox';
import type { LedgerPort, MetricsPort, NodePort } from '../admin-port.ts';
import { ledgerDocument, versionDocument } from '../documents.ts';
import { statusDocument } from '../status-document.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { STORE_ERRORS } from '../problems.ts';

export function nodeEndpoints(node: NodePort, ledger: LedgerPort, metrics: MetricsPort): AnyEndpoint[] {
  return [
    endpoint({
      operationId: 'getMetrics',
      method: 'get',
      path: '/metrics',
      scope: 'open',
      tag: 'node',
      summary: 'Prometheus text of all processes and threads',
      replies: { 200: { description: 'Prometheus text', isText: true } },
      errors: ['E_CALL_TIMEOUT'],
      answer: async () => ({ status: 200, body: undefined, text: await metrics.exposition() }),
    }),
    endpoint({
      operationId: 'getHealth',
      method: 'get',
      path: '/health',
      scope: 'open',
      tag: 'node',
      summary: 'Answers while the admin process lives',
      replies: { 200: { description: 'It lives', schema: Type.Object({ status: Type.Literal('alive') }) } },
      errors: [],
      answer: async () => ok({ status: 'alive' }),
    }),
    endpoint({
      operationId: 'getStatus',
      method: 'get',
      path: '/api/v2/status',
      scope: 'read',
      tag: 'node',
      summary: 'Readiness, version, addresses, the snapshot that each worker runs, the tree of actors',
      replies: { 200: { description: 'The node', schema: statusDocument } },
      errors: ['E_CALL_TIMEOUT'],
      answer: async () => ok(await node.status()),
    }),
    endpoint({
      operationId: 'getVersion',
      method: 'get',
      path: '/api/v2/version',
      scope: 'read',
      tag: 'node',
      summary: 'The version of MUTT, of Node, and of the API',
      replies: { 200: { description: 'Versions', schema: versionDocument } },
      errors: [],
      answer: async () => ok(await node.version()),
    }),
    endpoint({
      operationId: 'getLedger',
      method: 'get',
      path: '/api/v2/ledger',
      scope: 'read',
      tag: 'ledger',
      summary: 'The books: accepted, terminal states, in flight, balanced, lost, partitions',
      replies: { 200: { description: 'The ledger', schema: ledgerDocument } },
      errors: STORE_ERRORS,
      answer: async () => ok(await ledger.read()),
    }),
  ];
}
