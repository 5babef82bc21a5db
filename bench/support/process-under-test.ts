/**
 * What runs in a process slot during the runtime benchmark: nothing, or a loop that never ends.
 */
import { hostProcess } from '../../runtime/process/process-host.ts';

hostProcess(async (host) => {
  host.onMessage(() => {
    for (;;);
  });
  return { stop: async () => undefined };
});
