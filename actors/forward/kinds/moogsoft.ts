/**
 * Moogsoft on-premises: its webhook and REST LAMs (wire formats, section 5.1). A repeat folds by `signature`, and
 * severity 0 clears.
 */
import { moogsoftPayload } from '../moogsoft-payload.ts';
import type { SentOutcome } from '../../ports.ts';
import { describeResponse } from '../classify-response.ts';
import type { ResponseHead } from '../classify-response.ts';
import { authorization } from './credential.ts';
import { JSON_TYPE, asWritten } from './kind.ts';
import type { Kind } from './kind.ts';

export const moogsoft: Kind = {
  label: 'Moogsoft webhook or REST LAM',
  // A JSON Web Token is a bearer's; `auth_token` is the LAM's shared secret, which it wants in the body.
  auth: ['bearer', 'basic', 'auth_token'],
  needsCredential: false,
  fields: ['auth'],
  endpoint: asWritten,
  message: ({ alert, destination: { auth }, credential }) => {
    const event = moogsoftPayload(alert);
    const isInBody = auth === 'auth_token' && credential !== undefined;
    return {
      headers: { ...JSON_TYPE, ...authorization(auth, credential) },
      body: JSON.stringify(isInBody ? { auth_token: credential, events: [event] } : event),
    };
  },
  judge: judgeLam,
};

/**
 * A LAM answers 200 with `{"success":…,"message":…,"response":{"received":1,"processed":1}}`, and that the event was
 * read and not processed is only in there: a severity it does not know, say. That it is not well is tried again.
 */
function judgeLam(response: ResponseHead): SentOutcome | undefined {
  const { status, excerpt } = response;
  if (status < 200 || status > 299 || excerpt === undefined || !excerpt.trimStart().startsWith('{'))
    return undefined;
  let answer: { success?: unknown; response?: { received?: unknown; processed?: unknown } | null };
  try {
    answer = JSON.parse(excerpt) as typeof answer;
  } catch {
    // Longer than what was kept, or no JSON: the status stands.
    return undefined;
  }
  const { received, processed } = answer.response ?? {};
  if (typeof received === 'number' && typeof processed === 'number' && received > 0 && processed < received)
    return { kind: 'refused', reason: 'rejected', error: describeResponse(response), status };
  if (answer.success === false)
    return { kind: 'retry', reason: 'server', error: describeResponse(response), status };
  return undefined;
}
