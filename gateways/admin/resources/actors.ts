/** The live tree. */
import { Type } from 'typebox';
import { CodedError } from '../../../runtime/errors.ts';
import { nearestWord } from '../../../runtime/nearest-word.ts';
import type { ActorsPort } from '../admin-port.ts';
import { actorDocument, oneOf } from '../documents.ts';
import type { ActorDocument } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed } from '../inputs.ts';

const params = closed({
  id: Type.String({ minLength: 1, maxLength: 200, description: 'the id of an actor' }),
});

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
  ];
}

function flat(actor: ActorDocument): ActorDocument[] {
  return [actor, ...(actor.children ?? []).flatMap(flat)];
}
