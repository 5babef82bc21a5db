/**
 * What every actor library that is measured has to do, so that all of them do the same work.
 *
 * A contender leaves out what its library does not have. Each measurement is made in a world of its own: opening and closing
 * it is not measured. Every operation settles only when its last message has been handled.
 */
export interface Contender {
  open(): World | Promise<World>;
}

export interface World {
  /** Two actors hand one number to and fro. */
  pingPong?(messages: number): Promise<unknown>;
  /** `SENDERS` actors tell one actor all they have, each with at most `BURST` messages on their way. */
  fanIn?(messages: number): Promise<unknown>;
  /** One question after the other, each with a deadline, where there are any. */
  askInTurn?(asks: number): Promise<unknown>;
  /** Actors that do nothing, kept until the world is closed; settles when the last one would handle a message. */
  spawnAll?(actors: number): Promise<unknown>;
  /** A tree with ten children to each node; leaves tell their number, the others the sum of their ten. Gives the root's. */
  skynet?(leaves: number): Promise<number>;
  close(): unknown;
}

export const OPERATIONS = ['pingPong', 'fanIn', 'askInTurn', 'spawnAll', 'skynet'] as const;
export type Operation = (typeof OPERATIONS)[number];

export const SENDERS = 4;
export const BURST = 1_000;
export const ASK_TIMEOUT_MS = 30_000;
export const SKYNET_CHILDREN = 10;

/** What the root of a skynet must say. */
export function skynetSum(leaves: number): number {
  return (leaves * (leaves - 1)) / 2;
}

/**
 * The receiving end of a fan-in: each sender gets its next burst only when the one before has been handled, so that no
 * mailbox grows and none refuses, whatever its bound.
 */
export class FanInSink {
  readonly done: Promise<void>;
  private readonly handledOf: number[] = new Array<number>(SENDERS).fill(0);
  private readonly each: number;
  private readonly goOn: (sender: number) => void;
  private readonly finish: () => void;
  private left: number;

  constructor(messages: number, goOn: (sender: number) => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.finish = resolve;
    this.goOn = goOn;
    this.left = messages;
    this.each = messages / SENDERS;
  }

  readonly handle = (sender: number): void => {
    const handled = ++(this.handledOf as [number])[sender as 0];
    if (handled % BURST === 0 && handled < this.each) this.goOn(sender);
    this.left -= 1;
    if (this.left === 0) this.finish();
  };
}

/** What one sender does each time it may go on. */
export function sendsBursts(messages: number, tellSink: () => void): () => void {
  let left = messages / SENDERS;
  return () => {
    const burst = Math.min(BURST, left);
    left -= burst;
    for (let sent = 0; sent < burst; sent++) tellSink();
  };
}
