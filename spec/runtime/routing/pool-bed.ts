/**
 * A keyed pool of supervised actors under a clock that stands still, whose messages say how they are to be handled.
 */
import type { ActorFactory, LogEntry } from '../../../runtime/actor.ts';
import type { ReplyTo } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { DeadLetter } from '../../../runtime/dead-letters.ts';
import type { MailboxOptions } from '../../../runtime/mailbox.ts';
import { KeyedPool } from '../../../runtime/routing/keyed-pool.ts';
import type { KeyedPoolOptions } from '../../../runtime/routing/keyed-pool.ts';
import { localMembers } from '../../../runtime/routing/pool-member.ts';
import type { LocalMembersOptions } from '../../../runtime/routing/pool-member.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { FakeClock } from '../../support/fake-clock.ts';

export interface Task {
  /** `<key>.<number>`: what it is called in dead letters too. */
  type: string;
  key: string;
  /** Handled after so long; without it at once, in the step of the mailbox. */
  tookMs?: number;
  /** Its handler fails, when its time is over. */
  fails?: boolean;
  replyTo?: ReplyTo<string>;
}

export interface PoolBed {
  clock: FakeClock;
  system: ActorSystem;
  supervisor: Supervisor;
  pool: KeyedPool<Task>;
  /** `<member> <type>`, as the handlers end well. */
  got: string[];
  /** Of two handlers of one key at once: `<key>`. */
  overlaps: string[];
  letters: DeadLetter[];
  logged: LogEntry[];
}

export interface PoolBedOptions {
  pool?: Partial<KeyedPoolOptions<Task>>;
  members?: Partial<LocalMembersOptions<Task>>;
  mailbox?: MailboxOptions;
  restartsMax?: number;
}

export async function poolBed(options: PoolBedOptions = {}): Promise<PoolBed> {
  const clock = new FakeClock();
  const logged: LogEntry[] = [];
  const letters: DeadLetter[] = [];
  const system = new ActorSystem({ clock, log: (entry) => logged.push(entry) });
  const { deadLetters } = system;
  const add = deadLetters.add.bind(deadLetters);
  deadLetters.add = (letter) => {
    letters.push(letter);
    add(letter);
  };
  const supervisor = new Supervisor(
    {
      id: 'members',
      strategy: 'oneForOne',
      intensity: { restartsMax: options.restartsMax ?? 10_000, windowMs: 1_000 },
      children: [],
    },
    { clock, random: () => 0 },
  );
  await supervisor.start();
  const got: string[] = [];
  const overlaps: string[] = [];
  const inHand = new Map<string, symbol>();
  const factory: ActorFactory<Task> = (context) => {
    const mine = Symbol(context.path);
    // A handler that was killed goes on, and what it does is not heard any more.
    context.signal.addEventListener('abort', () => {
      for (const [key, by] of inHand) if (by === mine) inHand.delete(key);
    });
    const done = (task: Task): void => {
      inHand.delete(task.key);
      if (task.fails === true) throw new Error('planted');
      got.push(`${context.path.slice(1)} ${task.type}`);
      task.replyTo?.tell(`${context.path.slice(1)} has ${task.type}`);
    };
    return {
      handle(task) {
        if (inHand.has(task.key)) overlaps.push(task.key);
        inHand.set(task.key, mine);
        const { tookMs } = task;
        if (tookMs === undefined) return done(task);
        const over = new Promise<void>((resolve) => {
          clock.after(tookMs, () => {
            if (!context.signal.aborted) resolve();
          });
        });
        return over.then(() => done(task));
      },
    };
  };
  const mailbox = options.mailbox ?? { capacity: 1_024, overflow: 'refuse' };
  const pool = new KeyedPool<Task>({
    name: 'pool',
    keyOf: ({ key }) => key,
    start: localMembers({
      system,
      supervisor,
      factory,
      actor: { mailbox },
      child: { shutdownDeadlineMs: 100 },
      ...options.members,
    }),
    deadLetters,
    clock,
    ...options.pool,
  });
  return { clock, system, supervisor, pool, got, overlaps, letters, logged };
}

export function task(key: string, number: number, how: Omit<Partial<Task>, 'key' | 'type'> = {}): Task {
  return { type: `${key}.${number}`, key, ...how };
}

export const KEYS = Array.from({ length: 40 }, (_, index) => `k${index}`);

export const memberOf = (line = ''): string => line.split(' ')[0] ?? '';
export const typeOf = (line = ''): string => line.split(' ')[1] ?? '';

/** Which member each key has now; tells one message of each. */
export async function keysByMember({ pool, got, clock }: PoolBed): Promise<Map<string, string>> {
  const before = got.length;
  for (const key of KEYS) pool.tell(task(key, 0));
  await clock.pass(0);
  return new Map(got.splice(before).map((line) => [typeOf(line).replace('.0', ''), memberOf(line)]));
}

/** A key that is another member's with `after` members than with `before`; the pool has `before` at the end. */
export async function movingKey(bed: PoolBed, before: number, after: number): Promise<string> {
  await bed.pool.resize(after);
  const then = await keysByMember(bed);
  await bed.pool.resize(before);
  const now = await keysByMember(bed);
  return KEYS.find((key) => now.get(key) !== then.get(key)) as string;
}
