/**
 * Picks what ingest needs out of a request head, in one pass over the headers.
 *
 * One pass costs as much as seven look-ups by name and sees repeated headers too: two Content-Length headers that one
 * proxy reads one way and we another are how requests are smuggled. The object is reused; read it before the next
 * `read`.
 */
import type { HttpRequest } from '../http/exchange.ts';
import { IDEMPOTENCY_KEY_MAX } from './batch-writer.ts';

const STRICT = /(?:^|[,;\s])handling\s*=\s*"?strict"?(?:$|[,;\s])/i;
const DIGITS = /^[0-9]{1,15}$/;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/;

export class RequestHead {
  apiKey = '';
  authorization = '';
  contentEncoding = '';
  contentType = '';
  correlationId = '';
  idempotencyKey = '';
  userAgent = '';
  prefer = '';
  /** What syslog-ng says of a message that it sends alone. */
  syslogHost = '';
  syslogProgram = '';
  syslogFacility = '';
  syslogLevel = '';
  isChunked = false;
  /** As declared; -1 when it was not, or was no number. */
  contentLength = -1;
  /** Content-Length is no number or comes twice: where the body ends is a matter of opinion. */
  isLengthFaulty = false;
  /** Two different keys: nobody is known by that. */
  isKeyAmbiguous = false;
  /** An Idempotency-Key that we cannot use was sent; `idempotencyKey` is empty. */
  isIdempotencyKeyFaulty = false;

  readonly #visit = (name: string, value: string): void => this.#see(name, value);

  read(request: HttpRequest): void {
    this.apiKey = '';
    this.authorization = '';
    this.contentEncoding = '';
    this.contentType = '';
    this.correlationId = '';
    this.idempotencyKey = '';
    this.userAgent = '';
    this.prefer = '';
    this.syslogHost = '';
    this.syslogProgram = '';
    this.syslogFacility = '';
    this.syslogLevel = '';
    this.isChunked = false;
    this.contentLength = -1;
    this.isLengthFaulty = false;
    this.isKeyAmbiguous = false;
    this.isIdempotencyKeyFaulty = false;
    request.forEach(this.#visit);
  }

  get isStrict(): boolean {
    return this.prefer !== '' && STRICT.test(this.prefer);
  }

  // The length is compared first because header names arrive as fresh strings, which no switch can look up by identity.
  #see(name: string, value: string): void {
    switch (name.length) {
      case 6:
        if (name === 'prefer') this.prefer = this.prefer === '' ? value : `${this.prefer},${value}`;
        break;
      case 9:
        if (name === 'x-api-key') {
          if (this.apiKey !== '' && this.apiKey !== value) this.isKeyAmbiguous = true;
          this.apiKey = value;
        }
        break;
      case 10:
        if (name === 'user-agent') this.userAgent = value;
        break;
      case 12:
        if (name === 'content-type') this.contentType = value;
        break;
      case 13:
        if (name === 'authorization') {
          if (this.authorization !== '' && this.authorization !== value) this.isKeyAmbiguous = true;
          this.authorization = value;
        } else if (name === 'x-syslog-host') this.syslogHost = value;
        break;
      case 14:
        if (name === 'content-length') this.#seeLength(value);
        else if (name === 'x-syslog-level') this.syslogLevel = value;
        break;
      case 15:
        if (name === 'idempotency-key') this.#seeIdempotencyKey(value);
        break;
      case 16:
        if (name === 'content-encoding') {
          // Two headers mean two encodings, one after the other: none that we undo.
          this.contentEncoding = this.contentEncoding === '' ? value : `${this.contentEncoding},${value}`;
        } else if (name === 'x-correlation-id') this.correlationId = value;
        else if (name === 'x-syslog-program') this.syslogProgram = value;
        break;
      case 17:
        if (name === 'transfer-encoding') this.isChunked = true;
        else if (name === 'x-syslog-facility') this.syslogFacility = value;
        break;
    }
  }

  #seeLength(value: string): void {
    if (this.contentLength !== -1 || !DIGITS.test(value)) this.isLengthFaulty = true;
    else this.contentLength = Number(value);
  }

  #seeIdempotencyKey(value: string): void {
    if (value === '') return;
    const isUsable = value.length <= IDEMPOTENCY_KEY_MAX && IDEMPOTENCY_KEY.test(value);
    if (isUsable && this.idempotencyKey === '' && !this.isIdempotencyKeyFaulty) {
      this.idempotencyKey = value;
    } else {
      this.idempotencyKey = '';
      this.isIdempotencyKeyFaulty = true;
    }
  }
}
