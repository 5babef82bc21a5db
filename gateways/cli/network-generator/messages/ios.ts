/**
 * What Cisco IOS says: `%FACILITY-SEVERITY-MNEMONIC: text`; the number in the mnemonic is the syslog severity.
 */
import { ciscoMacAddress, insideIp, strangerIp, USERS } from '../addresses.ts';
import type { Utterance } from '../generated-event.ts';
import { FACILITY } from './shape.ts';
import type { Shape } from './shape.ts';

/** An IOS message; its severity is read from the mnemonic. */
export function ios(message: string): Utterance {
  return {
    message,
    severity: Number(/^%[A-Z0-9_]+-([0-7])-/.exec(message)?.[1] ?? 6),
    facility: FACILITY.local7,
  };
}

export const IOS_SHAPES: readonly Shape[] = [
  {
    weight: 30,
    say: (_device, dice) =>
      ios(
        `%SEC-6-IPACCESSLOGP: list ACL-EDGE-IN denied tcp ${strangerIp(dice)}(${dice.int(1024, 65_535)}) -> ` +
          `${insideIp(dice)}(${dice.pick([22, 23, 445, 3389])}), ${dice.int(1, 9)} packet${dice.chance(0.3) ? 's' : ''}`,
      ),
  },
  {
    weight: 14,
    say: (device, dice) =>
      ios(
        `%SW_MATM-4-MACFLAP_NOTIF: Host ${ciscoMacAddress(dice)} in vlan ${dice.int(10, 400)} is flapping between ` +
          `port ${dice.pick(device.interfaces)} and port ${dice.pick(device.interfaces)}`,
      ),
  },
  {
    weight: 12,
    say: (device, dice) =>
      ios(
        `%DOT1X-5-SUCCESS: Authentication successful for client (${ciscoMacAddress(dice)}) on Interface ` +
          `${dice.pick(device.interfaces)} AuditSessionID 0A01${dice.int(100_000, 999_999)}`,
      ),
  },
  {
    weight: 10,
    say: (device, dice) =>
      ios(`%ILPOWER-5-POWER_GRANTED: Interface ${dice.pick(device.interfaces)}: Power granted`),
  },
  {
    weight: 9,
    say: (_device, dice) =>
      ios(
        `%SSH-5-SSH2_USERAUTH: User '${dice.pick(USERS)}' authentication for SSH2 Session from ${insideIp(dice)} (tty = 0) using crypto cipher 'aes256-ctr', hmac 'hmac-sha2-256' Succeeded`,
      ),
  },
  {
    weight: 6,
    say: (_device, dice) =>
      ios(`%SYS-6-LOGOUT: User ${dice.pick(USERS)} has exited tty session 2(${insideIp(dice)})`),
  },
  {
    weight: 6,
    say: (device, dice) =>
      ios(
        `%CDP-4-NATIVE_VLAN_MISMATCH: Native VLAN mismatch discovered on ${dice.pick(device.interfaces)} (1), with ` +
          `acc-sw-${String(dice.int(1, 16)).padStart(2, '0')} GigabitEthernet0/48 (${dice.int(2, 99)}).`,
      ),
  },
  {
    weight: 4,
    say: (_device, dice) =>
      ios(
        `%DHCP_SNOOPING-5-DHCP_SNOOPING_UNTRUSTED_PORT: DHCP_SNOOPING drop message on untrusted port, message type: DHCPOFFER, MAC sa: ${ciscoMacAddress(dice)}`,
      ),
  },
  {
    weight: 0.6,
    say: (_device, dice) =>
      ios(`%SYS-5-CONFIG_I: Configured from console by ${dice.pick(USERS)} on vty0 (${insideIp(dice)})`),
  },
  {
    weight: 0.4,
    say: (_device, dice) =>
      ios(`%PLATFORM_ENV-1-FAN: Faulty internal fan module detected in slot ${dice.int(1, 3)}`),
  },
];
