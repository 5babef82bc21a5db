/**
 * What could not go its way: rejects and quarantined events, which may be sent again or thrown away, and dead letters, which
 * may be thrown away here and are replayed in replays.ts.
 */
import { Type } from 'typebox';
import { CodedError } from '../../../runtime/errors.ts';
import type { FailuresPort, ResubmittedReject } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { listOf, oneOf } from '../documents.ts';
import { endpoint, NO_CONTENT, ok } from '../endpoint.ts';
import type { AnyEndpoint, Reply } from '../endpoint.ts';
import {
  discardedDocument,
  FAILURE_KINDS,
  LETTER_STATES,
  failureDetailDocument,
  failureDocument,
  REJECT_STATES,
  rejectTotalsDocument,
  resubmittedDocument,
} from '../failure-documents.ts';
import type { DiscardedDocument, FailureKind, ResubmittedDocument } from '../failure-documents.ts';
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

/** One page of a list. */
export const IDS_MAX = 200;
/** Of a body that is sent instead, and of one that is shown: as much as is kept of a reject. */
export const FAILURE_BODY_BYTES_MAX = 1024 * 1024;
const BYTES_SHOWN_DEFAULT = 64 * 1024;
const BASE64_CHARS_MAX = Math.ceil(FAILURE_BODY_BYTES_MAX / 3) * 4;
const POSITION_MAX = 8_640_000_000_000_000;

const id = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}$',
  description: 'an id as the list shows it',
});
const ids = Type.Array(id, {
  minItems: 1,
  maxItems: IDS_MAX,
  uniqueItems: true,
  description: `a list of 1 to ${IDS_MAX} ids, each once`,
});
const params = closed({ id });
const positionOf = (kind: FailureKind) =>
  closed({
    kind: Type.Literal(kind),
    at: Type.Integer({ minimum: 0, maximum: POSITION_MAX }),
    id: Type.String({ minLength: 1, maxLength: 255 }),
  });
const keyPosition = Type.String({ minLength: 1, maxLength: 255 });
const unknownFailure = () => notFound('failure', 'List the failures; the oldest may have gone at a bound.');
const REJECT_FILTERS = ['key', 'sender'] as const;
const LETTER_FILTERS = ['destination', 'team', 'rule_id', 'store'] as const;
const REFUSALS = ['E_NOT_FOUND', 'E_REJECT_BUSY'];

