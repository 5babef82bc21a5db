/** A thread with its own view of the rule set it is given: matches, counts and suspends when it is told to. */
import { parentPort, workerData } from 'node:worker_threads';
import { RuleSet } from '../../../../actors/match/rule-set/rule-set.ts';
import type { NormalizedEvent } from '../../../../actors/event.ts';
import { eventOf } from '../fixtures.ts';

const view = new RuleSet(workerData as SharedArrayBuffer);

parentPort!.on('message', (what: { match?: Partial<NormalizedEvent>; suspend?: number }) => {
  if (what.match !== undefined) parentPort!.postMessage(view.match(eventOf(what.match)).map(({ id }) => id));
  else if (what.suspend !== undefined) parentPort!.postMessage(view.suspend(what.suspend));
  else parentPort!.postMessage(view.hits());
});
