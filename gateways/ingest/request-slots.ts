/**
 * The requests in flight: a bounded table of reused slots.
 *
 * A slot lives from the accepted head to the answer, and, if the client went away while the threads had its body,
 * until their verdict. Its two callbacks are made once, not per request. The request number carries the slot's
 * generation, so that a verdict that comes too late never answers somebody else. A slot may be released only when its
 * response is ended or aborted: the native side calls its callbacks until then.
 */
import type { HttpResponse } from '../http/exchange.ts';
import type { BatchLease, RowHead } from './batch-writer.ts';
import type { Place } from './fair-queue.ts';
import type { Source } from './fair-share.ts';
import type { HandedOver } from './handover-window.ts';
import type { RunMessage } from './run-message.ts';

/** Slots are numbered with 16 bits; the other 16 of a request number are the generation. */
export const REQUESTS_MAX_CEILING = 65_536;
const INDEX_MASK = 0xffff;
const GENERATION_SHIFT = 16;

const NO_ADDRESS = new Uint8Array(0);

/** `queued`: the body is whole and not with the threads yet; `waiting`: it is with them. */
export type SlotState = 'free' | 'reading' | 'queued' | 'waiting';

export class RequestSlot {
  readonly index: number;
  generation = 0;
  state: SlotState = 'free';
  /** Undefined when the client went away. */
  response: HttpResponse | undefined;
  /** Who is told, when this is a message of a socket and no request. */
  tell: RunMessage['tell'] | undefined;
  /** Whether nobody waits for the verdict any more; of messages of a socket. */
  isUnwanted: (() => boolean) | undefined;
  /** Who is charged; undefined while too little is in flight for it to matter. */
  source: Source | undefined;
  /** When the head was read, and when the body was whole; monotonic, ms. */
  sinceMs = 0;
  completedMs = 0;
  isDeprecatedRoute = false;
  /** The body did not arrive in time and the connection is being broken off. */
  isTooSlow = false;
  /** -1 when the length was not declared. */
  declaredBytes = -1;
  receivedBytes = 0;
  /** What this request takes of the byte budget. */
  chargedBytes = 0;
  /** A body that comes in more than one piece, or waits; in shared memory when it was announced to be large. */
  partial: Uint8Array | undefined;
  /** The memory of the batch that holds the body, while a thread may read it. */
  lease: BatchLease | undefined;
  handedOver: HandedOver | undefined;
  /** Where the body waits; that of all messages of a run. */
  place: Place<readonly RequestSlot[]> | undefined;
  readonly head: RowHead = {
    request: 0,
    encoding: 0,
    dialect: 0,
    flags: 0,
    keyName: '',
    sender: 0,
    correlationId: '',
    idempotencyKey: '',
    hint: '',
    address: NO_ADDRESS,
  };
  readonly onData: (chunk: ArrayBuffer, isLast: boolean) => void;
  readonly onAborted: () => void;

  constructor(index: number, callbacks: SlotCallbacks) {
    this.index = index;
    this.onData = (chunk, isLast) => callbacks.data(this, chunk, isLast);
    this.onAborted = () => callbacks.aborted(this);
  }
}

/** What the slots call; must not throw. */
export interface SlotCallbacks {
  data(slot: RequestSlot, chunk: ArrayBuffer, isLast: boolean): void;
  aborted(slot: RequestSlot): void;
}

export class RequestSlots {
  readonly #slots: RequestSlot[] = [];
  readonly #free: RequestSlot[] = [];
  readonly #max: number;
  readonly #callbacks: SlotCallbacks;

  constructor(max: number, callbacks: SlotCallbacks) {
    this.#max = max;
    this.#callbacks = callbacks;
  }

  get inUse(): number {
    return this.#slots.length - this.#free.length;
  }

  /** A slot in state `reading` with a number of its own, or undefined when all are in use. */
  take(): RequestSlot | undefined {
    const slot = this.#free.pop() ?? this.#grow();
    if (slot === undefined) return undefined;
    slot.state = 'reading';
    slot.head.request = ((slot.generation << GENERATION_SHIFT) | slot.index) >>> 0;
    return slot;
  }

  /** The waiting slot a verdict is for, or undefined when it was answered otherwise already. */
  waiting(request: number): RequestSlot | undefined {
    const slot = this.#slots[request & INDEX_MASK];
    return slot?.state === 'waiting' && slot.head.request === request ? slot : undefined;
  }

  release(slot: RequestSlot): void {
    slot.state = 'free';
    slot.generation = (slot.generation + 1) & INDEX_MASK;
    slot.response = undefined;
    slot.tell = undefined;
    slot.isUnwanted = undefined;
    slot.source = undefined;
    slot.partial = undefined;
    slot.lease = undefined;
    slot.handedOver = undefined;
    slot.isTooSlow = false;
    slot.receivedBytes = 0;
    slot.chargedBytes = 0;
    this.#free.push(slot);
  }

  /** All slots that are not free. For sweeps, not for the hot path. */
  *used(): Iterable<RequestSlot> {
    for (const slot of this.#slots) if (slot.state !== 'free') yield slot;
  }

  #grow(): RequestSlot | undefined {
    if (this.#slots.length >= this.#max) return undefined;
    const slot = new RequestSlot(this.#slots.length, this.#callbacks);
    this.#slots.push(slot);
    return slot;
  }
}
