/**
 * The name under which one request is followed through logs, audit rows and alerts.
 *
 * A sender may choose it; what it chooses ends in reply headers, logs and a database, so anything but a short token is
 * replaced, never repaired.
 */
import { randomUUID } from 'node:crypto';

const CORRELATION_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** The sender's own id when it is a token of 1 to 128 characters `A-Z a-z 0-9 . _ -`, else a new UUID. */
export function correlationIdOf(presented: string): string {
  return presented !== '' && CORRELATION_ID.test(presented) ? presented : randomUUID();
}
