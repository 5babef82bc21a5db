/**
 * A link goes down and up several times; both ends say so, by syslog and by trap.
 */
import { junos } from '../messages/junos.ts';
import { ios } from '../messages/ios.ts';
import { linkTrap } from '../messages/traps.ts';
import type { PlannedUtterance, Utterance } from '../generated-event.ts';
import type { Device } from '../topology.ts';
import type { Behaviour } from './behaviour.ts';

const PAIRS_MIN = 2;
const PAIRS_MAX = 5;

/** What the end of a link says when its state changes. */
export function linkChange(device: Device, interfaceName: string, isUp: boolean): Utterance[] {
  const state = isUp ? 'up' : 'down';
  switch (device.platform) {
    case 'ios':
      return [
        ios(`%LINK-3-UPDOWN: Interface ${interfaceName}, changed state to ${state}`),
        ios(`%LINEPROTO-5-UPDOWN: Line protocol on Interface ${interfaceName}, changed state to ${state}`),
      ];
    case 'nxos':
      return isUp
        ? [ios(`%ETHPORT-5-IF_UP: Interface ${interfaceName} is up in mode trunk`)]
        : [ios(`%ETHPORT-5-IF_DOWN_LINK_FAILURE: Interface ${interfaceName} is down (Link failure)`)];
    case 'junos':
      return [
        junos(
          'mib2d',
          2_110,
          isUp ? 6 : 4,
          `SNMP_TRAP_LINK_${state.toUpperCase()}: ifIndex 531, ifAdminStatus up(1), ifOperStatus ${state}(${isUp ? 1 : 2}), ifName ${interfaceName}`,
        ),
      ];
    default:
      return [];
  }
}

export const flappingLink: Behaviour = {
  name: 'flapping link',
  share: 0.07,
  eventsMean: () => 34,
  plan(topology, dice) {
    const candidates = topology.links.filter(({ a, b }) => a.type !== 'server' && b.type !== 'server');
    const link = dice.pick(candidates);
    const planned: PlannedUtterance[] = [];
    let atMs = 0;
    for (let pair = dice.int(PAIRS_MIN, PAIRS_MAX); pair > 0; pair--) {
      for (const isUp of [false, true]) {
        for (const [device, name] of [
          [link.a, link.aInterface],
          [link.b, link.bInterface],
        ] as const) {
          for (const utterance of [...linkChange(device, name, isUp), linkTrap(device, name, isUp)]) {
            planned.push({ afterMs: atMs + dice.int(0, 120), device, utterance });
          }
        }
        atMs += isUp ? dice.int(1_500, 6_000) : dice.int(800, 2_500);
      }
    }
    return planned;
  },
};
