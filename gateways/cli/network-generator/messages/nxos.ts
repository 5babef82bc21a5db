/**
 * What Cisco NX-OS says: as IOS, with other mnemonics.
 */
import { ciscoMacAddress, insideIp, USERS } from '../addresses.ts';
import { ios } from './ios.ts';
import type { Shape } from './shape.ts';

export const NXOS_SHAPES: readonly Shape[] = [
  {
    weight: 20,
    say: (_device, dice) =>
      ios(
        `%AUTHPRIV-6-SYSTEM_MSG: pam_unix(dcos_sshd:session): session opened for user ${dice.pick(USERS)} by (uid=0) - ` +
          `dcos_sshd[${dice.int(2_000, 32_000)}]`,
      ),
  },
  {
    weight: 20,
    say: (_device, dice) =>
      ios(
        `%L2FM-6-L2FM_MAC_MOVE: Mac ${ciscoMacAddress(dice)} in vlan ${dice.int(10, 400)} has moved from ` +
          `Po${dice.int(1, 12)} to Po${dice.int(1, 12)}`,
      ),
  },
  {
    weight: 12,
    say: (_device, dice) =>
      ios(`%ARP-6-ENTRY: Learned ${insideIp(dice)} on Vlan${dice.int(10, 400)} as ${ciscoMacAddress(dice)}`),
  },
  {
    weight: 8,
    say: (device, dice) =>
      ios(
        `%ETHPORT-5-SPEED: Interface ${dice.pick(device.interfaces)}, operational speed changed to ${dice.pick([1, 10, 40])} Gbps`,
      ),
  },
  {
    weight: 6,
    say: (_device, dice) =>
      ios(
        `%VPC-6-PEER_KEEP_ALIVE_RECV_SUCCESS: In domain ${dice.int(1, 3)}, vPC peer keep-alive receive is successful`,
      ),
  },
  {
    weight: 0.5,
    say: (_device, dice) =>
      ios(
        `%VSHD-5-VSHD_SYSLOG_CONFIG_I: Configured from vty by ${dice.pick(USERS)} on ${insideIp(dice)}@pts/0`,
      ),
  },
];
