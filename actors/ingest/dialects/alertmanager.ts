/**
 * Reads a webhook of the Prometheus Alertmanager (version 4): one event for each alert of the group.
 *
 * The host is found in the labels; the message is the annotation `summary`, else `description`, else the alert's name;
 * the time is when the alert began, or ended if it is resolved.
 */
import type { EventCollector } from '../event-collector.ts';
import { isFields, isSaid } from '../known-shapes.ts';
import type { Fields } from '../known-shapes.ts';
import { rejected } from '../decode-record.ts';
import { ReadBudget } from '../read-budget.ts';
import { JsonCursor } from './json-cursor.ts';
import type { JsonPiece } from './json-cursor.ts';
import { eachElement, fieldsIn, untilBroken } from './json-parts.ts';
import { hostOfLabels } from './labels.ts';

/** Whether the body, an object, has what tells this webhook from anything else. Reads no further than it must. */
export function isAlertmanager(body: Buffer): boolean {
  const cursor = new JsonCursor(body, new ReadBudget());
  try {
    cursor.next();
    cursor.enter();
    const alerts = cursor.findMember('alerts');
    return (
      alerts !== undefined && body[alerts.start] === 0x5b && cursor.findMember('groupLabels') !== undefined
    );
  } catch {
    return false;
  }
}

/** Reads `into.body`, of which `isAlertmanager` holds. */
export function readAlertmanager(into: EventCollector): void {
  const cursor = new JsonCursor(into.body, into.budget);
  untilBroken(cursor, into, () => {
    cursor.next();
    cursor.enter();
    for (let name = cursor.nextMember(); name !== undefined; name = cursor.nextMember()) {
      if (name !== 'alerts') cursor.skip();
      else if (!eachElement(cursor, into, (alert) => readAlert(into, alert))) return;
    }
  });
}

function readAlert(into: EventCollector, piece: JsonPiece): void {
  const { start, end } = piece;
  if (piece.isTooDeep) {
    into.refuseDepth(start, end);
    return;
  }
  const alert = fieldsIn(into.body, piece);
  if (alert === undefined) {
    into.refuse(rejected('E_NOT_AN_OBJECT', 'The alert is no JSON object of at most 64 KiB.'), start, end);
    return;
  }
  const labels: Fields = isFields(alert['labels']) ? alert['labels'] : {};
  const annotations: Fields = isFields(alert['annotations']) ? alert['annotations'] : {};
  const isResolved = alert['status'] === 'resolved';
  const message = [annotations['summary'], annotations['description'], labels['alertname']].find(isSaid);
  into.event(
    {
      ...alert,
      source: 'webhook',
      ...(isSaid(labels['severity']) ? { severity: labels['severity'] } : {}),
      hostname: hostOfLabels(labels),
      message,
      timestamp: isResolved ? alert['endsAt'] : alert['startsAt'],
    },
    start,
    end,
  );
}
