/**
 * Replays of dead letters: asked for here, done by the remediation actors, at a pace, and followed until the last letter
 * has ended.
 */
import { Type } from 'typebox';
import { CodedError } from '../../../runtime/errors.ts';
import type { ReplaysPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { listOf } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import {
  changeOf,
  closed,
  given,
  msOf,
  reason,
  reasonBody,
  reasonQuery,
  textOf,
  time,
  wholeNumber,
} from '../inputs.ts';
import { faulty, notFound, STORE_ERRORS } from '../problems.ts';
import { alertEdit, replayOperationDocument, replayPreviewDocument } from '../replay-documents.ts';

/** Letters of one operation. */
export const REPLAYED_LETTERS_MAX = 1_000_000;
const IDS_MAX = 200;
const PER_SECOND_MAX = 10_000;
const PER_SECOND_DEFAULT = 50;
const POSITION_MAX = 8_640_000_000_000_000;

const alertId = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'an id as the list shows it' });
const params = closed({
  id: Type.String({
    pattern: '^[A-Za-z0-9_-]{1,64}$',
    description: 'the id of a replay as the list shows it',
  }),
});
const position = closed({
  at: Type.Integer({ minimum: 0, maximum: POSITION_MAX }),
  id: Type.String({ minLength: 1, maxLength: 255 }),
});
const unknownReplay = () => notFound('replay', 'List the replays.');

export function replayEndpoints(replays: ReplaysPort): AnyEndpoint[] {
  const path = '/api/v2/failures/replays';
  const item = `${path}/:id`;
  const operation = { description: 'The replay', schema: replayOperationDocument };
  return [
    endpoint({
      operationId: 'replayDeadLetters',
      method: 'post',
      path,
      scope: 'operate',
      tag: 'failures',
      summary: 'Puts dead letters back into the lanes of their destinations; with dry_run only says which',
      query: reasonQuery,
      body: {
        schema: closed({
          ids: Type.Optional(
            Type.Array(alertId, {
              minItems: 1,
              maxItems: IDS_MAX,
              uniqueItems: true,
              description: `a list of 1 to ${IDS_MAX} ids, each once`,
            }),
          ),
          destination: Type.Optional(textOf(63)),
          code: Type.Optional(textOf(100)),
          team: Type.Optional(textOf(100)),
          rule_id: Type.Optional(wholeNumber(0, 2_147_483_647)),
          since: Type.Optional(time),
          letters_max: Type.Optional(wholeNumber(1, REPLAYED_LETTERS_MAX)),
          per_second: Type.Optional(wholeNumber(1, PER_SECOND_MAX)),
          set: Type.Optional(alertEdit),
          dry_run: Type.Optional(Type.Boolean()),
          reason: Type.Optional(reason),
        }),
      },
      replies: {
        200: { description: 'What would be replayed', schema: replayPreviewDocument },
        202: operation,
      },
      errors: ['E_NOTHING_TO_REPLAY', 'E_SEARCH_TOO_LONG', ...STORE_ERRORS],
      answer: async (call) => {
        const { ids, destination, code, team, rule_id: ruleId, since, letters_max: most } = call.body;
        const asked = given({ ids, destination, reason: code, team, ruleId, sinceMs: msOf(since, 'since') });
        if (Object.keys(asked).length === 0) throw nothingNamed();
        const selection = { ...asked, lettersMax: most ?? REPLAYED_LETTERS_MAX };
        if (call.body.dry_run === true) return ok(await replays.preview(selection));
        const edit = given({ edit: call.body.set });
        const perSecond = call.body.per_second ?? PER_SECOND_DEFAULT;
        const begun = await replays.begin({ ...selection, ...edit, perSecond }, changeOf(call));
        if (begun === undefined) throw nothingToReplay();
        const headers = { Location: `${path}/${begun.id}` };
        return { status: 202, body: begun, headers };
      },
    }),
    endpoint({
      operationId: 'listReplays',
      method: 'get',
      path,
      scope: 'read',
      tag: 'failures',
      summary: 'Replays of dead letters with how far they are, newest first',
      query: closed(pageQuery),
      replies: { 200: { description: 'A page of replays', schema: listOf(replayOperationDocument) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ query }) => ok(await readPage(query, position, (page) => replays.list(page))),
    }),
    endpoint({
      operationId: 'getReplay',
      method: 'get',
      path: item,
      scope: 'read',
      tag: 'failures',
      summary: 'One replay of dead letters with how far it is',
      params,
      replies: { 200: operation },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const found = await replays.get(call.params.id);
        if (found === undefined) throw unknownReplay();
        return ok(found);
      },
    }),
    endpoint({
      operationId: 'cancelReplay',
      method: 'delete',
      path: item,
      scope: 'operate',
      tag: 'failures',
      summary: 'Takes back what still waits of a replay; what is on its way goes on',
      params,
      query: reasonQuery,
      body: { schema: reasonBody, isOptional: true },
      replies: { 200: operation },
      errors: ['E_NOT_FOUND', 'E_REPLAY_ENDED', ...STORE_ERRORS],
      answer: async (call) => {
        const isCanceled = await replays.cancel(call.params.id, changeOf(call));
        const found = await replays.get(call.params.id);
        if (found === undefined) throw unknownReplay();
        if (!isCanceled) {
          throw new CodedError('E_REPLAY_ENDED', 'none of its letters waits any more', {
            mend: 'See with GET what became of them.',
          });
        }
        return ok(found);
      },
    }),
  ];
}

function nothingNamed(): CodedError {
  return faulty('E_BODY_INVALID', 'the body', [
    {
      field: 'ids',
      why: 'is missing, and so is everything else that names letters',
      mend: 'Give ids, or at least one of destination, code, team, rule_id and since.',
    },
  ]);
}

function nothingToReplay(): CodedError {
  return new CodedError('E_NOTHING_TO_REPLAY', 'no dead letter that waits is named by this', {
    mend: 'List the dead letters. Those that are replayed already, that have ended, or whose destination is gone are not taken.',
  });
}
