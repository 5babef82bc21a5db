/**
 * Reads one request body into memory, within limits. For APIs with few and small requests.
 *
 * Not for the ingest port, which moves bodies in batches under one budget. The invariant: the promise always settles,
 * whether the body ends, is too large, stops coming or is aborted.
 */
import type { Clock } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';
import type { HttpResponse } from './exchange.ts';

export interface ReadBodyOptions {
  bytesMax: number;
  timeoutMs: number;
  clock: Clock;
  /** The request's Content-Length header as sent, to refuse a large body before it is read. */
  contentLength?: string;
  /** False to read it only so that the client listens: the bytes are counted and thrown away. */
  isKept?: boolean;
}

/**
 * Resolves with the body. Must be called in the handler's own turn. Sets the response's abort handler, so a caller
 * that needs to know later whether the request is still there gives `onAborted`.
 *
 * Rejects with E_BODY_TOO_LARGE (answer 413), E_BODY_SLOW (answer 408) or E_REQUEST_ABORTED (nobody to answer).
 */
export function readBody(
  response: HttpResponse,
  options: ReadBodyOptions,
  onAborted?: () => void,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    let isSettled = false;
    const settle = (fault?: CodedError): void => {
      if (isSettled) return;
      isSettled = true;
      cancelTimer();
      if (fault === undefined)
        resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks));
      else reject(fault);
      chunks = [];
    };
    const tooLarge = (): CodedError =>
      new CodedError('E_BODY_TOO_LARGE', `The body is larger than ${options.bytesMax} bytes`, {
        details: { bytesMax: options.bytesMax },
        mend: 'Send less at once.',
      });
    const cancelTimer = options.clock.after(
      options.timeoutMs,
      () => {
        settle(
          new CodedError('E_BODY_SLOW', `The body did not arrive within ${options.timeoutMs} ms.`, {
            kind: 'transient',
            details: { timeoutMs: options.timeoutMs },
          }),
        );
      },
      { ref: false },
    );
    response.onAborted(() => {
      settle(new CodedError('E_REQUEST_ABORTED', 'The client went away.', { kind: 'transient' }));
      onAborted?.();
    });
    if (Number(options.contentLength ?? 0) > options.bytesMax) {
      settle(tooLarge());
      return;
    }
    response.onData((chunk, isLast) => {
      if (isSettled) return;
      bytes += chunk.byteLength;
      if (bytes > options.bytesMax) {
        settle(tooLarge());
        return;
      }
      if (chunk.byteLength > 0 && options.isKept !== false) chunks.push(Buffer.from(new Uint8Array(chunk)));
      if (isLast) settle();
    });
  });
}
