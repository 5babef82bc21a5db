import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { decide, decisionBasis } from '../../../actors/match/decide.ts';
import { encodeFrame } from '../../../actors/ingest/frame.ts';
import type { FrameInput } from '../../../actors/ingest/frame.ts';
import { RECORD_JSON } from '../../../actors/ingest/split-records.ts';
import { MatchHandler } from '../../../actors/match/match-handler.ts';
import type { TapFilter, Tapped } from '../../../actors/match/messages.ts';
import {
  EventTap,
  TAPS_EXPIRE_MS,
  TAP_BUSY_MS_MAX,
  TAP_EVENTS_PER_SECOND_MAX,
  TAP_MESSAGE_CHARS_MAX,
} from '../../../actors/match/tap.ts';
import type { AuditRow, NormalizedEvent } from '../../../actors/event.ts';
import type { RuleRow, Snapshot } from '../../../actors/ports.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Batch } from '../../../runtime/durable/consumer.ts';
import { WIDE } from '../../runtime/durable/store-under-test.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { decisionsOf, eventOf, receivedAtMs, ruleOf } from './fixtures.ts';
import { unmatchedWatch } from './template-store.ts';

const FLUSH_MS = 200;
const snapshotOf = (rules: RuleRow[]): Snapshot => ({
  version: 5,
  rules,
  developmentHosts: [],
  teams: {},
  destinations: [],
  settings: {},
  keys: [],
});

