/**
 * Questions and answers over a message channel between two threads or processes: numbered calls with a deadline.
 *
 * Either side may ask. Invariant: every call settles: with its answer, with the other side's coded error, with
 * `E_CALL_TIMEOUT`, or with what `close` is given.
 */
import type { Clock } from './clock.ts';
import { CodedError, fromWire, toWire } from './errors.ts';
import type { WireError } from './errors.ts';

export type CallMessage =
  | { call: number; name: string; argument: unknown }
  | { answer: number; value: unknown }
  | { answer: number; error: WireError };

export type CallHandlers = Readonly<Record<string, (argument: never) => unknown>>;

export class Calls {
  readonly #send: (message: CallMessage) => boolean | void;
  readonly #clock: Clock;
  readonly #handlers: CallHandlers;
  readonly #open = new Map<number, { settle: (message: CallMessage) => void }>();
  #number = 0;
  #closed: CodedError | undefined;

  constructor(send: (message: CallMessage) => boolean | void, clock: Clock, handlers: CallHandlers = {}) {
    this.#send = send;
    this.#clock = clock;
    this.#handlers = handlers;
  }

  ask<T>(name: string, argument: unknown, timeoutMs: number): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const number = ++this.#number;
      const cancel = this.#clock.after(timeoutMs, () => {
        this.#open.delete(number);
        reject(
          new CodedError('E_CALL_TIMEOUT', `no answer to ${name} within ${timeoutMs} ms`, {
            kind: 'transient',
          }),
        );
      });
      this.#open.set(number, {
        settle: (message) => {
          cancel();
          this.#open.delete(number);
          if ('error' in message) reject(fromWire(message.error));
          // A channel that writes JSON leaves an undefined value out.
          else resolve((message as { value?: unknown }).value as T);
        },
      });
      if (!this.#isSent({ call: number, name, argument })) {
        this.#open.get(number)?.settle({
          answer: number,
          error: toWire(
            new CodedError('E_UNREACHABLE', `nobody is there to ask for ${name}`, { kind: 'transient' }),
          ),
        });
      }
    });
  }

  /** To be given every message of the channel; answers false for one that is no call. */
  receive(message: unknown): boolean {
    if (typeof message !== 'object' || message === null) return false;
    if ('answer' in message) {
      const answer = message as Extract<CallMessage, { answer: number }>;
      this.#open.get(answer.answer)?.settle(answer);
      return true;
    }
    if (!('call' in message)) return false;
    const { call, name, argument } = message as Extract<CallMessage, { call: number }>;
    Promise.resolve()
      .then(() => {
        const handler = Object.hasOwn(this.#handlers, name) ? this.#handlers[name] : undefined;
        if (handler === undefined)
          throw new CodedError('E_CALL_UNKNOWN', `nobody answers ${name}`, { kind: 'defect' });
        return handler(argument as never);
      })
      // What cannot be sent (a function, a channel that has closed) must not end this process.
      .then((value) => void this.#send({ answer: call, value }))
      .catch((thrown: unknown) => void this.#isSent({ answer: call, error: toWire(thrown) }));
    return true;
  }

  /** The other side is gone: nothing that was asked will be answered, nor what is asked from now on. */
  close(error: CodedError): void {
    this.#closed = error;
    for (const [answer, { settle }] of [...this.#open]) settle({ answer, error: toWire(error) });
  }

  #isSent(message: CallMessage): boolean {
    try {
      return this.#send(message) !== false;
    } catch {
      return false;
    }
  }
}
