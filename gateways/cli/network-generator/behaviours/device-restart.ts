/**
 * A network device restarts and tells its whole start-up at once.
 */
import type { PlannedUtterance } from '../generated-event.ts';
import { ios } from '../messages/ios.ts';
import { coldStartTrap } from '../messages/traps.ts';
import type { Behaviour } from './behaviour.ts';
import { linkChange } from './flapping-link.ts';

export const deviceRestart: Behaviour = {
  name: 'device restart',
  share: 0.006,
  eventsMean: () => 19,
  plan(topology, dice) {
    const device = dice.pick(topology.devices.filter(({ platform }) => platform === 'ios'));
    const planned: PlannedUtterance[] = [
      {
        afterMs: 0,
        device,
        utterance: ios('%SYS-5-RESTART: System restarted -- Cisco IOS Software, Version 15.2(7)E3'),
      },
      {
        afterMs: 20,
        device,
        utterance: ios('%SYS-6-BOOTTIME: Time taken to reboot after reload = 214 seconds'),
      },
      { afterMs: 300, device, utterance: coldStartTrap() },
    ];
    for (const [index, name] of device.interfaces.slice(0, 8).entries()) {
      for (const utterance of linkChange(device, name, true)) {
        planned.push({ afterMs: 400 + index * 90 + dice.int(0, 60), device, utterance });
      }
    }
    return planned;
  },
};
