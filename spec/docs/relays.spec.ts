/**
 * The page of what relays may send names what the sources know: senders, other names of fields, and labels.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { HOST_LABELS } from '../../actors/ingest/dialects/labels.ts';
import { OTHER_NAMES } from '../../actors/ingest/known-shapes.ts';
import { RECORD_BYTES_MAX } from '../../actors/ingest/limits.ts';
import { INGEST_ROUTES } from '../../gateways/ingest/routes.ts';
import { SENDERS, senderCodeOf } from '../../gateways/ingest/sender.ts';
import { tableRows } from './page-tables.ts';

const page = readFileSync(new URL('../../docs/reference/relays.md', import.meta.url), 'utf8');
const names = (cell: string | undefined): string[] => (cell ?? '').split(',').map((name) => name.trim());

describe('The page of what relays may send', () => {
  it('names every sender, and the beginnings that it is known by', () => {
    const rows = tableRows(page, 'Who is a relay');
    expect(rows.map(([sender]) => sender)).to.deep.equal([...SENDERS]);
    for (const [sender = '', beginnings] of rows) {
      if (sender === 'unknown') continue;
      for (const beginning of names(beginnings)) {
        const userAgent = beginning === 'nothing at all' ? '' : `${beginning}/1.0`;
        expect(SENDERS[senderCodeOf(userAgent)], beginning).to.equal(sender);
      }
    }
  });

  it('names every other name of a field, in the order in which they are tried', () => {
    const listed = tableRows(page, 'Other names').map(([field, others]) => [field, names(others)]);
    expect(Object.fromEntries(listed)).to.deep.equal(OTHER_NAMES);
  });

  it('names the labels that can be the host, in their order', () => {
    expect(tableRows(page, 'Labels').map(([label]) => label)).to.deep.equal([...HOST_LABELS]);
  });

  it('names a route of every family, and the bound of a record', () => {
    for (const path of ['/api/v2/ingest', '/v1/logs', '/services/collector/event', '/loki/api/v1/push']) {
      expect(INGEST_ROUTES.some((route) => route.path === path)).to.equal(true);
      expect(page).to.include(`\`${path}\``);
    }
    expect(page).to.include(RECORD_BYTES_MAX.toLocaleString('en'));
  });
});