describe('EventTap', () => {
  let clock: FakeClock;
  let tap: EventTap;
  let reports: Tapped[];

  beforeEach(() => {
    clock = new FakeClock();
    reports = [];
    tap = new EventTap({ clock, report: (tapped) => reports.push(tapped) });
  });

  const RULES = [ruleOf({ id: 7, version: 3 }), ruleOf({ id: 8 })];
  function rowOf(event: NormalizedEvent, matches: RuleRow[] = RULES): AuditRow {
    return decide(
      { event, raw: 'raw', rawBytes: null },
      matches,
      decisionBasis(snapshotOf(RULES), () => undefined),
    );
  }
  const offer = (fields: Partial<NormalizedEvent> = {}, matches?: RuleRow[]): void => {
    const event = eventOf(fields);
    tap.offer(event, rowOf(event, matches));
  };
  const flushed = (): Tapped['events'] => {
    clock.advance(FLUSH_MS);
    return reports.splice(0).flatMap(({ events }) => events);
  };
  const open = (...filters: TapFilter[]): void =>
    tap.set(filters.map((filter, at) => ({ id: `t${at}`, filter })));

  it('is closed until somebody taps, and again when nobody does', () => {
    expect(tap.isOpen).to.equal(false);
    open({});
    expect(tap.isOpen).to.equal(true);
    tap.set([]);
    expect(tap.isOpen).to.equal(false);
  });

  it('shows a decision in the words of the API', () => {
    open({});
    offer({ program: 'sshd', severity: 2 });
    expect(flushed()).to.deep.equal([
      {
        taps: ['t0'],
        event: {
          received_at: '2024-05-01T12:00:00.000Z',
          hostname: 'router-1.example.net',
          program: 'sshd',
          severity: 2,
          message: 'link down',
          decision: 'Page_and_ticket',
          rule_id: 7,
          rule_version: 3,
          team: 'NETO',
          correlation_id: 'c-1',
          event_id: '017f22e2-79b0-7cc3-98c4-dc0c0c07398f-0',
        },
      },
    ]);
    offer({}, []);
    expect(flushed()[0]?.event).to.include({
      decision: 'Unmatched',
      rule_id: null,
      team: null,
      program: null,
    });
  });

  it('cuts a long message without leaving half a character', () => {
    open({});
    offer({ message: `${'x'.repeat(TAP_MESSAGE_CHARS_MAX - 1)}😀 and more` });
    const message = flushed()[0]?.event.message ?? '';
    expect(message).to.have.length(TAP_MESSAGE_CHARS_MAX);
    expect(message.isWellFormed()).to.equal(true);
  });

  const passing: [TapFilter, boolean][] = [
    [{}, true],
    [{ host: 'ROUTER-1.example.net' }, true],
    [{ host: 'router-?.*' }, true],
    [{ host: 'router' }, false],
    [{ program: 'SSHD' }, true],
    [{ program: 'ss*' }, true],
    [{ program: 'cron' }, false],
    [{ rule: 7 }, true],
    [{ rule: 8 }, true],
    [{ rule: 9 }, false],
    [{ decision: 'Page_and_ticket' }, true],
    [{ decision: 'Unmatched' }, false],
    [{ host: 'router*', program: 'sshd', rule: 8, decision: 'Page_and_ticket' }, true],
    [{ host: 'router*', program: 'sshd', rule: 8, decision: 'Ignore' }, false],
  ];
  for (const [filter, passes] of passing) {
    it(`${passes ? 'shows' : 'does not show'} the event with ${JSON.stringify(filter)}`, () => {
      open(filter);
      offer({ program: 'sshd' });
      expect(flushed()).to.have.length(passes ? 1 : 0);
    });
  }

  it('does not take an event without a program for one with any', () => {
    open({ program: '*' });
    offer();
    expect(flushed()).to.deep.equal([]);
  });

  it('names the taps of each event, which it sends once', () => {
    open({ rule: 7 }, { rule: 9 }, { host: '*' });
    offer();
    expect(flushed().map(({ taps }) => taps)).to.deep.equal([['t0', 't2']]);
  });

  it('takes so many in a second and counts the rest', () => {
    open({});
    for (let at = 0; at < TAP_EVENTS_PER_SECOND_MAX + 30; at++) offer();
    clock.advance(FLUSH_MS);
    expect(reports.flatMap(({ events }) => events)).to.have.length(TAP_EVENTS_PER_SECOND_MAX);
    expect(reports.flatMap(({ dropped }) => dropped)).to.deep.equal([{ tap: 't0', count: 30 }]);
    reports = [];
    offer();
    clock.advance(FLUSH_MS);
    expect(reports).to.deep.equal([{ type: 'tapped', events: [], dropped: [{ tap: 't0', count: 1 }] }]);
    clock.advance(1_000);
    offer();
    expect(flushed()).to.have.length(1);
  });

  it('shares the rate equally: one that takes everything leaves room for one that waits for a host', () => {
    open({}, { host: 'rare' });
    for (let at = 0; at < 10 * TAP_EVENTS_PER_SECOND_MAX; at++) offer();
    offer({ hostname: 'rare' });
    const events = flushed();
    expect(events.filter(({ taps }) => taps.includes('t0'))).to.have.length(TAP_EVENTS_PER_SECOND_MAX / 2);
    expect(events.at(-1)).to.deep.include({ taps: ['t1'] });
  });

  it('keeps its count over being said again, and goes by ids', () => {
    open({});
    for (let at = 0; at < TAP_EVENTS_PER_SECOND_MAX; at++) offer();
    open({});
    offer();
    clock.advance(FLUSH_MS);
    expect(reports.flatMap(({ events }) => events)).to.have.length(TAP_EVENTS_PER_SECOND_MAX);
  });

  it('closes by itself when it is not said again, and leaves no timer', () => {
    open({});
    clock.advance(TAPS_EXPIRE_MS - 1);
    open({});
    clock.advance(TAPS_EXPIRE_MS - 1);
    expect(tap.isOpen).to.equal(true);
    offer();
    clock.advance(1);
    expect(tap.isOpen).to.equal(false);
    expect(clock.pending).to.equal(0);
  });

  it('spends a bounded part of each second, whatever the filters are', () => {
    // Every look at the clock takes a millisecond, so each decision that is looked at seems to.
    const slow: Clock = {
      monotonicMs: () => {
        clock.advance(1);
        return clock.monotonicMs();
      },
      wallMs: () => clock.wallMs(),
      after: (delayMs, task) => clock.after(delayMs, task),
    };
    tap = new EventTap({ clock: slow, report: (tapped) => reports.push(tapped) });
    open({ host: 'nobody' });
    for (let at = 0; at < TAP_BUSY_MS_MAX + 40; at++) offer();
    clock.advance(FLUSH_MS);
    expect(reports).to.deep.equal([{ type: 'tapped', events: [], dropped: [{ tap: 't0', count: 40 }] }]);
    clock.advance(1_000);
    tap.set([{ id: 'new', filter: {} }]);
    offer();
    expect(flushed().at(-1)?.taps).to.deep.equal(['new']);
  });

  it('holds nobody up with a filter made to be slow', () => {
    tap = new EventTap({ clock: systemClock, report: () => undefined });
    const host = `${'*a'.repeat(120)}*b`;
    tap.set(Array.from({ length: 64 }, (_, at) => ({ id: `t${at}`, filter: { host } })));
    const event = eventOf({ hostname: 'a'.repeat(253) });
    const row = rowOf(event);
    const began = performance.now();
    for (let at = 0; at < 20_000; at++) tap.offer(event, row);
    // Without the bound this takes minutes.
    expect(performance.now() - began).to.be.lessThan(10_000);
    tap.close();
  });

  it('reports nothing after it was closed', () => {
    open({});
    offer();
    tap.close();
    clock.advance(1_000);
    expect(reports).to.deep.equal([]);
    expect(clock.pending).to.equal(0);
  });

  describe('on a match handler', () => {
    const FRAME_ID = Buffer.from('017f22e279b07cc398c4dc0c0c07398f', 'hex');
    let stored: AuditRow[];
    function handler(): MatchHandler {
      stored = [];
      return new MatchHandler(
        {
          audit: {
            insert: async (rows) => {
              stored.push(...rows);
              return rows.map(({ eventId, decision, alerts }) => ({
                eventId,
                decision,
                alerts,
                isFirst: true,
              }));
            },
          },
          quarantine: { quarantine: async () => undefined },
          auditUnmatched: () => 'none',
          unmatched: unmatchedWatch(),
          alertBounds: WIDE,
          count: () => undefined,
          onDecided: () => undefined,
          tap,
        },
        decisionsOf(snapshotOf([ruleOf({ id: 1, match_string: 'link down' })])),
      );
    }
    function batchOf(messages: readonly string[]): Batch {
      const bodies = messages.map((message) =>
        Buffer.from(JSON.stringify({ hostname: 'r1', message, timestamp: '2024-05-01T12:00:00Z' })),
      );
      const records = bodies.map((body): FrameInput => ({
        kind: RECORD_JSON,
        correlationId: 'c-1',
        body,
        start: 0,
        end: body.length,
      }));
      const payload = encodeFrame(FRAME_ID, receivedAtMs, records);
      const { length: count } = messages;
      const entry = { partition: 2, lane: 'ingest', id: '1-1', count, payload, storedAtMs: 42 };
      return { partition: 2, lane: 'ingest', pieces: [{ entry, lo: 0, hi: count }] };
    }

    it('sees what is decided, unmatched events that no row is kept of included, and changes nothing of it', async () => {
      const closed = handler();
      const plan = await closed.handle(batchOf(['link down', 'all well']));
      const rows = stored;
      open({});
      expect(await handler().handle(batchOf(['link down', 'all well']))).to.deep.equal(plan);
      expect(stored).to.deep.equal(rows);
      expect(stored).to.have.length(1);
      expect(flushed().map(({ event }) => [event.message, event.decision, event.rule_id])).to.deep.equal([
        ['link down', 'Page_and_ticket', 1],
        ['all well', 'Unmatched', null],
      ]);
    });
  });
});
