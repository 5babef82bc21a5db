/**
 * A reject that is to be sent once more: judged as the ingest port judges, and made into frames. No I/O.
 *
 * Invariant: all of its records are usable or none of them is taken, as with `Prefer: handling=strict`; so a reject never
 * makes another one.
 */
import { decodeBody } from './decode-body.ts';
import type { AcceptedRecord } from './event-collector.ts';
import { decodeRecord } from './decode-record.ts';
import { decodeFrame, encodeFrame } from './frame.ts';
import { PARKED_BYTES_MAX } from './limits.ts';
import { hostnameHash, partitionOfHash } from './partition.ts';

/** What is wrong with one record. */
export interface RecordFault {
  /** Its place in the body, from 0. */
  index: number;
  code: string;
  message: string;
}

export interface UsableBody {
  body: Buffer;
  records: AcceptedRecord[];
}

export interface JudgedReject {
  code: string;
  body: Buffer;
}

/** One append: events of one partition. */
export interface EventFrame {
  partition: number;
  /** From 1 in each partition. */
  sequence: number;
  events: number;
  frame: Buffer;
}

/** Of one reject: more are another request's, not a correction. */
export const RESUBMITTED_RECORDS_MAX = 1_000;
const FAULTS_SHOWN_MAX = 10;
/** A frame is handled as one batch. */
const FRAME_EVENTS_MAX = 1_000;
const FRAME_BYTES_MAX = 1024 * 1024;

/** Judges a reject as it was parked, or with the body that is sent instead. */
export function judgeReject(
  reject: JudgedReject,
  edited: Buffer | undefined,
  nowMs: number,
): UsableBody | { faults: RecordFault[] } {
  if (edited === undefined) {
    const fault = faultOfKind(reject);
    if (fault !== undefined) return { faults: [{ index: 0, ...fault }] };
  }
  const decoded = decodeBody(edited ?? reject.body, 'identity', nowMs);
  if (decoded.kind === 'too_large') {
    return { faults: [{ index: 0, code: 'E_BODY_TOO_LARGE', message: 'The body is too large.' }] };
  }
  if (decoded.kind === 'unreadable') {
    return { faults: [{ index: 0, code: decoded.code, message: decoded.message }] };
  }
  const { body, accepted, rejected } = decoded;
  if (rejected.length > 0) {
    const shown = rejected.slice(0, FAULTS_SHOWN_MAX);
    return { faults: shown.map(({ index, code, message }) => ({ index, code, message })) };
  }
  // An empty list is good enough for the ingest port; here it would make the reject vanish.
  if (accepted.length === 0) {
    return { faults: [{ index: 0, code: 'E_BODY_EMPTY', message: 'The body has no event in it.' }] };
  }
  if (accepted.length > RESUBMITTED_RECORDS_MAX) {
    const message = `The body has ${accepted.length} records; at most ${RESUBMITTED_RECORDS_MAX} are taken: send them to the ingest port.`;
    return { faults: [{ index: RESUBMITTED_RECORDS_MAX, code: 'E_TOO_MANY_RECORDS', message }] };
  }
  return { body, records: accepted };
}

/** Why a reject must not be sent as it is, whatever is in it. */
function faultOfKind({ code, body }: JudgedReject): Omit<RecordFault, 'index'> | undefined {
  if (code === 'E_BODY_POISON') {
    return { code, message: 'The body breaks its decoder: send what is to become of it as an edited body.' };
  }
  if (body.length < PARKED_BYTES_MAX) return undefined;
  return {
    code: 'E_REJECT_CUT',
    message: 'Only the beginning of it was kept: send the whole of it as an edited body.',
  };
}

/** A body, and what goes into its events. */
export interface FramedBody extends UsableBody {
  correlationId: string;
  /** As `originEntry` writes it. */
  origin?: string | undefined;
}

/** The frames of several bodies, in the order of the bodies within each partition. */
export function framesOf(
  bodies: readonly FramedBody[],
  options: { partitions: number; nowMs: number; newFrameId: () => Buffer },
): EventFrame[] {
  const open = new Map<number, FrameDraft>();
  const frames: EventFrame[] = [];
  const cut = (partition: number, { sequence, inputs }: FrameDraft): void => {
    const frame = encodeFrame(options.newFrameId(), options.nowMs, inputs);
    frames.push({ partition, sequence, events: inputs.length, frame });
  };
  for (const { body, records, correlationId, origin } of bodies) {
    for (const { kind, hostHash, start, end } of records) {
      const partition = partitionOfHash(hostHash, options.partitions);
      let draft = open.get(partition) ?? { sequence: 1, inputs: [], bytes: 0 };
      const isFull =
        draft.inputs.length >= FRAME_EVENTS_MAX ||
        (draft.inputs.length > 0 && draft.bytes + end - start > FRAME_BYTES_MAX);
      if (isFull) {
        cut(partition, draft);
        draft = { sequence: draft.sequence + 1, inputs: [], bytes: 0 };
      }
      draft.inputs.push({ kind, correlationId, origin, body, start, end });
      draft.bytes += end - start;
      open.set(partition, draft);
    }
  }
  for (const [partition, draft] of open) cut(partition, draft);
  return frames.sort((a, b) => a.partition - b.partition || a.sequence - b.sequence);
}

/** Events of a frame by host, as `HOST_DIVERSION` tells hosts apart. */
export function hostsOf(frame: Buffer): ReadonlyMap<number, number> {
  const hosts = new Map<number, number>();
  const { records, receivedAtMs } = decodeFrame(frame);
  for (const { kind, bytes } of records) {
    const decoded = decodeRecord(bytes, kind, 0, bytes.length, receivedAtMs);
    // It was judged before it was framed; if another version judged so, its events have one place at least.
    const host = decoded.ok ? hostnameHash(decoded.hostname) | 0 : 0;
    hosts.set(host, (hosts.get(host) ?? 0) + 1);
  }
  return hosts;
}

interface FrameDraft {
  sequence: number;
  inputs: Parameters<typeof encodeFrame>[2][number][];
  bytes: number;
}
