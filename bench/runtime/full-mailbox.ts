/**
 * A mailbox that is full, by policy: what a sender that is refused pays, what a dropped message costs, and how fast messages
 * go through when every sender has to wait for room.
 */
import type { ActorRef } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { OverflowPolicy } from '../../runtime/mailbox.ts';
import { alternately, rateOf } from '../support/bench.ts';
import type { BenchRun, Rate } from '../support/bench.ts';
import { SENDERS } from './contender.ts';
import { reportRate } from './report-rate.ts';

const CAPACITY = 1_024;
const CAPACITY_WAITED_FOR = 64;

export async function fullMailbox(run: BenchRun, repetitions: number): Promise<void> {
  const tells = run.parameter('tellsWhenFull', 10_000, 2_000_000);
  const waits = run.parameter('waitsForRoom', 2_000, 200_000);
  const rates = await alternately(repetitions, {
    refuse: () => tellFull('refuse', tells),
    dropNewest: () => tellFull('dropNewest', tells),
    dropOldest: () => tellFull('dropOldest', tells),
    block: () => throughNarrow('block', waits),
    retry: () => throughNarrow('refuse', waits),
  });
  const refused = { what: 'refused', rate: rates.refuse };
  run.report({
    what: 'full mailbox: refused',
    value: rates.refuse.perSecond,
    unit: '/s',
    details: { 'CPU µs': rates.refuse.cpuUs },
  });
  reportRate(run, 'full mailbox: newest dropped, a dead letter each', rates.dropNewest, refused);
  reportRate(run, 'full mailbox: oldest dropped, a dead letter each', rates.dropOldest, refused);
  const retried = { what: 'refused and told again in a later turn', rate: rates.retry };
  reportRate(run, 'full mailbox: 4 senders wait for room (block)', rates.block, retried);
}

/** Nobody takes anything out: every tell meets a full mailbox. */
async function tellFull(overflow: OverflowPolicy, tells: number): Promise<Rate> {
  const system = new ActorSystem();
  const neverDone = new Promise<void>(() => undefined);
  const ref = system.spawn<number>(() => ({ handle: () => neverDone }), {
    mailbox: { capacity: CAPACITY, overflow },
  });
  for (let told = 0; told <= CAPACITY; told++) ref.tell(told);
  // The first of them is in hand and will stay there.
  await new Promise((resolve) => setImmediate(resolve));
  ref.tell(0);
  const rate = await rateOf(tells, () => {
    for (let told = 0; told < tells; told++) ref.tell(told);
  });
  const { refused, deadLetters } = system.counts();
  const noted = refused + deadLetters.dropped;
  if (noted < tells) throw new Error(`only ${noted} of ${tells} found the mailbox full`);
  system.killActor(ref, 'the measurement is over');
  await system.stop();
  return rate;
}

/** Four senders and a mailbox of 64. */
async function throughNarrow(overflow: 'block' | 'refuse', messages: number): Promise<Rate> {
  const system = new ActorSystem();
  const finished = Promise.withResolvers<void>();
  let left = messages;
  const sink = system.spawn<number>(() => ({ handle: () => void (--left === 0 && finished.resolve()) }), {
    mailbox: { capacity: CAPACITY_WAITED_FOR, overflow },
  });
  const send = overflow === 'block' ? sendWaiting : sendAgain;
  const rate = await rateOf(messages, async () => {
    await Promise.all(Array.from({ length: SENDERS }, () => send(sink, messages / SENDERS)));
    await finished.promise;
  });
  await system.stop();
  return rate;
}

async function sendWaiting(sink: ActorRef<number>, messages: number): Promise<void> {
  for (let sent = 0; sent < messages; sent++) await sink.tellWhenAccepted(sent);
}

async function sendAgain(sink: ActorRef<number>, messages: number): Promise<void> {
  for (let sent = 0; sent < messages; sent++) {
    while (sink.tell(sent) !== 'accepted') await new Promise((resolve) => setImmediate(resolve));
  }
}
