/**
 * The pages of API v1 and of the live stream say what the sources do.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  TAPS_EXPIRE_MS,
  TAP_EVENTS_PER_SECOND_MAX,
  TAP_MESSAGE_CHARS_MAX,
} from '../../../../actors/match/tap.ts';
import type { AdminPort } from '../../../../gateways/admin/admin-port.ts';
import { STATUS_OF_CODE } from '../../../../gateways/admin/problems.ts';
import { STREAM_LIMITS } from '../../../../gateways/admin/stream/stream-server.ts';
import { ITEMS_MAX } from '../../../../gateways/admin/v1/numbered-pages.ts';
import { v1Endpoints } from '../../../../gateways/admin/v1/v1-endpoints.ts';
import { tableRows } from '../../../docs/page-tables.ts';

const pageOf = (name: string): string =>
  readFileSync(new URL(`../../../../docs/reference/${name}.md`, import.meta.url), 'utf8');

describe('The page of API v1', () => {
  const page = pageOf('api-v1');

  it('lists its endpoints with their scopes, in their order', () => {
    const used = v1Endpoints({} as AdminPort).map(
      ({ method, path, scope }) => `${method.toUpperCase()} ${path} ${scope}`,
    );
    expect(tableRows(page, 'API v1').map((cells) => cells.slice(0, 3).join(' '))).to.deep.equal(used);
  });

  it('names the bound of its pages', () => {
    expect(page).to.include(`newest ${ITEMS_MAX.toLocaleString('en')} items`);
  });
});

describe('The page of the live stream', () => {
  const page = pageOf('stream');

  it('lists refusals with the statuses they have', () => {
    for (const [status, code = ''] of tableRows(page, 'Opening')) {
      expect(STATUS_OF_CODE[code]?.slice(0, 3), code).to.equal(status);
    }
  });

  it('names the limits', () => {
    const { clientsMax, clientsOfKeyMax, messageBytesMax, bufferedBytesMax, stalledMs } = STREAM_LIMITS;
    expect(page).to.include(`${clientsMax} streams are open, or ${clientsOfKeyMax} of this key`);
    expect(page).to.include(`at most ${messageBytesMax.toLocaleString('en')} bytes`);
    const limits = tableRows(page, 'Limits').map(([, value]) => value);
    expect(limits.slice(0, 4)).to.deep.equal([
      `${clientsMax}, ${clientsOfKeyMax}`,
      `${TAP_EVENTS_PER_SECOND_MAX} a second`,
      `${bufferedBytesMax / 1024} KiB`,
      `${stalledMs / 1_000} s`,
    ]);
    expect(page).to.include(`first ${TAP_MESSAGE_CHARS_MAX} characters`);
    // Longer than the pause between two words about open taps.
    expect(TAPS_EXPIRE_MS).to.be.greaterThan(2_000);
  });
});
