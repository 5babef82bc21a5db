/** What is known of an event, as a state of the closed list and a sentence for a person. */
import { endedAs } from '../../actors/forward/unsent.ts';
import { wasShed } from '../../actors/ports.ts';
import type { UnsentReason } from '../../actors/ports.ts';
import type { LineageAlertDocument, LineageDocument } from '../../gateways/admin/lineage-documents.ts';
import type { WaitingLook } from './find-waiting.ts';

export type Known =
  | { kind: 'decided'; decision: string; alerts: readonly LineageAlertDocument[] }
  | { kind: 'quarantined'; partition: number; reason: string; attempts: number }
  | { kind: 'waiting'; look: WaitingLook }
  | { kind: 'no_trace'; policy: 'none' | 'sample' | 'all' }
  | { kind: 'too_old'; keptSinceMs: number }
  | { kind: 'future' }
  | { kind: 'never' }
  | { kind: 'request'; events: number; rejects: number; isComplete: boolean }
  | { kind: 'unknown_alert'; isComplete: boolean }
  | { kind: 'meta_alert'; alert: AnyAlert };

/** Also one that no rule has made. */
type AnyAlert = Omit<LineageAlertDocument, 'rule_id'>;
type State = Pick<LineageDocument, 'state' | 'explanation'>;

const POLICY = {
  none: 'none of them is kept',
  sample: 'only a sample of them is kept',
} as const;

const UNSENT: Record<UnsentReason, string> = {
  muted: 'it was muted',
  stale: 'the alert was too old when its turn came',
  superseded: 'a later alert of the same signature waited, and went in its place',
};

export function stateOf(known: Known): State {
  switch (known.kind) {
    case 'decided':
      return decided(known.decision, known.alerts);
    case 'quarantined':
      return {
        state: 'quarantined',
        explanation: `It broke what handles it (${known.reason}) ${times(known.attempts)} and is kept in quarantine.`,
      };
    case 'waiting':
      return waiting(known.look);
    case 'no_trace':
      if (known.policy === 'all') {
        return {
          state: 'unknown',
          explanation:
            'There is no such event: nothing as old waits any more, and every decided event is kept (audit.unmatched.policy is all; under an earlier one it may not have been).',
        };
      }
      return {
        state: 'not_kept',
        explanation: `Not kept by policy: if it was received, it has been decided by now and matched no rule; of unmatched events ${POLICY[known.policy]} (audit.unmatched.policy is ${known.policy}). The ledger counts it as unmatched.`,
      };
    case 'too_old':
      return {
        state: 'unknown',
        explanation: `Nothing is known of it: decisions are kept from ${new Date(known.keptSinceMs).toISOString()} on, and its id is from before.`,
      };
    case 'future':
      return { state: 'unknown', explanation: 'There is no such event: the time in its id is yet to come.' };
    case 'never':
      return { state: 'unknown', explanation: 'There is no such event.' };
    case 'request':
      return request(known);
    case 'unknown_alert':
      return {
        state: 'unknown',
        explanation: known.isComplete
          ? 'No destination took or refused such an alert, and none was decided, or its month was removed. An alert about unmatched events that still waits cannot be found by its id.'
          : 'No destination took or refused such an alert, and it was not found among the newest decisions; the search was ended. Ask by the id of its event.',
      };
    case 'meta_alert':
      return metaAlert(known.alert);
  }
}

