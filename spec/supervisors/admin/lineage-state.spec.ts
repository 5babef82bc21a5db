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
  });

  it('says what an alert waits behind, and what holds its mailbox back', () => {
    const mailbox = { depth: 2, oldest_at: null, paused: 'noc is down.', waits_behind: 'a1' };
    expect(told({ ...alert('noc', 'waiting'), mailbox }).explanation).to.equal(
      'It was decided as Page_only; its alert for noc is on its way. noc is down. For noc it waits behind alert a1 of its signature, which is tried again.',
    );
  });
});
