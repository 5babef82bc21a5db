/** The page of WebSocket ingest names the limits, refusals and closings of the sources. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { INGEST_LIMITS } from '../../gateways/ingest/limits.ts';
import { SOCKET_ENDINGS } from '../../gateways/ingest/metrics.ts';
import type { Refusal } from '../../gateways/ingest/replies.ts';
import { ENDINGS, SOCKET_REFUSAL } from '../../gateways/ingest/socket/endings.ts';
import { SOCKET_LIMITS } from '../../gateways/ingest/socket/socket-limits.ts';
import { SOCKET_PATH } from '../../gateways/ingest/socket/socket-server.ts';
import { tableRows } from './page-tables.ts';

const page = readFileSync(new URL('../../docs/reference/websocket.md', import.meta.url), 'utf8');
const CLOSE_REASON_BYTES_MAX = 123;

describe('The page of WebSocket ingest', () => {
  it('names the path, and every refusal that only sockets have', () => {
    expect(page).to.include(`GET ${SOCKET_PATH}`);
    const used = Object.values(SOCKET_REFUSAL).map(({ status, code, retryAfterS }: Refusal) =>
      [status.slice(0, 3), code, retryAfterS === undefined ? '' : `${retryAfterS} s`].join(' | '),
    );
    const listed = tableRows(page, 'Opening').map((cells) => cells.slice(0, 3).join(' | '));
    expect(listed.sort()).to.deep.equal(used.sort());
  });

  it('lists every closing with its code', () => {
    const listed = tableRows(page, 'Closing').map(([code = '', reason = '']) => `${reason} ${code}`);
    const used = SOCKET_ENDINGS.map((reason) => {
      if (reason === 'client') return 'client any';
      // No code reaches a peer that does not read.
      if (reason === 'lost' || reason === 'slow') return `${reason} none`;
      return `${reason} ${ENDINGS[reason].code}`;
    });
    expect(listed.sort()).to.deep.equal(used.sort());
  });

  it('has reasons that fit into a close frame', () => {
    for (const { reason } of Object.values(ENDINGS))
      expect(Buffer.byteLength(reason), reason).to.be.at.most(CLOSE_REASON_BYTES_MAX);
  });

  it('names the limits', () => {
    const text = (row: number): string => tableRows(page, 'Limits')[row]?.join(' ') ?? '';
    expect(text(0)).to.include(SOCKET_LIMITS.socketsMax.toLocaleString('en'));
    expect(text(0)).to.include(INGEST_LIMITS.connectionsMax.toLocaleString('en'));
    expect(text(1)).to.include(SOCKET_LIMITS.messageBytesMax.toLocaleString('en'));
    expect(text(2)).to.include(String(SOCKET_LIMITS.windowMessages));
    expect(text(3)).to.include(`${SOCKET_LIMITS.queuedBytesMax / 1024 ** 2} MiB`);
    expect(text(4)).to.include(`${INGEST_LIMITS.inFlightBytesMax / 1024 ** 2} MiB`);
    expect(text(5)).to.include(`${SOCKET_LIMITS.bufferedBytesMax / 1024} KiB`);
    expect(text(6)).to.include(`${SOCKET_LIMITS.silentMs / 1_000} s`);
    expect(page).to.include(`nothing was read for ${SOCKET_LIMITS.slowMs / 1_000} s`);
  });
});
