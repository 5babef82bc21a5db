/**
 * A BGP session is lost and comes back; both ends and their neighbours say so, by syslog and by trap.
 */
import type { PlannedUtterance, Utterance } from '../generated-event.ts';
import { ios } from '../messages/ios.ts';
import { junos } from '../messages/junos.ts';
import { bgpTrap } from '../messages/traps.ts';
import type { Device } from '../topology.ts';
import type { Behaviour } from './behaviour.ts';

export const bgpLoss: Behaviour = {
  name: 'BGP session loss',
  share: 0.016,
  eventsMean: () => 9,
  plan(topology, dice) {
    const session = dice.pick(topology.sessions);
    const planned: PlannedUtterance[] = [];
    const backMs = dice.int(4_000, 15_000);
    for (const [atMs, isUp] of [
      [0, false],
      [backMs, true],
    ] as const) {
      const say = (device: Device, utterance: Utterance): void => {
        planned.push({ afterMs: atMs + dice.int(0, 300), device, utterance });
      };
      say(session.device, sessionChange(session.device, session.peerIp, session.peerAs, isUp));
      say(session.device, bgpTrap(session.peerIp, isUp));
      if (session.peer !== undefined) {
        say(session.peer, sessionChange(session.peer, session.device.ip, session.peerAs, isUp));
        say(session.peer, bgpTrap(session.device.ip, isUp));
      }
    }
    for (const neighbour of neighboursOf(topology.links, session.device)) {
      planned.push({
        afterMs: dice.int(200, 1_500),
        device: neighbour,
        utterance: ios(
          `%OSPF-5-ADJCHG: Process 1, Nbr ${session.device.ip} on ${dice.pick(neighbour.interfaces)} from FULL to DOWN, Neighbor Down: Dead timer expired`,
        ),
      });
    }
    return planned;
  },
};

function neighboursOf(links: readonly { a: Device; b: Device }[], device: Device): Device[] {
  return links
    .flatMap(({ a, b }) => (a === device ? [b] : b === device ? [a] : []))
    .filter(({ platform }) => platform === 'ios' || platform === 'nxos');
}

function sessionChange(device: Device, peerIp: string, peerAs: number, isUp: boolean): Utterance {
  if (device.platform === 'junos') {
    const change = isUp
      ? 'from OpenConfirm to Established (event RecvKeepAlive)'
      : 'from Established to Idle (event HoldTime)';
    return junos(
      'rpd',
      1_984,
      4,
      `RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer ${peerIp} (External AS ${peerAs}) changed state ${change} (instance master)`,
    );
  }
  return ios(
    `%BGP-5-ADJCHANGE: neighbor ${peerIp} ${isUp ? 'Up' : 'Down BGP Notification sent, hold time expired'}`,
  );
}
