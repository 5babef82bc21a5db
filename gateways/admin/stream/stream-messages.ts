/**
 * The messages of the live stream: what a client may say, and what a client is told. JSON texts.
 */
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { HANDLINGS } from '../../../actors/event.ts';
import type { TapFilter, TappedEvent } from '../../../actors/match/messages.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { idNumber, oneOf } from '../documents.ts';
import { fieldFaults } from '../field-faults.ts';
import type { FieldFault } from '../field-faults.ts';
import { closed, textOf } from '../inputs.ts';
import { parseJsonBody } from '../json-body.ts';
import { faulty } from '../problems.ts';
import type { CountersDocument } from './stream-port.ts';

export const CHANNELS = ['counters', 'tree', 'tap'] as const;
export type Channel = (typeof CHANNELS)[number];
const PATTERN_CHARS_MAX = 255;
const CHANNELS_MAX = 16;

const pattern = Type.Optional(textOf(PATTERN_CHARS_MAX));
const clientMessage = closed({
  subscribe: Type.Array(oneOf(CHANNELS), {
    maxItems: CHANNELS_MAX,
    description: `a list of ${CHANNELS.join(', ')}`,
  }),
  filter: Type.Optional(
    closed({
      host: pattern,
      program: pattern,
      rule: Type.Optional(idNumber),
      decision: Type.Optional(oneOf([...HANDLINGS, 'Unmatched'])),
    }),
  ),
});

/** The whole subscription of a client: each message takes the place of the one before. */
export interface Subscription {
  channels: ReadonlySet<Channel>;
  /** Of the tap. */
  filter: TapFilter;
}

export type ServerMessage =
  | { type: 'subscribed'; subscribe: Channel[]; filter: TapFilter }
  | ({ type: 'counters' } & CountersDocument)
  | { type: 'tree'; event: object }
  | { type: 'tap'; event: TappedEvent }
  /** So many messages or events were left out here. */
  | { type: 'dropped'; count: number }
  | { type: 'error'; code: string; message: string; mend: string; errors?: unknown };

/** Errors: E_MESSAGE_INVALID, with `details.faults` when it is JSON. */
export function parseClientMessage(text: Uint8Array, isBinary: boolean): Subscription {
  if (isBinary) throw invalid('the message is binary');
  let document: unknown;
  try {
    document = parseJsonBody(text);
  } catch (thrown) {
    const { details } = thrown as CodedError;
    const { faults } = details as { faults?: FieldFault[] };
    throw faults === undefined
      ? invalid('the message is not JSON')
      : faulty('E_MESSAGE_INVALID', 'the message', faults);
  }
  if (!Value.Check(clientMessage, document)) {
    throw faulty('E_MESSAGE_INVALID', 'the message', fieldFaults(clientMessage, document));
  }
  const { subscribe, filter = {} } = document;
  if (Object.keys(filter).length > 0 && !subscribe.includes('tap')) {
    const fault = { field: 'filter', why: 'is only for the tap', mend: 'Leave it out, or subscribe to tap.' };
    throw faulty('E_MESSAGE_INVALID', 'the message', [fault]);
  }
  return { channels: new Set(subscribe), filter: filter };
}

const EXAMPLE = 'Send text such as {"subscribe":["counters","tap"],"filter":{"host":"core-*"}}.';

function invalid(what: string): CodedError {
  return new CodedError('E_MESSAGE_INVALID', what, { mend: EXAMPLE });
}

export function errorMessage(thrown: CodedError): ServerMessage {
  const { code, message, mend = EXAMPLE, details } = thrown;
  return {
    type: 'error',
    code,
    message,
    mend,
    ...('faults' in details ? { errors: details['faults'] } : {}),
  };
}
