/** The live tree, and what an operator may do to its parts. */
import { Type } from 'typebox';
import { CodedError } from '../../../runtime/errors.ts';
import { nearestWord } from '../../../runtime/nearest-word.ts';
import type { ActorsPort } from '../admin-port.ts';
import { actorDocument, actorStateDocument, oneOf } from '../documents.ts';
import type { ActorDocument } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed } from '../inputs.ts';

const params = closed({
  id: Type.String({ minLength: 1, maxLength: 200, description: 'the id of an actor' }),
});

const actorPath = closed({
  id: Type.String({
    minLength: 1,
    maxLength: 400,
    description: 'the path of an actor, or the unique end of one: match-0%2Fmatch',
  }),
});
const operated = Type.Object({ id: Type.String(), status: Type.String() });
const OPERATION_ERRORS = [
  'E_ACTOR_UNKNOWN',
  'E_ACTOR_AMBIGUOUS',
  'E_CHILD_UNKNOWN',
  'E_NOT_AN_ACTOR',
  'E_CHILD_DOWN',
  'E_ACTOR_STOPPED',
  'E_SUSPEND_FAILED',
  'E_CALL_TIMEOUT',
];

export function actorEndpoints(actors: ActorsPort): AnyEndpoint[] {
  const path = '/api/v2/actors';
  return [
    endpoint({
      operationId: 'getActors',
      method: 'get',
      path,
      scope: 'read',
      tag: 'actors',
      summary: 'The tree of supervisors, processes, threads and actors as it is now',
      replies: { 200: { description: 'The root, with what is below it', schema: actorDocument } },
      errors: ['E_CALL_TIMEOUT'],
      answer: async () => ok(await actors.tree()),
    }),
    endpoint({
      operationId: 'getActor',
      method: 'get',
      path: `${path}/:id`,
      scope: 'read',
      tag: 'actors',
      summary: 'One part of the tree with what is below it',
      params,
      replies: { 200: { description: 'The part', schema: actorDocument } },
      errors: ['E_ACTOR_UNKNOWN', 'E_CALL_TIMEOUT'],
      answer: async (call) => {
        const parts = flat(await actors.tree());
        const found = parts.find(({ id }) => id === call.params.id);
        if (found !== undefined) return ok(found);
        const nearest = nearestWord(
          call.params.id.slice(0, 64),
          parts.map(({ id }) => id),
        );
        throw new CodedError('E_ACTOR_UNKNOWN', 'nothing of this name runs here', {
          mend: nearest === undefined ? 'List the actors.' : `Did you mean ${nearest}?`,
        });
      },
    }),
    endpoint({
      operationId: 'restartActor',
      method: 'post',
      path: `${path}/:id/restart`,
      scope: 'operate',
      tag: 'actors',
      summary: 'Restarts a part of the tree: drain (default) lets it finish, kill does not',
      params,
      body: { schema: closed({ how: Type.Optional(oneOf(['drain', 'kill'])) }), isOptional: true },
      replies: {
        200: {
          description: 'It was told to',
          schema: Type.Object({ id: Type.String(), how: Type.String() }),
        },
      },
      errors: ['E_ACTOR_UNKNOWN', 'E_CALL_TIMEOUT'],
      answer: async (call) => ok(await actors.restart(call.params.id, call.body.how ?? 'drain', call.caller)),
    }),
    endpoint({
      operationId: 'suspendActor',
      method: 'post',
      path: `${path}/:id/suspend`,
      scope: 'operate',
      tag: 'actors',
      summary: 'Lets an actor begin no work: what comes for it waits',
      params: actorPath,
      replies: { 200: { description: 'It has ended what it had in hand', schema: operated } },
      errors: OPERATION_ERRORS,
      answer: async (call) => ok(await actors.suspend(call.params.id, call.caller)),
    }),
    endpoint({
      operationId: 'resumeActor',
      method: 'post',
      path: `${path}/:id/resume`,
      scope: 'operate',
      tag: 'actors',
      summary: 'Ends the suspension of an actor',
      params: actorPath,
      replies: { 200: { description: 'It works again', schema: operated } },
      errors: OPERATION_ERRORS,
      answer: async (call) => ok(await actors.resume(call.params.id, call.caller)),
    }),
    endpoint({
      operationId: 'inspectActor',
      method: 'get',
      path: `${path}/:id/state`,
      scope: 'read',
      tag: 'actors',
      summary: 'How an actor is at this moment, and what it says of its state',
      params: actorPath,
      replies: { 200: { description: 'Its state', schema: actorStateDocument } },
      errors: [
        ...OPERATION_ERRORS.filter((code) => code !== 'E_SUSPEND_FAILED'),
        'E_INSPECT_FAILED',
        'E_STATE_TOO_LARGE',
      ],
      answer: async (call) => ok(await actors.inspect(call.params.id, call.caller)),
    }),
  ];
}

function flat(actor: ActorDocument): ActorDocument[] {
  return [actor, ...(actor.children ?? []).flatMap(flat)];
}
