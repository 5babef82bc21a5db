/** What may be relied on whichever of several members has the message: of each property the weakest. */
import type { ActorRef } from '../actor-ref.ts';
import { LOCAL_GUARANTEE } from '../guarantee.ts';
import type { Guarantee } from '../guarantee.ts';

const TAKEN = ['inMemory', 'inSharedMemory', 'stored'] as const;
const SURVIVES = ['actorRestart', 'threadDeath', 'processDeath'] as const;

export function guaranteeOfAll(
  members: readonly Pick<ActorRef<never>, 'guarantee'>[],
  order: Guarantee['order'],
): Guarantee {
  const [first, ...others] = members.map(({ guarantee }) => guarantee);
  const weakest = others.reduce<Guarantee>(
    (least, next) => ({
      delivery: next.delivery === 'atMostOnce' ? 'atMostOnce' : least.delivery,
      order,
      told: lower(TAKEN, least.told, next.told),
      accepted: lower(TAKEN, least.accepted, next.accepted),
      survives: lower(SURVIVES, least.survives, next.survives),
    }),
    first ?? LOCAL_GUARANTEE,
  );
  return { ...weakest, order };
}

function lower<T>(ascending: readonly T[], a: T, b: T): T {
  return ascending.indexOf(a) <= ascending.indexOf(b) ? a : b;
}
