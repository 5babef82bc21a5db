import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import {
  DEAD_LANE,
  alertLane,
  decodeStoredAlert,
  encodeStoredAlert,
} from '../../../actors/forward/messages.ts';
import { shedBelow, shedding, worthOf } from '../../../actors/match/shedding.ts';
import type { ShedMode } from '../../../actors/match/shedding.ts';
import type { Output } from '../../../runtime/durable/durable-store.ts';
import { WIDE } from '../../runtime/durable/store-under-test.ts';
import { alertOf } from '../forward/alerts.ts';

const THRESHOLD = 60;

function outputOf(id: string, fields: Partial<Alert>, isOverShare = false): Output {
  const alert = alertOf(id, { severity: 6, status: 'firing', decision: 'Ticket_only', ...fields });
  const payload = encodeStoredAlert({ alert, attempts: 0 });
  return { lane: alertLane(alert.destination), payload, bounds: WIDE, worth: worthOf(alert, isOverShare) };
}
const idsOf = (outputs: readonly Output[]): string[] =>
  outputs.map(({ payload }) => decodeStoredAlert(payload).alert.id);

describe('Shedding', () => {
  const policy = (mode: ShedMode, thresholdPercent = THRESHOLD) =>
    shedding({ mode: () => mode, thresholdPercent: () => thresholdPercent, bounds: WIDE });

  it('sheds the least severe first, of these tickets before pages, of these what is over its share', () => {
    const outputs = [
      outputOf('error', { severity: 3 }),
      outputOf('notice', { severity: 5 }),
      outputOf('debug page', { severity: 7, decision: 'Page_only' }),
      outputOf('debug ticket', { severity: 7 }),
      outputOf('debug ticket over share', { severity: 7 }, true),
      outputOf('debug page and ticket over share', { severity: 7, decision: 'Page_and_ticket' }, true),
      outputOf('unknown', { severity: null }),
    ];
    const order = outputs.toSorted((a, b) => (a.worth ?? 0) - (b.worth ?? 0));
    expect(idsOf(order)).to.deep.equal([
      'debug ticket over share',
      'debug ticket',
      'debug page and ticket over share',
      'debug page',
      'notice',
      'unknown',
      'error',
    ]);
  });

  it('sheds nothing below its threshold, more the fuller the outbox is, and all that may be when it is full', () => {
    const outputs = [3, 4, 5, 6, 7].map((severity) => outputOf(`${severity}`, { severity }));
    const shedAt = (fill: number): string[] => idsOf(policy('dlq').divide(outputs, fill).shed);
    expect(shedAt(0.599)).to.deep.equal([]);
    expect(shedAt(0.63)).to.deep.equal(['7']);
    expect(shedAt(0.71)).to.deep.equal(['6', '7']);
    expect(shedAt(1)).to.deep.equal(['3', '4', '5', '6', '7']);
    expect(shedAt(40)).to.deep.equal(['3', '4', '5', '6', '7']);
    const limits = Array.from({ length: 60 }, (_, at) => shedBelow(at / 50, THRESHOLD));
    expect(limits).to.deep.equal(limits.toSorted((a, b) => a - b));
    expect(shedBelow(0.99, 99)).to.be.above(0);
  });

  it('never sheds what is critical, nor what resolves an earlier alert', () => {
    const outputs = [
      outputOf('emergency', { severity: 0 }),
      outputOf('critical', { severity: 2 }, true),
      outputOf('resolved', { severity: 7, status: 'resolved' }, true),
    ];
    const { kept, shed } = policy('defer').divide(outputs, 2);
    expect([kept, shed]).to.deep.equal([outputs, []]);
  });

  it('makes dead letters of them that say why, counted by mode; none when it is off', () => {
    const outputs = [outputOf('a', {}), outputOf('b', { severity: 1 }), outputOf('c', { severity: 7 })];
    for (const [mode, reason] of [
      ['dlq', 'shed'],
      ['defer', 'deferred'],
    ] as const) {
      const { kept, shed, counters } = policy(mode).divide(outputs, 1.2);
      expect(idsOf(kept)).to.deep.equal(['b']);
      expect(shed.map(({ lane }) => lane)).to.deep.equal([DEAD_LANE, DEAD_LANE]);
      const letter = decodeStoredAlert(shed[0]?.payload ?? Buffer.alloc(0));
      expect(letter).to.include({ attempts: 0, reason });
      expect(letter.error).to.equal('not sent: the outbox had no room for all (shed.thresholdPercent is 60)');
      const [early] = policy(mode).divide(outputs, 0.9).shed;
      expect(decodeStoredAlert(early?.payload ?? Buffer.alloc(0)).error).to.equal(
        'not sent: the outbox would have been 90 % full (shed.thresholdPercent is 60)',
      );
      expect(counters).to.deep.equal({ [`alerts_${reason}`]: 2 });
    }
    expect(policy('off').divide(outputs, 1.2)).to.deep.equal({ kept: outputs, shed: [] });
  });
});
