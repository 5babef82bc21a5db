/**
 * The mailboxes page gives the bounds that a node computes from the memory of its private Redis.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { alertLane, DEAD_LANE, retrySet } from '../../actors/forward/messages.ts';
import { INGEST_LANE, OVERFLOW_LANE } from '../../actors/ingest/ingest-actor.ts';
import { mailboxBounds } from '../../supervisors/mailbox-bounds.ts';
import { STATIC_VARIABLES } from '../../supervisors/static-config.ts';
import { tableRows } from './page-tables.ts';

const page = readFileSync(new URL('../../docs/reference/mailboxes.md', import.meta.url), 'utf8');
const MAXMEMORY_BYTES = 1024 ** 3;
const DESTINATIONS = 4;

describe('The mailboxes page', () => {
  it('gives the bounds of a private Redis with the default number of partitions', () => {
    const bounds = mailboxBounds({
      maxmemoryBytes: MAXMEMORY_BYTES,
      partitions: STATIC_VARIABLES.partitions.default,
      destinations: DESTINATIONS,
    });
    const megabytes = ({ bytesMax }: { bytesMax: number }): string => `${(bytesMax / 1e6).toFixed(1)} MB`;
    const listed = tableRows(page, 'Bounds').map(([name, , each]) => [name, each]);
    expect(listed).to.deep.equal([
      [INGEST_LANE, megabytes(bounds.ingest)],
      [OVERFLOW_LANE, megabytes(bounds.overflow)],
      [alertLane('<name>'), megabytes(bounds.alert)],
      [retrySet('<name>'), megabytes(bounds.retry)],
      [DEAD_LANE, megabytes(bounds.dead)],
    ]);
    expect(page).to.include(`${Math.round((bounds.bytesTotal / MAXMEMORY_BYTES) * 100)} % of \`maxmemory\``);
  });

  it('lists a key for every mailbox', () => {
    const keys = tableRows(page, 'Keys').map(([key]) => key);
    for (const name of [INGEST_LANE, OVERFLOW_LANE, alertLane('<name>'), retrySet('<name>'), DEAD_LANE]) {
      expect(keys).to.include(`mutt:{3}:${name}`);
    }
  });
});
