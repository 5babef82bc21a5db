/**
 * Addresses, names and numbers that occur in messages. Strangers come from the ranges reserved for documentation.
 */
import type { Dice } from './dice.ts';

export const USERS = [
  'anna',
  'jonas',
  'mbauer',
  'deploy',
  'backup',
  'svc-monitor',
  'kpatel',
  'lwong',
] as const;
export const GUESSED_USERS = ['root', 'admin', 'oracle', 'test', 'ubuntu', 'postgres', 'git', 'pi'] as const;
export const CLIENTS = ['lap-0412', 'lap-0977', 'prn-3fl-02', 'tab-017', 'phone-88', 'ws-1103'] as const;

/** RFC 5737: 203.0.113.0/24 or 198.51.100.0/24. */
export function strangerIp(dice: Dice): string {
  return `${dice.pick(['203.0.113', '198.51.100'])}.${dice.int(1, 254)}`;
}

export function insideIp(dice: Dice): string {
  return `10.${dice.int(1, 4)}.${dice.int(20, 60)}.${dice.int(1, 254)}`;
}

export function macAddress(dice: Dice): string {
  return Array.from({ length: 6 }, () => hex(dice, 2)).join(':');
}

/** As Cisco writes it: `00a1.b2c3.d4e5`. */
export function ciscoMacAddress(dice: Dice): string {
  return Array.from({ length: 3 }, () => hex(dice, 4)).join('.');
}

export function highPort(dice: Dice): number {
  return dice.int(32_768, 60_999);
}

/** `digits` hexadecimal digits. */
export function hex(dice: Dice, digits: number): string {
  let text = '';
  for (let index = 0; index < digits; index++) text += dice.int(0, 15).toString(16);
  return text;
}
