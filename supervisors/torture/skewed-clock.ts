/**
 * A wall clock that jumps, for a node under torture: loaded before anything else by every process and thread of the node
 * (`NODE_OPTIONS=--import`), it adds to what `Date` says as many milliseconds as the file says that is named by the
 * environment. Without that variable it changes nothing, and nothing of the product loads it.
 *
 * So everything that a node reads of the time of day jumps, as after `date -s` or a correction by NTP, while the clocks of
 * Redis, PostgreSQL and the other node do not. Durations (`performance.now`) go on as they do on a real machine.
 */
import { readFileSync } from 'node:fs';

const path = process.env['MUTT_TORTURE_CLOCK_FILE'];
if (path !== undefined) skew(path);

function skew(file: string): void {
  const TrueDate = Date;
  const trueNow = TrueDate.now.bind(TrueDate);
  const lookEveryMs = 50;
  let offsetMs = 0;
  let lookedMs = -Infinity;
  const now = (): number => {
    const monotonicMs = performance.now();
    if (monotonicMs - lookedMs > lookEveryMs) {
      lookedMs = monotonicMs;
      offsetMs = offsetIn(file) ?? offsetMs;
    }
    return trueNow() + offsetMs;
  };
  const jumping: ProxyHandler<DateConstructor> = {
    get: (target, key, receiver): unknown => (key === 'now' ? now : Reflect.get(target, key, receiver)),
    construct: (target, given: unknown[], newTarget): Date =>
      Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget) as Date,
    apply: (target): string => new target(now()).toString(),
  };
  globalThis.Date = new Proxy(TrueDate, jumping);
}

/** Undefined when it cannot be read now. */
function offsetIn(file: string): number | undefined {
  try {
    const offsetMs = Number(readFileSync(file, 'utf8'));
    return Number.isFinite(offsetMs) ? offsetMs : undefined;
  } catch {
    return undefined;
  }
}
