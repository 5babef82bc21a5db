/** What people do while everything runs: they change settings, pool sizes, rules, destinations, keys, and replay letters. */
import { INGEST_KEY_NAME, KNOWN_RULE } from '../rig.ts';
import type { DestinationName } from '../rig.ts';
import { between, lasting } from './fault.ts';
import type { FaultKind, Harm } from './fault.ts';

const HOLD_MS = { min: 500, max: 4_000 };
const POOL_MAX = 3;
const POOLS = ['match', 'forward', 'ingest', 'gateway'] as const;
/** As long as all nodes may take to know a new value. */
const OVERLAP_S = 30;

type Value = string | number | boolean;
/** Each with what may be drawn for it. */
const CHANGES: readonly [key: string, draw: (random: () => number) => Value][] = [
  ['match.batch.eventsMax', (random) => between(random, 1, 2_000)],
  ['ingest.frame.eventsMax', (random) => between(random, 1, 1_000)],
  ['mailbox.ingest.fairEvents', (random) => between(random, 0, 4_000)],
  ['forward.retry.baseMs', (random) => between(random, 20, 1_000)],
  ['forward.breaker.baseMs', (random) => between(random, 20, 1_000)],
  ['remediation.isEnabled', () => false],
  ['log.level', () => 'debug'],
];

async function changeSetting({ rig, random, signal }: Harm): Promise<void> {
  const [key, draw] = CHANGES[Math.floor(random() * CHANGES.length)] ?? ['log.level', () => 'debug'];
  await rig.set(key, draw(random));
  await lasting(between(random, HOLD_MS.min, HOLD_MS.max), signal);
  await rig.unset(key);
}

async function resize({ rig, random, signal }: Harm, pool: (typeof POOLS)[number]): Promise<void> {
  const key = `pool.${pool}.size`;
  await rig.set(key, between(random, 2, POOL_MAX));
  await lasting(between(random, HOLD_MS.min, HOLD_MS.max), signal);
  await rig.unset(key);
}

/** A rule that finds nothing of ours comes and goes, and the one that finds all gets another place. */
async function changeRules({ rig, random, signal }: Harm): Promise<void> {
  const { id } = await rig.change<{ id: number }>('POST', '/api/v2/rules', {
    name: `passing ${between(random, 1, 1e9)}`,
    match_string: 'never said by anybody',
    priority: 1,
    prod_handling: 'Ignore',
    dev_handling: 'Ignore',
    team_assignment: 'NOBODY',
  });
  const put = (priority: number): Promise<unknown> =>
    rig.change('PUT', '/api/v2/rule-set', { rules: [{ ...KNOWN_RULE, priority }] });
  await put(between(random, 11, 1_000));
  await lasting(between(random, HOLD_MS.min, HOLD_MS.max), signal);
  await put(KNOWN_RULE.priority);
  await rig.change('DELETE', `/api/v2/rules/${id}`, undefined, { mayBeAbsent: true });
}

async function editDestination({ rig, random, signal }: Harm): Promise<void> {
  const { name: _, ...document } = rig.destinationDocument('strict');
  await rig.change('PUT', '/api/v2/destinations/strict', {
    ...document,
    rate_per_second: between(random, 20, 5_000),
    concurrency: between(random, 1, 32),
    timeout_ms: between(random, 500, 4_000),
  });
  await lasting(between(random, HOLD_MS.min, HOLD_MS.max), signal);
  await rig.change('PUT', '/api/v2/destinations/strict', document);
}

async function hold(
  { rig, random, signal }: Harm,
  name: DestinationName,
  how: 'pause' | 'mute',
): Promise<void> {
  const holdMs = between(random, HOLD_MS.min, HOLD_MS.max);
  await rig.change('POST', `/api/v2/destinations/${name}/${how}`, {
    reason: 'torture',
    until: new Date(Date.now() + holdMs).toISOString(),
  });
  await lasting(holdMs, signal);
  // It has ended by itself, but on a node whose clock is behind.
  await rig.change('POST', `/api/v2/destinations/${name}/resume`, { reason: 'torture' });
}

/** A person asks for letters that remediation is about to replay, too: neither may send one twice. */
async function replayByHand({ rig, random }: Harm): Promise<void> {
  const body = { destination: 'strict', per_second: between(random, 1, 10_000) };
  // While it still refuses: remediation leaves nothing to replay as soon as it does not.
  const refusing = rig.destinations.strict.misbehave('status-400', between(random, 1_000, 4_000));
  await Promise.all([refusing, rig.change('POST', '/api/v2/failures/replays', body)]);
}

/**
 * Senders go over to the next value of their key. Not to another key: what they send again would be new under that one
 * (a resend is known by the key that it comes with), and one event twice.
 */
async function rotateKey({ rig, signal }: Harm): Promise<void> {
  const { key } = await rig.change<{ key: string }>('POST', `/api/v2/keys/${INGEST_KEY_NAME}/rotate`, {
    overlap_seconds: OVERLAP_S,
  });
  const isTaken = await rig.whenKeyTaken(key);
  // In any case: the one before ends.
  rig.ingestKey = key;
  if (!isTaken) throw new Error('the nodes do not take a new key in time');
  // The key cannot be rotated again before the value that it had does not work any more.
  await lasting(OVERLAP_S * 1_000, signal);
}

export const CHANGE_FAULTS: readonly FaultKind[] = [
  {
    name: 'setting-changed',
    what: 'a setting is changed and changed back under traffic',
    takes: ['configuration'],
    inject: changeSetting,
  },
  ...POOLS.map((pool): FaultKind => ({
    name: `pool-${pool}-resized`,
    what: `the pool of ${pool === 'gateway' ? 'gateway processes' : `${pool} threads`} grows and shrinks under traffic`,
    takes: ['configuration'],
    inject: (harm) => resize(harm, pool),
  })),
  {
    name: 'rules-changed',
    what: 'rules are added, moved and removed under traffic',
    takes: ['configuration'],
    inject: changeRules,
  },
  {
    name: 'destination-edited',
    what: 'rate, concurrency and time-out of a destination are changed under traffic',
    takes: ['configuration', 'strict'],
    recoversAt: 'strict',
    inject: editDestination,
  },
  {
    name: 'destination-paused',
    what: 'a destination is paused until a time',
    takes: ['strict'],
    recoversAt: 'strict',
    inject: (harm) => hold(harm, 'strict', 'pause'),
  },
  {
    name: 'destination-muted',
    what: 'a destination is muted until a time: its alerts end as suppressed',
    takes: ['latest'],
    recoversAt: 'latest',
    inject: (harm) => hold(harm, 'latest', 'mute'),
  },
  {
    name: 'dead-letters-replayed',
    what: 'a person replays the dead letters of a destination that has refused alerts, beside remediation',
    takes: ['strict'],
    recoversAt: 'strict',
    inject: replayByHand,
  },
  {
    name: 'key-rotated',
    what: 'senders go over to the next value of their API key, and the one before ends',
    takes: ['configuration'],
    inject: rotateKey,
  },
];
