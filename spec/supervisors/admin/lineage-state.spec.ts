/** What is said of an event whose alerts ended without being taken. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { LineageAlertDocument } from '../../../gateways/admin/lineage-documents.ts';
import { stateOf } from '../../../supervisors/admin/lineage-state.ts';

const letter = (
  reason: string,
  endedAt: string | null = null,
): NonNullable<LineageAlertDocument['dead_letter']> => ({
  reason,
  error: '',
  attempts: 0,
  first_failed_at: '',
  last_failed_at: '2026-05-01T10:00:00Z',
  ended_at: endedAt,
});
const alert = (destination: string, state: LineageAlertDocument['state']): LineageAlertDocument => ({
  alert_id: destination,
  destination,
  rule_id: 1,
  state,
  receipt: state === 'delivered' ? { status: 200, attempts: 1, delivered_at: '2026-05-01T12:00:00Z' } : null,
  unsent: null,
  dead_letter: ['superseded', 'discarded'].includes(state)
    ? letter('rejected', '2026-05-01T11:00:00Z')
    : null,
  mailbox: null,
  outbox: null,
});
const told = (...alerts: LineageAlertDocument[]) =>
  stateOf({ kind: 'decided', decision: 'Page_only', alerts });

describe('stateOf', () => {
  it('says what became of alerts that were refused', () => {
    expect(told(alert('noc', 'discarded'))).to.deep.equal({
      state: 'discarded',
      explanation: 'It was decided as Page_only; noc refused its alert, which was thrown away.',
    });
    expect(told({ ...alert('noc', 'dead_lettered'), dead_letter: letter('deferred') }).explanation).to.equal(
      'It was decided as Page_only; its alert for noc was not sent.',
    );
    expect(told(alert('noc', 'superseded'))).to.deep.equal({
      state: 'superseded',
      explanation: 'It was decided as Page_only; noc took a later alert of its signature instead.',
    });
    expect(told(alert('noc', 'superseded'), alert('mail', 'delivered'))).to.deep.equal({
      state: 'forwarded',
      explanation:
        'It was decided as Page_only, and taken by mail; noc took a later alert of its signature instead.',
    });
    expect(told(alert('noc', 'discarded'), alert('mail', 'waiting')).state).to.equal('forwarding');
    expect(told(alert('noc', 'superseded'), alert('mail', 'dead_lettered')).state).to.equal('dead_lettered');
  });

  it('is in the state of the alert that ended last, as the ledger counts it', () => {
    const thrownAwayLater = letter('rejected', '2026-05-01T13:00:00Z');
    const mail = alert('mail', 'delivered');
    expect(told({ ...alert('noc', 'discarded'), dead_letter: thrownAwayLater }, mail)).to.deep.equal({
      state: 'discarded',
      explanation:
        'It was decided as Page_only, and taken by mail; noc refused its alert, which was thrown away.',
    });
    expect(told(alert('noc', 'discarded'), mail).state).to.equal('forwarded');
    expect(told({ ...alert('noc', 'superseded'), dead_letter: thrownAwayLater }, mail).state).to.equal(
      'superseded',
    );
    const shedLater = letter('shed', '2026-05-01T13:00:00Z');
    expect(told({ ...alert('noc', 'discarded'), dead_letter: shedLater }, mail).state).to.equal('shed');
    expect(told({ ...alert('noc', 'delivered'), receipt: null }).state).to.equal('forwarded');
    // Ended without a receipt, since it is in no mailbox any more.
    const lost = { ...alert('mail', 'delivered'), receipt: null, dead_letter: thrownAwayLater };
    expect(told(alert('noc', 'discarded'), lost).state).to.equal('forwarded');
    // Thrown away at once: in the order of their ids.
    const [a, b] = [alert('a', 'discarded'), { ...alert('b', 'discarded'), dead_letter: shedLater }];
    const together = { ...a, dead_letter: thrownAwayLater };
    expect([told(together, b).state, told(b, together).state]).to.deep.equal(['shed', 'shed']);
  });

  it('says what became of an alert about unmatched events', () => {
    const at = '2026-05-01T13:00:00Z';
    const cases: [LineageAlertDocument['state'], reason: string, state: string, explanation: RegExp][] = [
      ['dead_lettered', 'rejected', 'dead_lettered', /noc refused it for good\.$/],
      ['dead_lettered', 'deferred', 'dead_lettered', /it was not sent to noc\.$/],
      ['waiting', 'rejected', 'forwarding', /it is on its way to noc once more\.$/],
      ['discarded', 'rejected', 'discarded', /noc refused it for good, and it was thrown away\.$/],
      ['discarded', 'shed', 'shed', /it was not sent to noc, and it was thrown away\.$/],
      ['superseded', 'rejected', 'superseded', /noc took a later alert of its signature instead\.$/],
      ['delivered', 'rejected', 'forwarded', /noc took it\.$/],
    ];
    for (const [became, reason, state, explanation] of cases) {
      const isOver = ['delivered', 'superseded', 'discarded'].includes(became);
      const meta = { ...alert('noc', became), dead_letter: letter(reason, isOver ? at : null) };
      const known = stateOf({ kind: 'meta_alert', alert: meta });
      expect(known.state, `${became} ${reason}`).to.equal(state);
      expect(known.explanation)
        .to.match(/about unmatched events/)
        .and.match(explanation);
    }
  });

  it('says what an alert waits behind, and what holds its mailbox back', () => {
    const mailbox = { depth: 2, oldest_at: null, paused: 'noc is down.', waits_behind: 'a1' };
    expect(told({ ...alert('noc', 'waiting'), mailbox }).explanation).to.equal(
      'It was decided as Page_only; its alert for noc is on its way. noc is down. For noc it waits behind alert a1 of its signature, which is tried again.',
    );
  });
});
