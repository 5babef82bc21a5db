/**
 * A stranger guesses passwords on one server, quickly.
 */
import { GUESSED_USERS, highPort, strangerIp } from '../addresses.ts';
import type { PlannedUtterance } from '../generated-event.ts';
import { linux } from '../messages/linux.ts';
import { FACILITY } from '../messages/shape.ts';
import type { Behaviour } from './behaviour.ts';

const TRIES_MIN = 12;
const TRIES_MAX = 36;
/** sshd gives up on a connection after so many tries. */
const TRIES_PER_CONNECTION = 6;

export const sshAttack: Behaviour = {
  name: 'ssh attack',
  share: 0.016,
  eventsMean: () => 40,
  plan(topology, dice) {
    const server = dice.pick(topology.devices.filter(({ type }) => type === 'server'));
    const attacker = strangerIp(dice);
    const planned: PlannedUtterance[] = [];
    let atMs = 0;
    let pid = dice.int(900, 60_000);
    const say = (severity: number, message: string): void => {
      planned.push({
        afterMs: atMs,
        device: server,
        utterance: linux('sshd', pid, FACILITY.authpriv, severity, message),
      });
    };
    const tries = dice.int(TRIES_MIN, TRIES_MAX);
    for (let attempt = 1; attempt <= tries; attempt++) {
      const user = dice.pick(GUESSED_USERS);
      const port = highPort(dice);
      if (user !== 'root') say(6, `Invalid user ${user} from ${attacker} port ${port}`);
      say(
        6,
        `Failed password for ${user === 'root' ? '' : 'invalid user '}${user} from ${attacker} port ${port} ssh2`,
      );
      if (attempt % TRIES_PER_CONNECTION === 0) {
        say(
          3,
          `error: maximum authentication attempts exceeded for ${user === 'root' ? '' : 'invalid user '}${user} from ${attacker} port ${port} ssh2 [preauth]`,
        );
        pid += dice.int(1, 9);
      }
      atMs += dice.int(60, 400);
    }
    return planned;
  },
};
