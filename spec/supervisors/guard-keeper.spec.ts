import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import {
  INGEST_COUNTER,
  INGEST_LAYOUT,
  IngestDurations,
  requestCounter,
} from '../../gateways/ingest/metrics.ts';
import { CodedError } from '../../runtime/errors.ts';
import { CounterBlock, CounterCollector } from '../../runtime/shared/counters.ts';
import { GuardKeeper } from '../../supervisors/guard-keeper.ts';
import type { GuardedSetting } from '../../supervisors/guard-keeper.ts';
import { FakeClock } from '../support/fake-clock.ts';

const WATCH_MS = 60_000;

describe('GuardKeeper', () => {
  let clock: FakeClock;
  let counters: CounterBlock;
  let collector: CounterCollector;
  let stored: GuardedSetting[];
  let settled: { key: string; version: number; verdict: string; by: string; detail: string }[];
  let warnings: unknown[];
  let changes: number;
  let failure: CodedError | undefined;
  let isTaken: boolean;
  let stuckKey: string | undefined;
  let keeper: GuardKeeper;

  beforeEach(() => {
    clock = new FakeClock();
    counters = new CounterBlock(INGEST_LAYOUT);
    collector = new CounterCollector();
    collector.attachBlock('gateway-0', counters);
    settled = [];
    warnings = [];
    changes = 0;
    failure = undefined;
    isTaken = false;
    stuckKey = undefined;
    stored = [guarded({ errorRateMax: 0.05, latencyP99MsMax: 100 })];
    keeper = open();
  });

  function open(): GuardKeeper {
    return new GuardKeeper({
      settings: {
        guarded: async () => {
          if (failure !== undefined) throw failure;
          return stored;
        },
        settleGuard: async (key, version, verdict, { changedBy: by }, detail) => {
          if (isTaken) return false;
          if (key === stuckKey) throw new CodedError('E_SETTINGS_CONTRADICT', 'planted');
          settled.push({ key, version, verdict, by, detail });
          stored = stored.filter((setting) => setting.key !== key);
          return true;
        },
      },
      samples: () => collector.collect(),
      clock,
      log: { warn: (...line: unknown[]) => warnings.push(line) } as never,
      onSettled: () => (changes += 1),
    });
  }

  function guarded(limits: {
    errorRateMax?: number | null;
    latencyP99MsMax?: number | null;
  }): GuardedSetting {
    const updatedAtMs = clock.wallMs();
    return {
      key: 'match.batch.eventsMax',
      version: 3,
      updatedAtMs,
      guard: { errorRateMax: null, latencyP99MsMax: null, untilMs: updatedAtMs + WATCH_MS, ...limits },
    };
  }

  function stores(requests: number, durationMs: number): void {
    const durations = new IngestDurations(counters);
    for (let n = 0; n < requests; n++) durations.answered(durationMs);
    counters.add(requestCounter('stored'), requests);
  }
  const look = async (ms = 1_000): Promise<void> => {
    clock.advance(ms);
    await keeper.look();
  };

  it('keeps a change when its time is over and nothing was wrong', async () => {
    await look();
    stores(500, 20);
    await look(30_000);
    expect(settled).to.deep.equal([]);
    await look(30_000);
    expect(settled).to.have.length(1);
    expect(settled[0]).to.include({ key: 'match.batch.eventsMax', version: 3, verdict: 'keep', by: 'guard' });
    expect(changes).to.equal(1);
  });

  for (const reason of ['full', 'budget', 'away', 'timeout', 'draining', 'error'] as const) {
    it(`takes it back when too many requests end in ${reason}, with the figures`, async () => {
      await look();
      stores(90, 20);
      counters.add(requestCounter(reason), 10);
      await look();
      expect(settled).to.have.length(1);
      expect(settled[0]).to.include({ verdict: 'revert', by: 'guard' });
      expect(settled[0]?.detail).to.match(/^100 requests, 10\.00 % failed .*p99 2\d\.\d ms; .* 5\.00 %$/);
      expect(changes).to.equal(1);
    });
  }

  it('does not count what a sender did wrong', async () => {
    await look();
    stores(50, 20);
    for (const reason of ['auth', 'unreadable', 'too_large', 'slow'] as const) {
      counters.add(requestCounter(reason), 50);
    }
    await look();
    expect(settled).to.deep.equal([]);
  });

  it('takes it back when requests get too slow', async () => {
    await look();
    stores(95, 20);
    stores(5, 700);
    await look();
    expect(settled[0]).to.include({ verdict: 'revert' });
    expect(settled[0]?.detail).to.match(/p99 \d+\.\d ms; p99 may be 100 ms$/);
  });

  it('calls a latency past the last bound too slow as well', async () => {
    await look();
    stores(100, 60_000);
    await look();
    expect(settled[0]).to.include({ verdict: 'revert' });
  });

  it('measures from when it first saw the change, not from the beginning of time', async () => {
    counters.add(requestCounter('away'), 5_000);
    stores(5_000, 3_000);
    await look();
    stores(100, 20);
    await look();
    expect(settled).to.deep.equal([]);
  });

  it('does not judge a handful of requests', async () => {
    await look();
    counters.add(requestCounter('error'), 19);
    await look();
    expect(settled).to.deep.equal([]);
    counters.add(requestCounter('error'), 1);
    await look();
    expect(settled[0]).to.include({ verdict: 'revert' });
  });

  it('notices a bad moment after a long good time', async () => {
    await look();
    stores(100_000, 20);
    await look(30_000);
    stores(150, 20);
    counters.add(requestCounter('away'), 50);
    await look();
    expect(settled[0]).to.include({ verdict: 'revert' });
  });

  it('watches again for as long when its time passed while nobody looked', async () => {
    clock.advance(10 * WATCH_MS);
    await look();
    expect(settled).to.deep.equal([]);
    await look(WATCH_MS - 1_000);
    expect(settled).to.deep.equal([]);
    await look();
    expect(settled[0]).to.include({ verdict: 'keep' });
  });

  it('goes on after a restart of its process for the time that is left', async () => {
    await look();
    clock.advance(30_000);
    keeper = open();
    await look(0);
    stores(100, 500);
    await look();
    expect(settled[0]).to.include({ verdict: 'revert' });
  });

  it('watches a limit only when it is given', async () => {
    stored = [guarded({ errorRateMax: 0.5 })];
    await look();
    stores(100, 4_000);
    await look();
    expect(settled).to.deep.equal([]);
  });

  it('begins anew with another version of the same key', async () => {
    await look();
    counters.add(requestCounter('away'), 100);
    stored = [{ ...guarded({ errorRateMax: 0 }), version: 4 }];
    await look();
    expect(settled).to.deep.equal([]);
  });

  it('says nothing about what another node has settled', async () => {
    isTaken = true;
    await look();
    counters.add(requestCounter('away'), 100);
    await look();
    expect([changes, warnings]).to.deep.equal([0, []]);
  });

  it('goes on when PostgreSQL was away, and says so once', async () => {
    await look();
    failure = new CodedError('E_DATABASE_AWAY', 'away', { kind: 'transient' });
    await look();
    await look();
    expect(warnings).to.have.length(1);
    failure = undefined;
    counters.add(requestCounter('away'), 100);
    await look();
    expect(settled[0]).to.include({ verdict: 'revert' });
  });

  it('judges every change, also when another one cannot be taken back', async () => {
    const stuck = { ...guarded({ errorRateMax: 0.05 }), key: 'forward.retry.delayMaxMs' };
    stored = [stuck, ...stored];
    stuckKey = stuck.key;
    await look();
    counters.add(requestCounter('away'), 100);
    await look();
    await look();
    expect(settled.map(({ key, verdict }) => [key, verdict])).to.deep.equal([
      ['match.batch.eventsMax', 'revert'],
    ]);
    expect(warnings.filter((line) => JSON.stringify(line).includes('E_SETTINGS_CONTRADICT'))).to.have.length(
      1,
    );
    stuckKey = undefined;
    await look();
    expect(settled.at(-1)).to.include({ key: stuck.key, verdict: 'revert' });
  });

  it('counts what a gateway that has ended had counted', async () => {
    await look();
    stores(100, 20);
    collector.retire('gateway-0');
    collector.attachBlock('gateway-0', new CounterBlock(INGEST_LAYOUT));
    counters = new CounterBlock(INGEST_LAYOUT);
    collector.attachBlock('gateway-0', counters);
    counters.add(requestCounter('away'), 4);
    expect(counters.get(INGEST_COUNTER.accepted)).to.equal(0);
    await look();
    expect(settled).to.deep.equal([]);
    counters.add(requestCounter('away'), 4);
    await look();
    expect(settled[0]?.detail).to.match(/^108 requests/);
  });
});
