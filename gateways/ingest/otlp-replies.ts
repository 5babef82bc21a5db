/**
 * The replies of OTLP/HTTP, in the encoding of the request: ExportLogsServiceResponse for what was stored,
 * google.rpc.Status for what was refused (opentelemetry-proto, docs/specification.md, section OTLP/HTTP Response).
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { JSON_HEADERS_SMALL } from '../http/security-headers.ts';
import { writeRefused } from './dialect-replies.ts';
import type { DialectReplies } from './dialect-replies.ts';
import type { IngestVerdict } from './ingest-port.ts';
import { errorsShown } from './replies.ts';
import type { Refusal } from './replies.ts';

const PROTOBUF_HEADERS = 'application/x-protobuf\r\nX-Content-Type-Options: nosniff';
const RESPONSE = { partialSuccess: 1 } as const;
const PARTIAL = { rejectedLogRecords: 1, errorMessage: 2 } as const;
const STATUS = { code: 1, message: 2 } as const;

/** google.rpc.Code by HTTP status. */
const CODES: Readonly<Record<string, number>> = { 400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 503: 14 };
const UNKNOWN = 2;

export const OTLP_JSON_REPLIES: DialectReplies = {
  isToldOfUnreadable: true,

  stored(response, verdict, { correlationId, closeConnection }) {
    const { rejected } = verdict;
    // 64-bit numbers are texts in the JSON mapping.
    const partialSuccess =
      rejected === 0 ? {} : { rejectedLogRecords: String(rejected), errorMessage: errorMessageOf(verdict) };
    response.writeHeader('Content-Type', JSON_HEADERS_SMALL);
    response.writeHeader('X-Correlation-ID', correlationId);
    response.end(JSON.stringify({ partialSuccess }), closeConnection);
  },

  refused(response, refusal, context) {
    const body = JSON.stringify({ code: codeOf(refusal), message: messageOf(refusal, context.verdict) });
    writeRefused(response, refusal, context, JSON_HEADERS_SMALL, body);
  },
};

export const OTLP_PROTOBUF_REPLIES: DialectReplies = {
  isToldOfUnreadable: true,

  stored(response, verdict, { correlationId, closeConnection }) {
    const { rejected } = verdict;
    const writer = new BinaryWriter();
    if (rejected > 0) {
      writer.tag(RESPONSE.partialSuccess, WireType.LengthDelimited).fork();
      writer.tag(PARTIAL.rejectedLogRecords, WireType.Varint).int64(rejected);
      writer.tag(PARTIAL.errorMessage, WireType.LengthDelimited).string(errorMessageOf(verdict));
      writer.join();
    }
    response.writeHeader('Content-Type', PROTOBUF_HEADERS);
    response.writeHeader('X-Correlation-ID', correlationId);
    response.end(writer.finish(), closeConnection);
  },

  refused(response, refusal, context) {
    const writer = new BinaryWriter();
    writer.tag(STATUS.code, WireType.Varint).int32(codeOf(refusal));
    writer.tag(STATUS.message, WireType.LengthDelimited).string(messageOf(refusal, context.verdict));
    writeRefused(response, refusal, context, PROTOBUF_HEADERS, writer.finish());
  },
};

function codeOf({ status }: Refusal): number {
  return CODES[status.slice(0, 3)] ?? UNKNOWN;
}

/** Our code is the first word: a Status has no place for it. */
function messageOf({ code, detail }: Refusal, verdict: IngestVerdict | undefined): string {
  const errors = verdict === undefined || verdict.errors.length === 0 ? '' : ` ${errorMessageOf(verdict)}`;
  return `${code}: ${detail}${errors}`;
}

function errorMessageOf(verdict: IngestVerdict): string {
  return errorsShown(verdict)
    .map(({ index, code, message }) => `Record ${index}: ${code}: ${message}`)
    .join(' ');
}
