/**
 * The header Authorization. Invariant: no error says anything of a credential but what form it should have.
 */
import { CodedError } from '../../../runtime/errors.ts';
import type { AuthForm } from '../../ports.ts';

/** The headers that carry a credential; none where it goes into the body. Errors: E_SECRET_UNUSABLE. */
export function authorization(
  form: AuthForm | undefined,
  credential: string | undefined,
): Readonly<Record<string, string>> {
  if (credential === undefined || form === 'auth_token') return {};
  if (form !== 'basic') return { authorization: `Bearer ${headerText(credential)}` };
  if (!credential.includes(':')) throw unusable('is not of the form user:password');
  return { authorization: `Basic ${Buffer.from(credential, 'utf8').toString('base64')}` };
}

/** The credential as the value of a header. Errors: E_SECRET_UNUSABLE. */
export function headerText(credential: string): string {
  // Visible ASCII: what is more than that is a wrong file rather than a credential.
  if (!/^[\x20-\x7e]+$/.test(credential)) throw unusable('has characters that no header can hold');
  return credential;
}

/** The credential, where the kind cannot do without. Errors: E_SECRET_UNUSABLE. */
export function required(credential: string | undefined): string {
  if (credential === undefined) throw unusable('is missing: the destination names none');
  return credential;
}

function unusable(why: string): CodedError {
  return new CodedError('E_SECRET_UNUSABLE', `the credential ${why}`, {
    kind: 'transient',
    mend: 'Correct what secret_ref refers to; it is read again.',
  });
}
