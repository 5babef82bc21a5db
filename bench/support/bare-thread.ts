/**
 * A bare worker thread that does what thread-under-test.ts does, with nothing but its MessagePort.
 */
import { parentPort } from 'node:worker_threads';
import type { ToThreadUnderTest } from './thread-under-test.ts';

let counted = 0;
parentPort?.on('message', ({ what, until, payload }: ToThreadUnderTest) => {
  if (what === 'echo') {
    parentPort?.postMessage(payload);
    return;
  }
  counted += 1;
  if (counted !== until) return;
  counted = 0;
  parentPort?.postMessage('counted');
});