export function failureEndpoints(failures: FailuresPort): AnyEndpoint[] {
  const path = '/api/v2/failures';
  const item = `${path}/:id`;
  return [
    endpoint({
      operationId: 'listFailures',
      method: 'get',
      path,
      scope: 'read',
      tag: 'failures',
      summary:
        'Rejects, or by kind alerts that no destination took (dead_letter) or events that broke their handler (quarantine), newest first',
      query: closed({
        ...pageQuery,
        kind: Type.Optional(oneOf(FAILURE_KINDS)),
        key: Type.Optional(textOf(255)),
        code: Type.Optional(textOf(100)),
        sender: Type.Optional(textOf(255)),
        state: Type.Optional(oneOf([...REJECT_STATES, ...LETTER_STATES])),
        destination: Type.Optional(textOf(63)),
        team: Type.Optional(textOf(100)),
        rule_id: Type.Optional(wholeNumber(0, 2_147_483_647)),
        store: Type.Optional(textOf(100)),
        since: Type.Optional(time),
      }),
      replies: { 200: { description: 'A page of failures', schema: listOf(failureDocument) } },
      errors: ['E_CURSOR_INVALID', 'E_SEARCH_TOO_LONG', ...STORE_ERRORS],
      answer: async ({ query }) => {
        const { kind = 'reject', limit, cursor, since, key, code, sender, state, ...ofLetters } = query;
        refuseFilters(kind, query);
        const { destination, team, rule_id: ruleId, store } = ofLetters;
        const filters = given({
          keyName: key,
          code,
          sender,
          state,
          destination,
          team,
          ruleId,
          store,
          sinceMs: msOf(since, 'since'),
        });
        const page = given({ limit, cursor });
        return ok(
          await readPage(page, positionOf(kind), (at) => failures.search({ kind, ...filters, ...at })),
        );
      },
    }),
    endpoint({
      operationId: 'listRejectTotals',
      method: 'get',
      path: `${path}/totals`,
      scope: 'read',
      tag: 'failures',
      summary: 'By API key, how many rejects are kept and what became of the others since ever',
      query: closed(pageQuery),
      replies: { 200: { description: 'A page of API keys', schema: listOf(rejectTotalsDocument) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ query }) => ok(await readPage(query, keyPosition, (page) => failures.totals(page))),
    }),
    endpoint({
      operationId: 'getFailure',
      method: 'get',
      path: item,
      scope: 'read',
      tag: 'failures',
      summary: 'One failure with its body, as text and in base64',
      params,
      query: closed({ bytes: Type.Optional(wholeNumber(0, FAILURE_BODY_BYTES_MAX)) }),
      replies: { 200: { description: 'The failure', schema: failureDetailDocument } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const found = await failures.get(call.params.id, call.query.bytes ?? BYTES_SHOWN_DEFAULT);
        if (found === undefined) throw unknownFailure();
        return ok(found);
      },
    }),
    endpoint({
      operationId: 'resubmitFailures',
      method: 'post',
      path: `${path}/resubmit`,
      scope: 'operate',
      tag: 'failures',
      summary: 'Sends rejects or quarantined events once more as they are kept; each has its own outcome',
      query: reasonQuery,
      body: { schema: closed({ ids, reason: Type.Optional(reason) }) },
      replies: {
        200: { description: 'The outcomes', schema: Type.Object({ items: Type.Array(resubmittedDocument) }) },
      },
      errors: STORE_ERRORS,
      answer: async (call) => {
        const rejects = call.body.ids.map((each) => ({ id: each }));
        return ok({ items: await failures.resubmit(rejects, changeOf(call)) });
      },
    }),
    endpoint({
      operationId: 'discardFailures',
      method: 'post',
      path: `${path}/discard`,
      scope: 'operate',
      tag: 'failures',
      summary: 'Throws failures of any kind away for ever; each has its own outcome',
      query: reasonQuery,
      body: { schema: closed({ ids, reason: Type.Optional(reason) }) },
      replies: {
        200: { description: 'The outcomes', schema: Type.Object({ items: Type.Array(discardedDocument) }) },
      },
      errors: STORE_ERRORS,
      answer: async (call) => ok({ items: await failures.discard(call.body.ids, changeOf(call)) }),
    }),
    endpoint({
      operationId: 'resubmitFailure',
      method: 'post',
      path: `${item}/resubmit`,
      scope: 'operate',
      tag: 'failures',
      summary:
        'Sends a reject or a quarantined event once more, as it is or with another body; with dry_run only judges it',
      params,
      query: reasonQuery,
      body: {
        schema: closed({
          body: Type.Optional(Type.String({ maxLength: FAILURE_BODY_BYTES_MAX, description: 'a text' })),
          body_base64: Type.Optional(
            Type.String({
              maxLength: BASE64_CHARS_MAX,
              pattern: '^[A-Za-z0-9+/]*={0,2}$',
              description: 'bytes in base64',
            }),
          ),
          dry_run: Type.Optional(Type.Boolean()),
          reason: Type.Optional(reason),
        }),
        isOptional: true,
      },
      replies: {
        200: { description: 'It is stored, was before, or would be', schema: resubmittedDocument },
        202: { description: 'It will be stored as soon as Redis takes it', schema: resubmittedDocument },
      },
      errors: [...REFUSALS, 'E_FAILURE_READ_ONLY', 'E_REJECT_UNUSABLE', ...STORE_ERRORS],
      answer: async (call) => {
        const reject = { id: call.params.id, ...editedBody(call.body) };
        if (call.body.dry_run === true) return replyTo(await failures.judge(reject));
        const [outcome] = await failures.resubmit([reject], changeOf(call));
        return replyTo(outcome);
      },
    }),
    endpoint({
      operationId: 'discardFailure',
      method: 'delete',
      path: item,
      scope: 'operate',
      tag: 'failures',
      summary: 'Throws a failure of any kind away for ever',
      params,
      query: reasonQuery,
      body: { schema: reasonBody, isOptional: true },
      replies: { 204: { description: 'It is gone' } },
      errors: [...REFUSALS, ...STORE_ERRORS],
      answer: async (call) => {
        const [discarded] = await failures.discard([call.params.id], changeOf(call));
        if (discarded?.outcome !== 'discarded') throw refusalOf(discarded);
        return NO_CONTENT;
      },
    }),
  ];
}

