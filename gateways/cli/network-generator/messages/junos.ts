/**
 * What JunOS says: `daemon[pid]: TAG: text`.
 */
import { insideIp, strangerIp, USERS } from '../addresses.ts';
import type { Utterance } from '../generated-event.ts';
import { FACILITY } from './shape.ts';
import type { Shape } from './shape.ts';

export function junos(program: string, pid: number, severity: number, message: string): Utterance {
  return { message, severity, facility: FACILITY.daemon, program, pid };
}

export const JUNOS_SHAPES: readonly Shape[] = [
  {
    weight: 24,
    say: (device, dice) =>
      junos(
        'mib2d',
        2_110,
        6,
        `SNMP_TRAP_LINK_UP: ifIndex ${dice.int(500, 560)}, ifAdminStatus up(1), ifOperStatus up(1), ifName ${dice.pick(device.interfaces)}.0`,
      ),
  },
  {
    weight: 22,
    say: (_device, dice) =>
      junos(
        'mgd',
        dice.int(3_000, 60_000),
        5,
        `UI_CMDLINE_READ_LINE: User '${dice.pick(USERS)}', command '${dice.pick(['show bgp summary ', 'show interfaces terse ', 'show route 0/0 '])}'`,
      ),
  },
  {
    weight: 18,
    say: (_device, dice) =>
      junos(
        'PFE_FW_SYSLOG_IP',
        0,
        6,
        `FW: ge-0/0/${dice.int(0, 7)}.0 D tcp ${strangerIp(dice)} ${insideIp(dice)} ${dice.int(1024, 65_535)} ${dice.pick([22, 179, 443])} (1 packets)`,
      ),
  },
  {
    weight: 10,
    say: (_device, dice) =>
      junos(
        'rpd',
        1_984,
        4,
        `bgp_recv: read from peer ${insideIp(dice)} (Internal AS 64512) failed: Connection reset by peer`,
      ),
  },
  {
    weight: 8,
    say: (_device, dice) =>
      junos(
        'sshd',
        dice.int(3_000, 60_000),
        6,
        `Accepted publickey for ${dice.pick(USERS)} from ${insideIp(dice)} port ${dice.int(40_000, 60_000)} ssh2`,
      ),
  },
  {
    weight: 0.5,
    say: (_device, dice) =>
      junos(
        'mgd',
        dice.int(3_000, 60_000),
        5,
        `UI_COMMIT: User '${dice.pick(USERS)}' requested 'commit' operation (comment: none)`,
      ),
  },
  {
    weight: 0.3,
    say: (_device, dice) => junos('chassisd', 1_901, 2, `CHASSISD_FAN_FAILURE: fan ${dice.int(0, 3)} failed`),
  },
];
