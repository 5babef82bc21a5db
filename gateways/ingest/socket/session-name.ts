/**
 * The id that a client gives to its session: in a header, or as the only query parameter, for clients that cannot send
 * headers of their own.
 */
import type { HttpRequest } from '../../http/exchange.ts';

const HEADER = 'mutt-session';
const PARAMETER = 'session';
const NAME = /^[\x21-\x7e]{1,128}$/;

/** `name` is undefined when none was given. */
export function readSessionName(request: HttpRequest): { isValid: boolean; name: string | undefined } {
  const names: string[] = [];
  request.forEach((header, value) => {
    if (header === HEADER) names.push(value);
  });
  let isValid = true;
  for (const [parameter, value] of new URLSearchParams(request.getQuery() ?? '')) {
    if (parameter === PARAMETER) names.push(value);
    else isValid = false;
  }
  const [name] = names;
  if (names.length > 1 || (name !== undefined && !NAME.test(name))) isValid = false;
  return { isValid, name: isValid ? name : undefined };
}
