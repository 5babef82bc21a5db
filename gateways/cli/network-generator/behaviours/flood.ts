/**
 * One host says the same thing over and over: a broadcast storm as its switch sees it.
 */
import { ciscoMacAddress } from '../addresses.ts';
import { ios } from '../messages/ios.ts';
import type { Behaviour } from './behaviour.ts';

const FLOOD_MS = 3_000;
const EVENTS_MIN = 30;

/** A flood is as loud as the rest of the network together. */
function floodEvents(ratePerSecond: number): number {
  return Math.max(EVENTS_MIN, Math.round((ratePerSecond * FLOOD_MS) / 1_000));
}

export const flood: Behaviour = {
  name: 'flood',
  share: 0.08,
  eventsMean: floodEvents,
  plan(topology, dice, ratePerSecond) {
    const device = dice.pick(topology.devices.filter(({ hostname }) => hostname.startsWith('acc-sw-')));
    const port = dice.pick(device.interfaces);
    const mac = ciscoMacAddress(dice);
    const count = floodEvents(ratePerSecond);
    return Array.from({ length: count }, (_, index) => ({
      afterMs: Math.trunc((index * FLOOD_MS) / count),
      device,
      utterance: ios(
        `%SW_MATM-4-MACFLAP_NOTIF: Host ${mac} in vlan ${dice.int(10, 12)} is flapping between port ${port} and port Po1`,
      ),
    }));
  },
};
