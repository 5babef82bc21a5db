/**
 * A disk of a server dies: first single errors, then many, then the filesystem goes read-only.
 */
import type { PlannedUtterance } from '../generated-event.ts';
import { linux } from '../messages/linux.ts';
import { FACILITY } from '../messages/shape.ts';
import type { Behaviour } from './behaviour.ts';

const ERRORS_MIN = 4;
const ERRORS_MAX = 10;

export const failingDisk: Behaviour = {
  name: 'failing disk',
  share: 0.004,
  eventsMean: () => 16,
  plan(topology, dice) {
    const server = dice.pick(topology.devices.filter(({ type }) => type === 'server'));
    const disk = dice.pick(['sda', 'sdb', 'sdc']);
    const planned: PlannedUtterance[] = [];
    const say = (afterMs: number, severity: number, message: string): void => {
      planned.push({
        afterMs,
        device: server,
        utterance: linux('kernel', undefined, FACILITY.kernel, severity, message),
      });
    };
    let atMs = 0;
    const errors = dice.int(ERRORS_MIN, ERRORS_MAX);
    for (let error = 0; error < errors; error++) {
      const sector = dice.int(1_000_000, 900_000_000);
      say(
        atMs,
        3,
        `blk_update_request: I/O error, dev ${disk}, sector ${sector} op 0x0:(READ) flags 0x80700 phys_seg 1`,
      );
      say(
        atMs + 5,
        4,
        `Buffer I/O error on dev ${disk}1, logical block ${Math.trunc(sector / 8)}, async page read`,
      );
      // The worse it gets, the faster the errors come.
      atMs += Math.trunc(dice.int(800, 2_500) / (1 + error / 2));
    }
    planned.push({
      afterMs: atMs,
      device: server,
      utterance: linux(
        'smartd',
        702,
        FACILITY.daemon,
        2,
        `Device: /dev/${disk} [SAT], SMART overall-health self-assessment: FAILED, ${dice.int(8, 200)} Currently unreadable (pending) sectors`,
      ),
    });
    say(atMs + 400, 2, `EXT4-fs (${disk}1): Remounting filesystem read-only`);
    return planned;
  },
};
