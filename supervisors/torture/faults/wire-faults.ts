/** Each kind of garbage on the wire of an ingest port, as a fault of its own. */
import { sendGarbage } from '../wire-garbage.ts';
import { WIRE_GARBAGE, WIRE_GARBAGE_NAMES } from '../wire-garbage-kinds.ts';
import type { FaultKind } from './fault.ts';

export const WIRE_FAULTS: readonly FaultKind[] = WIRE_GARBAGE_NAMES.map((name) => ({
  name: `wire-${name}`,
  what: `an ingest port gets ${WIRE_GARBAGE[name].what}`,
  takes: ['node'],
  inject: async ({ rig, node, traffic, random, signal }) => {
    await sendGarbage(name, {
      port: node.ports.ingest,
      key: rig.ingestKey,
      random,
      signal,
      // Of a host of its own: never answered, it has no place in the order of others.
      make: () => traffic.make(`wire-${node.name}`, random() < 0.5).document,
      complain: (text) => traffic.complain(`${node.name} ${text}`),
    });
  },
}));