function decided(decision: string, alerts: readonly LineageAlertDocument[]): State {
  if (decision === 'Unmatched') {
    return {
      state: 'unmatched',
      explanation: 'It matched no rule; it is among the unmatched events that are kept.',
    };
  }
  if (alerts.length === 0) {
    return { state: 'handled', explanation: `It was decided as ${decision}, and nothing was to be sent.` };
  }
  const of = (state: LineageAlertDocument['state']): string[] =>
    alerts.filter((alert) => alert.state === state).map(({ destination }) => destination);
  const [dead, waits, unclear] = [of('dead_lettered'), of('waiting'), of('unknown')];
  // Which is the first match's; one that lets later rules match may send nothing itself.
  const began = `It was decided as ${decision}${decision === 'Ignore' ? ' by its first match, and another one alerts' : ''}`;
  if (dead.length > 0) {
    const rest = [
      ...(waits.length === 0 ? [] : [`; its alert for ${list(waits)} is on its way`]),
      ...(of('delivered').length === 0 ? [] : [`; ${list(of('delivered'))} took it`]),
    ].join('');
    return {
      state: 'dead_lettered',
      explanation: `${began}${letters(alerts, 'dead_lettered', 'refused its alert for good', 'was not sent')}${rest}.`,
    };
  }
  if (unclear.length > 0) {
    return {
      state: 'forwarding',
      explanation: `${began}; there is no receipt of ${list(unclear)}, and whether its alert waits cannot be told now.`,
    };
  }
  if (waits.length > 0) {
    const reasons = alerts.flatMap(({ mailbox }) => mailbox?.paused ?? []);
    const outside = alerts.flatMap(({ destination, outbox }) =>
      outbox === null
        ? []
        : [
            `The mailbox of ${destination} is full: it waits in the outbox, behind ${outbox.alerts_before} others.`,
          ],
    );
    const behind = alerts.flatMap(({ destination, mailbox }) =>
      mailbox === null || mailbox.waits_behind === null
        ? []
        : [
            `For ${destination} it waits behind alert ${mailbox.waits_behind} of its signature, which is tried again.`,
          ],
    );
    const why = [...new Set([...outside, ...reasons, ...behind])].map((sentence) => ` ${sentence}`).join('');
    return {
      state: 'forwarding',
      explanation: `${began}; its alert for ${list(waits)} is on its way.${why}`,
    };
  }
  return { state: lastState(alerts), explanation: ended(began, alerts) };
}

/** How those alerts ended of which none waits and none is a dead letter. */
function ended(began: string, alerts: readonly LineageAlertDocument[]): string {
  const of = (isIt: (alert: LineageAlertDocument) => boolean): string[] =>
    alerts.filter(isIt).map(({ destination }) => destination);
  const taken = of(({ state }) => state === 'delivered');
  const late = of(({ state, receipt }) => state === 'delivered' && receipt === null);
  const superseded = of(({ state, unsent }) => state === 'superseded' && unsent === null);
  const why = alerts.flatMap(({ destination, unsent }) =>
    unsent === null ? [] : [` It was not sent to ${destination}: ${UNSENT[unsent.reason]}.`],
  );
  return [
    began,
    taken.length === 0 ? '' : `, and taken by ${list(taken)}`,
    superseded.length === 0 ? '' : `; ${list(superseded)} took a later alert of its signature instead`,
    letters(alerts, 'discarded', 'refused its alert, which was thrown away', 'was not sent, and thrown away'),
    '.',
    ...new Set(why),
    late.length === 0 ? '' : ` The receipt of ${list(late)} is not stored, or not yet.`,
  ].join('');
}

/** Those whose destination said no, and those that it never saw. */
function letters(
  alerts: readonly LineageAlertDocument[],
  state: LineageAlertDocument['state'],
  refused: string,
  unsent: string,
): string {
  const found = alerts.filter((alert) => alert.state === state);
  const of = (isUnsent: boolean): string[] =>
    found.filter((alert) => wasNeverSent(alert) === isUnsent).map(({ destination }) => destination);
  return [
    of(false).length === 0 ? '' : `; ${list(of(false))} ${refused}`,
    of(true).length === 0 ? '' : `; its alert for ${list(of(true))} ${unsent}`,
  ].join('');
}

function wasNeverSent({ dead_letter: letter }: AnyAlert): boolean {
  return letter !== null && (letter.reason === 'template' || wasShed(letter.reason));
}

type Ended = 'forwarded' | 'suppressed' | 'superseded' | 'discarded' | 'shed';

/** As the ledger counts it: by the alert that ended last, as far as it is known when they ended. */
function lastState(alerts: readonly LineageAlertDocument[]): Ended {
  const [last] = alerts.flatMap((alert) => endOf(alert) ?? []).sort(byLatest);
  // None of them is known to have ended otherwise: they were taken, and their receipts are late.
  return last?.state ?? 'forwarded';
}

