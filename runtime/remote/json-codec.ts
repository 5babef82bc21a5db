/**
 * Plain data as JSON, checked against a schema by both sides.
 *
 * The check is compiled once per thread. What the schema does not name and JSON cannot carry does not arrive: close the
 * schema (`additionalProperties: false`) to have it refused instead.
 */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { CodedError, messageOf } from '../errors.ts';
import { hashOf, unreadable, unsendable } from './codec.ts';
import type { MessageCodec } from './codec.ts';

export interface JsonCodecOptions {
  name: string;
  version: number;
  schema: TSchema;
  /** What an ask is answered with. */
  reply?: TSchema;
  /** The field of a message that holds the reply address of an ask; it is no part of the schema. */
  replyField?: string;
}

const FAULTS_SHOWN_MAX = 5;

/** Messages as JSON, checked against the schema by both sides. The type is the caller's word for the schema's. */
export function jsonCodec<M>(options: JsonCodecOptions): MessageCodec<M> {
  const { name, version, schema, reply, replyField = 'replyTo' } = options;
  const check = Compile(schema);
  if (!check.IsAccelerated()) {
    throw new CodedError('E_CODEC_SLOW', `the check of codec ${name} could not be compiled`, {
      kind: 'defect',
      mend: 'Start Node without --disallow-code-generation-from-strings.',
    });
  }
  const faultsOf = (value: unknown): string =>
    check
      .Errors(value)
      .slice(0, FAULTS_SHOWN_MAX)
      .map(
        ({ instancePath, message }) => `${instancePath === '' ? '(the message)' : instancePath} ${message}`,
      )
      .join('; ');
  return {
    name,
    version,
    schemaHash: hashOf({ schema, reply: reply ?? null, replyField }),
    replies:
      reply === undefined ? undefined : jsonCodec<unknown>({ name: `${name}.reply`, version, schema: reply }),
    encode(message, isAsk) {
      const body = withoutReplyAddress(message, replyField, isAsk, name);
      if (!check.Check(body)) throw unsendable(name, faultsOf(body));
      try {
        const json = JSON.stringify(body) as string | undefined;
        if (json !== undefined) return json;
      } catch (thrown) {
        throw unsendable(name, messageOf(thrown), thrown);
      }
      throw unsendable(name, 'JSON has no form for it');
    },
    decode(view) {
      let message: unknown;
      try {
        message = JSON.parse(view.text());
      } catch (thrown) {
        throw unreadable(name, messageOf(thrown), thrown);
      }
      if (!check.Check(message)) throw unreadable(name, faultsOf(message));
      if (view.replyTo !== undefined && typeof message === 'object' && message !== null) {
        (message as Record<string, unknown>)[replyField] = view.replyTo;
      }
      return message as M;
    },
  };
}

function withoutReplyAddress(message: unknown, field: string, isAsk: boolean, codec: string): unknown {
  if (typeof message !== 'object' || message === null || !(field in message)) return message;
  if (!isAsk) {
    throw new CodedError(
      'E_MESSAGE_UNSENDABLE',
      `${codec}: a reply address in "${field}" cannot leave its thread`,
      {
        kind: 'defect',
        mend: 'Use ask, which makes an address that can.',
      },
    );
  }
  const { [field]: _address, ...body } = message as Record<string, unknown>;
  return body;
}
