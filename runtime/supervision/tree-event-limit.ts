/**
 * Tree events on their way out of a thread or a process: past a burst only a few a second go, and the next one says how
 * many were left out. Its listener is only ever told plain data.
 */
import type { Clock } from '../clock.ts';
import { TokenBucket } from '../token-bucket.ts';
import type { TreeListener } from './tree-event.ts';

const BURST = 100;
const PER_SECOND = 10;

export function limitTreeEvents(send: TreeListener, clock: Clock): TreeListener {
  const bucket = new TokenBucket({ burst: BURST, perSecond: PER_SECOND }, clock);
  return (event) => {
    const count = bucket.take();
    if (count === undefined) return;
    const { supervisor, atMs } = event;
    if (count > 0) send({ type: 'eventsLeftOut', supervisor, atMs, count });
    send(event);
  };
}
