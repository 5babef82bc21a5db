/**
 * Reads what Splunk's HTTP Event Collector takes: JSON envelopes one after the other. (Its raw route takes what the native
 * one does, with the host in the query.)
 *
 * An envelope's `host`, `time`, `source`, `sourcetype`, `index` and `fields` go with its event; the event itself may be a
 * text or an object. Time is optional: without one it is the receipt, and the event says so.
 */
import { missing, rejected } from '../decode-record.ts';
import type { EventCollector } from '../event-collector.ts';
import { RECEIPT_TIME, isFields, isSaid, withOurNames } from '../known-shapes.ts';
import type { Fields } from '../known-shapes.ts';
import { readRecords } from '../read-records.ts';
import type { Unreadable } from '../read-records.ts';
import { RECORD_JSON } from '../split-records.ts';

/** Reads `into.body` as envelopes. Gives back why nothing can be read, if so. */
export function readHecEvents(into: EventCollector): Unreadable | undefined {
  return readRecords(into, ({ kind, start, end }) => {
    if (kind === RECORD_JSON) readEnvelope(into, start, end);
    else into.refuse(NO_ENVELOPE, start, end);
  });
}

const NO_ENVELOPE = rejected(
  'E_JSON_MALFORMED',
  'The record is not a JSON object: send {"event": …, "host": …} here, and text to /services/collector/raw.',
);

function readEnvelope(into: EventCollector, start: number, end: number): void {
  let envelope: unknown;
  try {
    envelope = JSON.parse(into.body.toString('utf8', start, end));
  } catch {
    into.refuse(
      rejected('E_JSON_MALFORMED', 'The envelope is not valid JSON: quote names and texts.'),
      start,
      end,
    );
    return;
  }
  if (!isFields(envelope)) {
    into.refuse(
      rejected('E_NOT_AN_OBJECT', 'The envelope is no JSON object: send {"event": …, "host": …}.'),
      start,
      end,
    );
    return;
  }
  const { event, fields, host, time, ...rest } = envelope;
  if (!isSaid(event)) {
    into.refuse(
      event === ''
        ? rejected('E_FIELD_EMPTY', 'event is empty: send a text or an object.')
        : missing('event'),
      start,
      end,
    );
    return;
  }
  const around: Fields = { ...rest, ...(isFields(fields) ? fields : {}) };
  const given: Fields = { hostname: host, timestamp: time };
  into.event(withTime(fromEvent(event, around, given), into.receivedAtMs), start, end);
}

/** The envelope speaks for the event: its host and time count where the event has some as well. */
function fromEvent(event: unknown, around: Fields, given: Fields): Fields {
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => isSaid(value)));
  if (isFields(event)) {
    const named = withOurNames(event) ?? event;
    return {
      ...around,
      ...named,
      ...(isSaid(named['message']) ? {} : { message: JSON.stringify(event) }),
      ...said,
    };
  }
  return { ...around, message: typeof event === 'string' ? event : JSON.stringify(event), ...said };
}

function withTime(event: Fields, receivedAtMs: number): Fields {
  if (isSaid(event['timestamp'])) return event;
  return { ...event, timestamp: new Date(receivedAtMs).toISOString(), ...RECEIPT_TIME };
}
