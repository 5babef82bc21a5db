/**
 * The metrics page lists what the counter layouts hold, with kind and labels, and the closed lists of label values.
 *
 * What is only computed at a scrape (the ledger) is compared with a running node in first-alert.spec.ts.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { INGEST_LAYOUT, REQUEST_OUTCOMES } from '../../gateways/ingest/metrics.ts';
import { OWN_ALERT_LAYOUT } from '../../supervisors/own-alerts/own-alert-counters.ts';
import { RULE_SET_LAYOUT } from '../../supervisors/rule-set/rule-set-counters.ts';
import {
  FORWARD_COUNTERS,
  INGEST_COUNTERS,
  MATCH_COUNTERS,
  REMEDIATION_COUNTERS,
} from '../../supervisors/threads/counters.ts';
import { TLS_LAYOUT } from '../../supervisors/tls-keeper.ts';
import { metricsOfLayout, metricsOfPage } from './metric-tables.ts';
import { tableRows } from './page-tables.ts';

const page = readFileSync(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8');
const layouts = [
  INGEST_LAYOUT,
  INGEST_COUNTERS.layout,
  MATCH_COUNTERS.layout,
  FORWARD_COUNTERS.layout,
  REMEDIATION_COUNTERS.layout,
  TLS_LAYOUT,
  RULE_SET_LAYOUT,
  OWN_ALERT_LAYOUT,
].flat();

describe('The metrics page', () => {
  it('lists every metric of the counter layouts', () => {
    const listed = new Set(metricsOfPage(page));
    expect(metricsOfLayout(layouts).filter((line) => !listed.has(line))).to.deep.equal([]);
  });

  it('lists only metrics of the counter layouts, and those that are read at the scrape', () => {
    const defined = new Set(metricsOfLayout(layouts));
    const scraped = tableRows(page, 'Ledger and mailboxes').map(([name = '']) => name);
    const others = metricsOfPage(page).filter((line) => !defined.has(line));
    expect(others.map((line) => line.split(' ')[0])).to.deep.equal(scraped.sort());
  });

  it('lists every outcome of a request', () => {
    const listed = tableRows(page, 'Outcomes of requests').map(([status, reason]) => [status, reason]);
    expect(listed).to.deep.equal(REQUEST_OUTCOMES.map((outcome) => [...outcome]));
  });

  it('names every reason of a failed delivery', () => {
    const rows = tableRows(page, 'Forward and remediation threads').map((cells) => cells.join(' '));
    const missing = FORWARD_COUNTERS.layout.filter(({ name, labels }) => {
      const row = rows.find((text) => text.includes(name)) ?? '';
      return !row.includes(labels?.['reason'] ?? '');
    });
    expect(missing).to.deep.equal([]);
  });
});
