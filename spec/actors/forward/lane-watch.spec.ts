import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { LaneWatch } from '../../../actors/forward/lane-watch.ts';
import type { PaceAnswer } from '../../../runtime/durable/pace.ts';
import type { LaneReport } from '../../../actors/forward/lane-watch.ts';
import type { DeliveryOutcome } from '../../../actors/ports.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const DELIVERED: DeliveryOutcome = { kind: 'delivered', status: 200 };
const ECHOED = 'HTTP 500: you sent me {"secret": "s3cret"}';
const FAILED: DeliveryOutcome = { kind: 'retry', reason: 'server', error: ECHOED, status: 500 };
const REFUSED: DeliveryOutcome = { kind: 'refused', reason: 'rejected', error: 'HTTP 400: no', status: 400 };
const UNAUTHORIZED: DeliveryOutcome = {
  kind: 'unauthorized',
  reason: 'auth',
  error: 'HTTP 401: who?',
  status: 401,
};
const NO_SECRET: DeliveryOutcome = {
  kind: 'retry',
  reason: 'network',
  error: 'E_SECRET_UNAVAILABLE: the secret file:/run/noc cannot be read: ENOENT',
};
const DOWN = { breaker: 'open', failuresInRow: 5 } as const;
const UP = { breaker: 'closed', failuresInRow: 0 } as const;

describe('LaneWatch', () => {
  let clock: FakeClock;
  let log: [level: string, text: string, fields: Record<string, unknown>][];
  let changes: (readonly LaneReport[])[];
  let watch: LaneWatch;
  let known: Set<string>;
  const look = (): void => watch.look(known);
  const texts = (): string[] => log.map(([level, text]) => `${level}: ${text}`);

  beforeEach(() => {
    clock = new FakeClock();
    log = [];
    changes = [];
    known = new Set(['noc', 'ops']);
    watch = new LaneWatch({
      clock,
      log: (level, text, fields) => log.push([level, text, fields]),
      onChange: (reports) => changes.push(reports),
    });
  });

  it('says once at the start that all are well, and then nothing while they are', () => {
    look();
    watch.note('noc', DELIVERED, UP);
    look();
    expect(changes).to.deep.equal([[]]);
    expect(log).to.deep.equal([]);
  });

  it('tells once that a destination is down, with the status and not the words of its answer, and when it is back', () => {
    look();
    for (let n = 0; n < 9; n++) watch.note('noc', FAILED, DOWN);
    look();
    look();
    const since = new Date(clock.wallMs()).toISOString();
    const report = { name: 'noc', state: 'down', reason: 'server', last_error: 'HTTP 500', since };
    expect(changes.at(-1)).to.deep.equal([report]);
    const { name: destination, ...rest } = report;
    expect(log).to.deep.equal([['warn', 'destination is down', { destination, ...rest }]]);
    clock.advance(60_000);
    watch.note('noc', DELIVERED, UP);
    look();
    expect(log.slice(1)).to.deep.equal([
      ['info', 'destination takes alerts again', { destination: 'noc', was: 'down' }],
    ]);
    expect(changes.at(-1)).to.deep.equal([]);
    expect(changes).to.have.length(3);
    expect(JSON.stringify([log, changes])).not.to.include('s3cret');
  });

  it('tells of three failures in a row before the breaker opens, and not of one', () => {
    watch.note('noc', FAILED, { breaker: 'closed', failuresInRow: 1 });
    watch.note('noc', FAILED, { breaker: 'closed', failuresInRow: 2 });
    look();
    expect(log).to.deep.equal([]);
    watch.note('noc', FAILED, { breaker: 'closed', failuresInRow: 3 });
    look();
    expect(texts()).to.deep.equal(['warn: destination is failing']);
  });

  it('tells a refused credential and one that cannot be read from a destination that is down', () => {
    watch.note('noc', UNAUTHORIZED, DOWN);
    watch.note('ops', NO_SECRET, { breaker: 'closed', failuresInRow: 1 });
    look();
    expect(texts()).to.deep.equal([
      'warn: destination is unauthorized',
      'warn: destination is secret unreadable',
    ]);
    expect(changes.at(-1)?.map(({ last_error }) => last_error)).to.deep.equal([
      'HTTP 401',
      'E_SECRET_UNAVAILABLE: the secret file:/run/noc cannot be read: ENOENT',
    ]);
  });

  it('keeps telling of a credential that cannot be read here, however well others send', () => {
    watch.note('noc', NO_SECRET, { breaker: 'closed', failuresInRow: 0 });
    watch.noteShared('noc', { isOpen: false, failures: 0, openSinceMs: 0, why: '' } as PaceAnswer);
    look();
    expect(changes.at(-1)?.map(({ state }) => state)).to.deep.equal(['secret_unreadable']);
    watch.note('noc', DELIVERED, UP);
    look();
    expect(changes.at(-1)).to.deep.equal([]);
  });

  it('tells a destination that comes and goes twice a minute at most, and how it is at last', () => {
    for (let n = 0; n < 200; n++) {
      watch.note('noc', n % 2 === 0 ? FAILED : DELIVERED, n % 2 === 0 ? DOWN : UP);
      look();
      clock.advance(500);
    }
    clock.advance(30_000);
    look();
    expect(log.length).to.be.within(2, 6);
    expect(texts().at(-1)).to.equal('info: destination takes alerts again');
    expect(changes.at(-1)).to.deep.equal([]);
  });

  it('tells the first dead letter at once, and those after it together', () => {
    watch.note('noc', REFUSED, UP);
    look();
    for (let n = 0; n < 7; n++) watch.note('noc', REFUSED, UP);
    look();
    clock.advance(30_000);
    look();
    look();
    expect(log).to.deep.equal(
      [1, 7].map((count) => [
        'warn',
        'alerts became dead letters',
        { destination: 'noc', count, reason: 'rejected', last_error: 'HTTP 400' },
      ]),
    );
  });

  it('takes a template that fails for no sign that the destination is well', () => {
    watch.note('noc', FAILED, DOWN);
    const unmade = { kind: 'refused', reason: 'template', error: 'E_TEMPLATE_FAILED: no JSON' } as const;
    watch.note('noc', unmade, DOWN);
    look();
    expect(changes.at(-1)?.map(({ state }) => state)).to.deep.equal(['down']);
    expect(texts()).to.deep.equal(['warn: destination is down', 'warn: alerts became dead letters']);
  });

  it('forgets a destination that is there no more', () => {
    watch.note('noc', FAILED, DOWN);
    look();
    known.delete('noc');
    look();
    expect(changes.at(-1)).to.deep.equal([]);
  });
});