interface End {
  at: string;
  alertId: string;
  state: Ended;
}

/** Letters that are thrown away together end at one time, in the order of their ids. */
function byLatest(a: End, b: End): number {
  return compare(b.at, a.at) || compare(b.alertId, a.alertId);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Undefined while it has not ended, and of one that was taken when nobody knows. */
function endOf(alert: AnyAlert): End | undefined {
  const { alert_id: alertId, receipt, unsent, dead_letter: letter } = alert;
  if (unsent !== null) return { alertId, at: unsent.at, state: endedAs(unsent.reason) };
  if (receipt !== null) return { alertId, at: receipt.delivered_at, state: 'forwarded' };
  const at = letter?.ended_at ?? undefined;
  if (letter === null || at === undefined) return undefined;
  switch (alert.state) {
    case 'delivered':
      return { alertId, at, state: 'forwarded' };
    case 'superseded':
      return { alertId, at, state: 'superseded' };
    case 'discarded':
      return { alertId, at, state: wasShed(letter.reason) ? 'shed' : 'discarded' };
    default:
      return undefined;
  }
}

function metaAlert(alert: AnyAlert): State {
  const { destination, state, unsent } = alert;
  const tell = (known: State['state'], what: string): State => ({
    state: known,
    explanation: `It is an alert about unmatched events and of no single one; ${what}.`,
  });
  if (unsent !== null)
    return tell(endedAs(unsent.reason), `it was not sent to ${destination}: ${UNSENT[unsent.reason]}`);
  const refused = wasNeverSent(alert)
    ? `it was not sent to ${destination}`
    : `${destination} refused it for good`;
  switch (state) {
    case 'dead_lettered':
      return tell('dead_lettered', refused);
    case 'waiting':
      return tell('forwarding', `it is on its way to ${destination} once more`);
    case 'discarded':
      return tell(endOf(alert)?.state ?? 'discarded', `${refused}, and it was thrown away`);
    case 'superseded':
      return tell('superseded', `${destination} took a later alert of its signature instead`);
    default:
      return tell('forwarded', `${destination} took it`);
  }
}

function waiting({ found, perhaps }: WaitingLook): State {
  if (found !== undefined) {
    const { partition, lane, framesBefore } = found;
    const before = framesBefore === 0 ? 'the first there' : `behind ${framesBefore} frames`;
    return {
      state: 'waiting',
      explanation: `It waits in the ${lane} mailbox of partition ${partition}, ${before}, or is being matched.`,
    };
  }
  const where =
    perhaps === undefined ? 'a mailbox' : `the ${perhaps.lane} mailbox of partition ${perhaps.partition}`;
  return {
    state: 'waiting',
    explanation: `It is not decided as far as is known, and events as old still wait, in ${where} among others; if it was received it may be one of them.`,
  };
}

function request({ events, rejects, isComplete }: Extract<Known, { kind: 'request' }>): State {
  if (events + rejects === 0) {
    const explanation = isComplete
      ? 'No decision and no reject has this id. Events that still wait, and unmatched ones that are not kept by policy, cannot be found by it.'
      : 'No reject has this id and none of the newest decisions; the search was ended. Ask by the id of the event.';
    return { state: 'unknown', explanation };
  }
  const parts = [
    ...(events === 0 ? [] : [`${events} decided ${events === 1 ? 'event' : 'events'}`]),
    ...(rejects === 0 ? [] : [`${rejects} ${rejects === 1 ? 'reject' : 'rejects'}`]),
  ];
  const rest = isComplete
    ? 'Unmatched events that are not kept by policy, and those that still wait, are not among them.'
    : 'There may be more.';
  return {
    state: events === 0 && rejects > 0 ? 'rejected' : 'several',
    explanation: `It is a request with ${parts.join(' and ')}. ${rest}`,
  };
}

function list(names: readonly string[]): string {
  return [...new Set(names)].join(', ');
}

function times(n: number): string {
  return n === 1 ? 'once' : `${n} times`;
}
