/**
 * The page of the HTTP API lists the routes and refusals of the ports: all of them, and no others.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { BODY_BYTES_MAX } from '../../actors/ingest/inflate.ts';
import type { AdminPort } from '../../gateways/admin/admin-port.ts';
import { ADMIN_BODY_BYTES_MAX, LARGE_BODY_BYTES_MAX } from '../../gateways/admin/admin-server.ts';
import { LIMIT_DEFAULT, LIMIT_MAX } from '../../gateways/admin/cursor.ts';
import { PAUSE_REASONS } from '../../gateways/admin/documents.ts';
import { adminEndpoints } from '../../gateways/admin/endpoints.ts';
import { JSON_DEPTH_MAX } from '../../gateways/admin/json-body.ts';
import { STATUS_OF_CODE } from '../../gateways/admin/problems.ts';
import { RecentAlertRing } from '../../gateways/admin/recent-alerts.ts';
import { INGEST_LIMITS } from '../../gateways/ingest/limits.ts';
import { REFUSAL } from '../../gateways/ingest/replies.ts';
import type { Refusal } from '../../gateways/ingest/replies.ts';
import { HEC_HEALTH_ROUTES, INGEST_ROUTES } from '../../gateways/ingest/routes.ts';
import { systemClock } from '../../runtime/clock.ts';
import { tableRows } from './page-tables.ts';

const page = readFileSync(new URL('../../docs/reference/http-api.md', import.meta.url), 'utf8');

describe('The page of the HTTP API', () => {
  it('lists the routes of the ingest port', () => {
    const listed = tableRows(page, 'Ingest port (8080)').map(([method, path]) => `${method} ${path}`);
    expect(listed).to.deep.equal([
      ...INGEST_ROUTES.map(({ path }) => `POST ${path}`),
      ...HEC_HEALTH_ROUTES.map((path) => `GET ${path}`),
    ]);
  });

  it('lists every refusal of the ingest port with status, code and Retry-After', () => {
    const refusals: Refusal[] = Object.values(REFUSAL);
    const used = refusals.map(({ status, code, retryAfterS }) =>
      [status.slice(0, 3), code, retryAfterS === undefined ? '' : `${retryAfterS} s`].join(' | '),
    );
    const listed = tableRows(page, 'Refusals').map((cells) => cells.slice(0, 3).join(' | '));
    expect(listed.sort()).to.deep.equal(used.sort());
  });

  it('names the limits of the ingest port', () => {
    expect(page).to.include(`over ${INGEST_LIMITS.bodyBytesMax / 1024 ** 2} MiB on the wire`);
    expect(page).to.include(`over ${INGEST_LIMITS.inFlightBytesMax / 1024 ** 2} MiB of bodies`);
    expect(page).to.include(`over ${INGEST_LIMITS.requestsMax.toLocaleString('en')} requests`);
    expect(page).to.include(`over ${BODY_BYTES_MAX / 1024 ** 2} MiB when decompressed`);
    expect(page).to.include(`within ${INGEST_LIMITS.verdictTimeoutMs / 1000} s`);
  });

  it('lists the routes of the admin port with their scopes and what they do, in their order', () => {
    // The routes are only listed, never called: nothing of the port is touched.
    const port = new Proxy({}, { get: () => ({}) }) as AdminPort;
    const used = adminEndpoints(port, new RecentAlertRing(systemClock))
      .filter(({ deprecated }) => deprecated !== true)
      .map(({ method, path, scope, summary }) => [method.toUpperCase(), path, scope, summary].join(' | '));
    const listed = tableRows(page, 'Admin port (8090)').map((cells) => cells.join(' | '));
    expect(listed).to.deep.equal(used);
  });

  it('lists every reason for which a mailbox is held back', () => {
    const listed = tableRows(page, 'What holds a mailbox back').map(([reason]) => reason);
    expect(listed).to.deep.equal([...PAUSE_REASONS]);
  });

  it('names the limits of the admin port', () => {
    expect(page).to.include(`at most ${ADMIN_BODY_BYTES_MAX / 1024 ** 2} MiB and ${JSON_DEPTH_MAX} levels`);
    expect(page).to.include(`it may have ${LARGE_BODY_BYTES_MAX / 1024 ** 2} MiB`);
    expect(page).to.include(`\`limit\` is 1 to ${LIMIT_MAX} (${LIMIT_DEFAULT} when left out)`);
  });

  it('lists every status that a refusal of the admin port can have', () => {
    const listed = tableRows(page, 'Statuses').flatMap(
      (cells) => cells.join(' ').match(/\b[2-5]\d\d\b/g) ?? [],
    );
    const used = Object.values(STATUS_OF_CODE).map((status) => status.slice(0, 3));
    expect([...new Set(used)].filter((status) => !listed.includes(status))).to.deep.equal([]);
  });
});
