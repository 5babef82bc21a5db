/**
 * What all endpoints of the old API have in common: they say that they are deprecated and what takes their place, and
 * their refusals have the member `error` that old clients read.
 */
import { Type } from 'typebox';
import type { TObject, TSchema } from 'typebox';
import { CodedError, codeOf } from '../../../runtime/errors.ts';
import { deprecationHeaders } from '../../http/deprecation.ts';
import { endpoint } from '../endpoint.ts';
import type { AnyEndpoint, Endpoint } from '../endpoint.ts';
import { reason } from '../inputs.ts';

export const V1_VERSION = '1.0';
export const V2_VERSION = '2.0';
export const VERSION_HEADERS = [
  ['X-API-Version', V1_VERSION],
  ['X-API-Supported-Versions', `${V2_VERSION}, ${V1_VERSION}`],
] as const;
const ATTEMPTS_MAX = 5;

/** What a change answers. */
export const said = Type.Object({ message: Type.String() });
/** Of a removal. */
export const reasonBody = {
  schema: Type.Object({ reason: Type.Optional(reason) }),
  isOptional: true,
} as const;

type V1Endpoint<Params extends TObject, Query extends TObject, Body extends TSchema> = Omit<
  Endpoint<Params, Query, Body>,
  'deprecated' | 'replyHeaders' | 'problemMembers' | 'ifMatch' | 'isVersioned'
> & {
  /** The path of API v2 that takes its place. */
  successor: string;
};

export function v1Endpoint<Params extends TObject, Query extends TObject, Body extends TSchema>({
  successor,
  ...described
}: V1Endpoint<Params, Query, Body>): AnyEndpoint {
  return endpoint({
    ...described,
    deprecated: true,
    replyHeaders: [...deprecationHeaders(successor), ...VERSION_HEADERS],
    problemMembers: ({ detail }) => ({ error: detail }),
  });
}

/**
 * Old clients know no versions: they change what is there now. `change` reads it and writes on that version alone; when
 * somebody else was faster it is done again, so no change of theirs is lost. Errors: those of `change`.
 */
export async function onWhatIsThere<T>(change: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await change();
    } catch (thrown) {
      if (codeOf(thrown) !== 'E_VERSION_STALE') throw thrown;
      if (attempt < ATTEMPTS_MAX) continue;
      throw new CodedError(
        'E_VERSION_CONFLICT',
        'it was changed again and again while this change was made',
        {
          mend: 'Try again.',
        },
      );
    }
  }
}

/** Times as the predecessor wrote them: RFC 1123, GMT. */
export function v1Time(rfc3339: string): string {
  return new Date(rfc3339).toUTCString();
}