/** Each kind has its own. Errors: E_PARAMETER_INVALID. */
function refuseFilters(kind: FailureKind, query: Record<string, unknown>): void {
  const states: readonly string[] =
    kind === 'reject' ? REJECT_STATES : kind === 'dead_letter' ? LETTER_STATES : [];
  const others = [
    ...(kind === 'reject' ? [] : REJECT_FILTERS),
    ...(kind === 'dead_letter' ? [] : LETTER_FILTERS),
    ...(kind === 'quarantine' ? ['code'] : []),
    ...(states.includes(String(query['state'])) ? [] : ['state']),
  ];
  const faults = others
    .filter((field) => query[field] !== undefined)
    .map((field) => ({
      field,
      why: `is not for kind=${kind}`,
      mend: field === 'state' && states.length > 0 ? `Give one of ${states.join(', ')}.` : 'Leave it out.',
    }));
  if (faults.length > 0) throw faulty('E_PARAMETER_INVALID', 'a query parameter is not usable', faults);
}

/** Errors: E_BODY_INVALID. */
function editedBody({
  body,
  body_base64: base64,
}: {
  body?: string;
  body_base64?: string;
}): Pick<ResubmittedReject, 'body'> {
  if (body === undefined && base64 === undefined) return {};
  const refuse = (field: string, why: string, mend: string): CodedError =>
    faulty('E_BODY_INVALID', 'the body', [{ field, why, mend }]);
  if (body !== undefined && base64 !== undefined) {
    throw refuse('body_base64', 'is given beside body', 'Give one of them.');
  }
  const bytes = body === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(body);
  const field = body === undefined ? 'body_base64' : 'body';
  if (bytes.length > FAILURE_BODY_BYTES_MAX) {
    throw refuse(field, 'is too long', `Give at most ${FAILURE_BODY_BYTES_MAX} bytes.`);
  }
  return { body: bytes };
}

function replyTo(document: ResubmittedDocument | undefined): Reply {
  switch (document?.outcome) {
    case 'resubmitted':
    case 'already_resubmitted':
    case 'usable':
      return ok(document);
    case 'pending':
      return { status: 202, body: document };
    case 'unusable':
      throw unusable(document);
    default:
      throw refusalOf(document);
  }
}

function unusable({ errors }: ResubmittedDocument): CodedError {
  const faults = errors.map(({ index, code, message }) => ({
    field: `records[${index}]`,
    why: message,
    mend: 'Send a corrected body.',
    code,
  }));
  return faulty('E_REJECT_UNUSABLE', 'the reject is still not usable', faults);
}

function refusalOf(document: ResubmittedDocument | DiscardedDocument | undefined): CodedError {
  if (document?.outcome === 'read_only') {
    return new CodedError('E_FAILURE_READ_ONLY', 'a dead letter is not sent through the ingest port', {
      mend: 'Replay it with POST /api/v2/failures/replays.',
    });
  }
  if (document?.outcome !== 'busy') return unknownFailure();
  const detail = 'detail' in document ? document.detail : null;
  return new CodedError('E_REJECT_BUSY', detail ?? 'it is being resubmitted or replayed, or was', {
    mend: 'Ask again in a moment; when it stays so, see whether the node that has it in hand runs.',
  });
}
