/**
 * `If-Match` and `If-None-Match` (RFC 9110, section 13): which version of an item a change is meant for, and whether a
 * reader has the present one already.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { IfMatch, Precondition } from './endpoint.ts';

const ENTITY_TAG = /^"([^"]{1,64})"$/;
const VERSION_TAG = /^"(\d{1,15})"$/;

/** Errors: E_IF_MATCH_REQUIRED, E_IF_MATCH_INVALID. */
export function preconditionOf(
  rule: IfMatch | undefined,
  ifMatch: string,
  ifNoneMatch: string,
): Precondition {
  if (rule === undefined) return { expectedVersion: undefined };
  if (ifMatch !== '') {
    if (ifMatch === '*') return { expectedVersion: undefined };
    const version = VERSION_TAG.exec(ifMatch)?.[1];
    if (version === undefined) throw invalid('If-Match', 'one entity tag such as "3", or *');
    // What was never stored has version 0.
    return { expectedVersion: version === '0' ? null : Number(version) };
  }
  if (ifNoneMatch !== '' && ifNoneMatch !== '*') throw invalid('If-None-Match', '*');
  if (rule === 'required') throw ifMatchRequired();
  return { expectedVersion: rule === 'update' ? null : undefined };
}

export function ifMatchRequired(): CodedError {
  return new CodedError(
    'E_IF_MATCH_REQUIRED',
    'it exists, so the change must say which version it is meant for',
    {
      mend: 'Read it, and send the ETag of the answer as If-Match; If-Match: * changes whatever is there.',
    },
  );
}

/** Whether a change of a named item makes it: nothing was there, or it would have been refused. */
export function isNew({ expectedVersion }: Precondition): boolean {
  return expectedVersion === null;
}

/** `If-Match: *` means that there is one. Errors: E_VERSION_STALE. */
export async function requirePresent(
  { expectedVersion }: Precondition,
  find: () => Promise<unknown>,
): Promise<void> {
  if (expectedVersion !== undefined || (await find()) !== undefined) return;
  throw new CodedError('E_VERSION_STALE', 'there is nothing to change', {
    mend: 'Leave If-Match out to make it.',
    details: { current: null },
  });
}

/** Whether a GET with this `If-None-Match` is to be answered with 304. */
export function isFresh(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch === '') return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((tag) => ENTITY_TAG.exec(tag.trim().replace(/^W\//, ''))?.[1] === etag);
}

function invalid(header: string, wanted: string): CodedError {
  const mend = `Send ${wanted}.`;
  return new CodedError('E_IF_MATCH_INVALID', `${header} is not ${wanted}`, {
    mend,
    details: { faults: [{ field: header, why: `is not ${wanted}`, mend }] },
  });
}
