/**
 * Reads the body of a Kafka REST proxy, v1 or v2: `{"records":[{"key":…,"value":{…}}]}`. rsyslog's omhttp writes it with
 * `batch.format="kafkarest"`.
 *
 * The value is the event, kept as received; a value that is a text is read as a line of its own. What is beside the
 * value (key, partition) is for Kafka and is dropped.
 */
import { missing, rejected } from '../decode-record.ts';
import type { EventCollector } from '../event-collector.ts';
import { RECORD_JSON, RECORD_LINE } from '../split-records.ts';
import { JsonCursor } from './json-cursor.ts';
import type { JsonPiece } from './json-cursor.ts';
import { eachElement, untilBroken } from './json-parts.ts';

const QUOTE = 0x22;
const BRACE_OPEN = 0x7b;

/** Reads `into.body`, an object whose first member is `records`. */
export function readKafkaRest(into: EventCollector): void {
  const cursor = new JsonCursor(into.body, into.budget);
  untilBroken(cursor, into, () => {
    cursor.next();
    cursor.enter();
    for (let name = cursor.nextMember(); name !== undefined; name = cursor.nextMember()) {
      if (name !== 'records') cursor.skip();
      else if (!eachElement(cursor, into, (record) => readRecord(into, record))) return;
    }
  });
}

function readRecord(into: EventCollector, record: JsonPiece): void {
  const { start, end } = record;
  const inner = new JsonCursor(into.body, into.budget, start, end);
  if (inner.next() !== 'object') {
    const message = 'The record is not a JSON object: send {"value": {"hostname": …, …}}.';
    into.refuse(rejected('E_NOT_AN_OBJECT', message), start, end);
    return;
  }
  inner.enter();
  const value = inner.findMember('value');
  if (value === undefined) {
    into.refuse(missing('value'), start, end);
  } else if (value.isTooDeep) {
    into.refuseDepth(start, end);
  } else if (into.body[value.start] === QUOTE) {
    readText(into, value, record);
  } else {
    into.received(RECORD_JSON, value.start, value.end, record);
  }
}

/** A text may be a JSON event, quoted once more, or a syslog line. */
function readText(into: EventCollector, value: JsonPiece, { start, end }: JsonPiece): void {
  let text: Buffer;
  try {
    text = Buffer.from(JSON.parse(into.body.toString('utf8', value.start, value.end)) as string);
  } catch {
    into.refuse(
      rejected('E_JSON_MALFORMED', 'The value is no valid JSON text: escape quotes and line ends.'),
      start,
      end,
    );
    return;
  }
  into.made(text[0] === BRACE_OPEN ? RECORD_JSON : RECORD_LINE, text, start, end);
}
