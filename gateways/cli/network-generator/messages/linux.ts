/**
 * What Linux servers say: sshd, the kernel, systemd, cron, dhcpd, postfix, named.
 */
import {
  CLIENTS,
  GUESSED_USERS,
  hex,
  highPort,
  insideIp,
  macAddress,
  strangerIp,
  USERS,
} from '../addresses.ts';
import type { Utterance } from '../generated-event.ts';
import { FACILITY } from './shape.ts';
import type { Shape } from './shape.ts';

export function linux(
  program: string,
  pid: number | undefined,
  facility: number,
  severity: number,
  message: string,
): Utterance {
  return { message, severity, facility, program, ...(pid === undefined ? {} : { pid }) };
}

export const LINUX_SHAPES: readonly Shape[] = [
  {
    weight: 22,
    say: (_device, dice) =>
      linux(
        'sshd',
        dice.int(900, 60_000),
        FACILITY.authpriv,
        6,
        `Accepted publickey for ${dice.pick(USERS)} from ${insideIp(dice)} port ${highPort(dice)} ssh2: ED25519 SHA256:${hex(dice, 16)}`,
      ),
  },
  {
    weight: 22,
    say: (_device, dice) =>
      linux(
        'sshd',
        dice.int(900, 60_000),
        FACILITY.authpriv,
        6,
        `pam_unix(sshd:session): session closed for user ${dice.pick(USERS)}`,
      ),
  },
  {
    weight: 8,
    say: (_device, dice) =>
      linux(
        'sshd',
        dice.int(900, 60_000),
        FACILITY.authpriv,
        6,
        `Connection closed by authenticating user ${dice.pick(GUESSED_USERS)} ${strangerIp(dice)} port ${highPort(dice)} [preauth]`,
      ),
  },
  {
    weight: 20,
    say: (_device, dice) => {
      const id = dice.int(100, 9_999);
      return linux('systemd', 1, FACILITY.daemon, 6, `Started Session ${id} of user ${dice.pick(USERS)}.`);
    },
  },
  {
    weight: 16,
    say: (_device, dice) =>
      linux(
        'CRON',
        dice.int(900, 60_000),
        FACILITY.cron,
        6,
        `(root) CMD (${dice.pick(['test -x /usr/sbin/anacron || run-parts /etc/cron.daily', '/usr/local/bin/backup-check', 'command -v debian-sa1 > /dev/null && debian-sa1 1 1'])})`,
      ),
  },
  {
    weight: 18,
    say: (_device, dice) =>
      linux(
        'dhcpd',
        812,
        FACILITY.daemon,
        6,
        `DHCPACK on ${insideIp(dice)} to ${macAddress(dice)} (${dice.pick(CLIENTS)}) via eth0`,
      ),
  },
  {
    weight: 18,
    say: (_device, dice) =>
      linux(
        'postfix/smtp',
        dice.int(900, 60_000),
        FACILITY.mail,
        6,
        `${hex(dice, 10).toUpperCase()}: to=<${dice.pick(USERS)}@example.com>, relay=mx1.example.com[192.0.2.25]:25, delay=0.${dice.int(10, 99)}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued)`,
      ),
  },
  {
    weight: 6,
    say: (_device, dice) =>
      linux(
        'postfix/smtpd',
        dice.int(900, 60_000),
        FACILITY.mail,
        4,
        `warning: hostname ${dice.pick(CLIENTS)}.example.net does not resolve to address ${strangerIp(dice)}`,
      ),
  },
  {
    weight: 10,
    say: (_device, dice) =>
      linux(
        'named',
        640,
        FACILITY.daemon,
        5,
        `client @0x7f${hex(dice, 10)} ${insideIp(dice)}#${highPort(dice)} (www.example.com): query: www.example.com IN A +E(0)K (10.1.10.10)`,
      ),
  },
  {
    weight: 8,
    say: (_device, dice) =>
      linux(
        'kernel',
        undefined,
        FACILITY.kernel,
        4,
        `[UFW BLOCK] IN=eth0 OUT= MAC=${macAddress(dice)} SRC=${strangerIp(dice)} DST=${insideIp(dice)} LEN=44 TTL=241 PROTO=TCP SPT=${highPort(dice)} DPT=${dice.pick([23, 2323, 8080])} SYN`,
      ),
  },
  {
    weight: 0.5,
    say: (_device, dice) =>
      linux(
        'systemd',
        1,
        FACILITY.daemon,
        4,
        `${dice.pick(['nginx', 'billing-api', 'logrotate'])}.service: Failed with result 'exit-code'.`,
      ),
  },
  {
    weight: 0.3,
    say: (_device, dice) =>
      linux(
        'kernel',
        undefined,
        FACILITY.kernel,
        3,
        `Out of memory: Killed process ${dice.int(900, 60_000)} (${dice.pick(['java', 'node', 'mysqld'])}) total-vm:${dice.int(2, 30)}000000kB, anon-rss:${dice.int(1, 16)}000000kB`,
      ),
  },
];
