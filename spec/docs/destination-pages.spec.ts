/**
 * The pages on destinations: what they tell people to write is taken as it stands, and what they say is sent is what is
 * sent, field by field.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import { KINDS } from '../../actors/forward/kinds/kinds.ts';
import { parseConfiguration } from '../../actors/match/configuration.ts';
import type { Destination } from '../../actors/ports.ts';
import { alertOf } from '../actors/forward/alerts.ts';
import { readTree } from '../support/source-files.ts';

const PAGES: Record<string, Destination['kind']> = {
  'send-alerts-to-moogsoft.md': 'moogsoft',
  'send-alerts-to-moogsoft-cloud.md': 'moogsoft_cloud',
  'send-alerts-to-pagerduty.md': 'pagerduty',
  'send-alerts-to-alertmanager.md': 'alertmanager',
  'send-alerts-to-a-webhook.md': 'webhook',
};
/** The alert that the pages tell of. */
const ALERT = alertOf('0123456789abcdef0123456789abcdef', {
  event_ids: ['f-0'],
  signature: 'r1::4::Gi0/1',
  event_time: '2026-05-01T12:00:00.000Z',
  received_at: '2026-05-01T12:00:01.000Z',
});
const NOW_MS = Date.parse('2026-05-01T12:00:02Z');

const tree = readTree();

/** Code blocks of a language, also those within a list. */
function blocks(page: string, language: string): string[] {
  const text = tree.get(`docs/how-to/${page}`) ?? '';
  return [...text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\`$`, 'gm'))].map(
    ([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );
}

describe('The pages on destinations', () => {
  it('are one for each kind', () => {
    expect(new Set(Object.values(PAGES))).to.deep.equal(new Set(Object.keys(KINDS)));
  });

  for (const [page, kind] of Object.entries(PAGES)) {
    it(`${page}: its file is taken, for a destination of its kind`, () => {
      const files = blocks(page, 'yaml');
      expect(files.length).to.be.above(0);
      const { destinations } = parseConfiguration(parse(files[0] ?? ''));
      expect(destinations.map((destination) => destination.kind)).to.deep.equal([kind]);
    });

    if (kind === 'moogsoft') continue;
    it(`${page}: this is what is sent`, () => {
      const [document] = blocks(page, 'json');
      const { destinations } = parseConfiguration(parse(blocks(page, 'yaml')[0] ?? ''));
      const { template: _, ...destination } = destinations[0] as Destination;
      const { body } = KINDS[kind].message({
        alert: ALERT,
        destination,
        credential: destination.secretRef === null ? undefined : 'the-integration-key',
        nowMs: NOW_MS,
      });
      expect(JSON.parse(document ?? '')).to.deep.equal(JSON.parse(body));
    });
  }

  it('has the same template in its file as by itself', () => {
    const page = 'send-alerts-to-a-webhook.md';
    const { destinations } = parse(blocks(page, 'yaml')[0] ?? '') as { destinations: { template: string }[] };
    expect(destinations[0]?.template).to.equal(blocks(page, 'liquid')[0]);
  });
});
