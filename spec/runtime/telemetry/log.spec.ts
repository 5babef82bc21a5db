import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { openLog } from '../../../runtime/telemetry/log.ts';
import { specDirectory } from '../../support/servers.ts';

/** The kernel's own full disk: every write fails with ENOSPC. */
const FULL = '/dev/full';
const LINES = 2_000;

describe('openLog', () => {
  it('survives a full disk, however much is logged, with bounded memory', () => {
    const log = openLog({ level: 'info', file: FULL, source: 'spec' });
    const text = 'x'.repeat(1_000);
    for (let n = 0; n < LINES; n++) log.info({ n }, text);
    const stream = Object.getOwnPropertySymbols(log)
      .map((symbol) => (log as unknown as Record<symbol, unknown>)[symbol])
      .find(
        (value): value is { _len: number } => typeof value === 'object' && value !== null && '_len' in value,
      );
    expect(stream?._len).to.be.within(1, 256 * 1024);
  });

  it('writes whole lines with source and pid, and no secret', () => {
    const file = join(specDirectory('log'), 'a.log');
    const log = openLog({ level: 'info', file, source: 'spec' });
    log.info({ password: 'hush', nested: { token: 'hush' } }, 'hello');
    log.debug('too fine');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines).to.have.lengthOf(1);
    expect(JSON.parse(lines[0] as string)).to.include({ source: 'spec', pid: process.pid, msg: 'hello' });
    expect(lines[0]).not.to.contain('hush');
  });
});
