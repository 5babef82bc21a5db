/**
 * The devices of a site all talk at once: a power dip, after which every access switch reports its ports' power.
 */
import { ios } from '../messages/ios.ts';
import type { Behaviour } from './behaviour.ts';

const BURST_MS = 600;
const EVENTS_MIN = 20;

function burstEvents(ratePerSecond: number): number {
  return Math.max(EVENTS_MIN, Math.round((ratePerSecond * 2 * BURST_MS) / 1_000));
}

export const burst: Behaviour = {
  name: 'burst',
  share: 0.05,
  eventsMean: burstEvents,
  plan(topology, dice, ratePerSecond) {
    const site = dice.pick(topology.devices).site;
    const switches = topology.devices.filter(
      (device) => device.site === site && device.hostname.startsWith('acc-sw-'),
    );
    return Array.from({ length: burstEvents(ratePerSecond) }, () => {
      const device = dice.pick(switches);
      return {
        afterMs: dice.int(0, BURST_MS),
        device,
        utterance: ios(`%ILPOWER-5-IEEE_DISCONNECT: Interface ${dice.pick(device.interfaces)}: PD removed`),
      };
    });
  },
};
