/**
 * What an ASA-like firewall says: `%ASA-SEVERITY-NUMBER: text`.
 */
import { highPort, insideIp, strangerIp } from '../addresses.ts';
import type { Utterance } from '../generated-event.ts';
import { FACILITY } from './shape.ts';
import type { Shape } from './shape.ts';

/** Severity is the digit in the tag. */
function asa(message: string): Utterance {
  return { message, severity: Number(/^%ASA-([0-7])-/.exec(message)?.[1] ?? 6), facility: FACILITY.local4 };
}

export const FIREWALL_SHAPES: readonly Shape[] = [
  {
    weight: 40,
    say: (_device, dice) => {
      const [client, server] = [insideIp(dice), strangerIp(dice)];
      return asa(
        `%ASA-6-302013: Built outbound TCP connection ${dice.int(100_000, 999_999)} for outside:${server}/443 (${server}/443) to inside:${client}/${highPort(dice)} (${client}/${highPort(dice)})`,
      );
    },
  },
  {
    weight: 40,
    say: (_device, dice) =>
      asa(
        `%ASA-6-302014: Teardown TCP connection ${dice.int(100_000, 999_999)} for outside:${strangerIp(dice)}/443 to inside:${insideIp(dice)}/${highPort(dice)} duration 0:00:${String(dice.int(1, 59)).padStart(2, '0')} bytes ${dice.int(200, 900_000)} TCP FINs`,
      ),
  },
  {
    weight: 30,
    say: (_device, dice) =>
      asa(
        `%ASA-4-106023: Deny tcp src outside:${strangerIp(dice)}/${highPort(dice)} dst dmz:10.1.9.${dice.int(2, 60)}/${dice.pick([22, 23, 445])} by access-group "OUTSIDE_IN" [0x0, 0x0]`,
      ),
  },
  {
    weight: 6,
    say: (_device, dice) =>
      asa(`%ASA-5-111008: User 'enable_15' executed the 'show conn count' command from ${insideIp(dice)}`),
  },
  {
    weight: 1,
    say: (_device, dice) =>
      asa(
        `%ASA-4-733100: [ Scanning] drop rate-1 exceeded. Current burst rate is ${dice.int(11, 40)} per second, max configured rate is 10`,
      ),
  },
  {
    weight: 0.3,
    say: (_device, dice) =>
      asa(
        `%ASA-1-105005: (Primary) Lost Failover communications with mate on interface ${dice.pick(['inside', 'dmz'])}`,
      ),
  },
];
