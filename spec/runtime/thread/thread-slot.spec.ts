/**
 * Real threads on a real pool, ended in every way a thread can end.
 */
import { expect } from 'chai';
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { after, afterEach, describe, it } from 'mocha';
import { codeOf } from '../../../runtime/errors.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import type { RunningChild } from '../../../runtime/placement.ts';
import { SilenceJudge } from '../../../runtime/shared/vitals.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import type { Answer, BreakableParams } from '../../fixtures/faults/breakable-thread.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { specDirectory } from '../../support/servers.ts';
import { until } from '../durable/store-under-test.ts';

const moduleUrl = new URL('../../fixtures/faults/breakable-thread.ts', import.meta.url).href;
const unloadableUrl = new URL('../../fixtures/faults/sometimes-unloadable-thread.ts', import.meta.url);
const notedLoadUrl = new URL('../../fixtures/faults/noted-load-thread.ts', import.meta.url).href;
const livesPath = fileURLToPath(new URL('../../fixtures/faults/thread-lives.ts', import.meta.url));
const counterLayout = [{ name: 'messages_total', kind: 'counter', help: 'Messages seen.' }] as const;
const HANG_AFTER_MS = 600;

describe('ThreadSlot', function () {
  this.timeout(20_000);
  const pools: ThreadPool[] = [];
  const answers = new Map<ThreadSlot, Partial<Answer>[]>();
  let running: RunningChild[] = [];

  const newPool = (spareThreads = 1, threadsMax = 4, preload: string[] = []): ThreadPool => {
    const pool = new ThreadPool({ spareThreads, threadsMax, heapMbMax: 48, preload });
    pools.push(pool);
    return pool;
  };
  /** Threads take long to begin; most of what is told here needs no pool of its own. */
  const shared = newPool();

  function slotOf(
    params: BreakableParams = {},
    options: { pool?: ThreadPool; startTimeoutMs?: number; module?: string; id?: string } = {},
  ): ThreadSlot {
    const slot: ThreadSlot = new ThreadSlot({
      id: options.id ?? 'slot',
      pool: options.pool ?? shared,
      moduleUrl: options.module ?? moduleUrl,
      params: async () => params,
      counterLayout,
      hangAfterMs: HANG_AFTER_MS,
      startTimeoutMs: options.startTimeoutMs ?? 10_000,
      onMessage: (payload) => answers.get(slot)?.push(payload as Answer),
    });
    answers.set(slot, []);
    return slot;
  }

  async function start(slot: ThreadSlot, epoch = 1, previousExit?: ExitReason): Promise<RunningChild> {
    const child = await slot.start({ epoch, previousExit });
    running.push(child);
    return child;
  }

  let asked = 0;
  async function ask(slot: ThreadSlot, what = 'hello'): Promise<Answer> {
    const n = ++asked;
    expect(slot.post({ what, n })).to.equal(true);
    const find = (): Partial<Answer> | undefined => answers.get(slot)?.find((answer) => answer.n === n);
    await until(() => find() !== undefined);
    return find() as Answer;
  }

  afterEach(async () => {
    for (const child of running.splice(0)) {
      child.kill('the spec is over');
      await child.exited;
    }
  });
  after(async () => {
    await Promise.all(pools.map((pool) => pool.close()));
  });

  it('passes messages both ways, in order, also those sent before the module listens [S-40]', async () => {
    const slot = slotOf();
    const starting = slot.start({ epoch: 3, previousExit: undefined });
    // The port exists as soon as the parameters are there, long before the thread has loaded its module.
    await until(() => slot.post({ what: 'early', n: 0 }));
    running = [await starting];
    for (let n = 1; n <= 50; n += 1) slot.post({ what: 'hello', n: -n });
    const last = await ask(slot);
    expect(last).to.include({ epoch: 3, previousExit: '' });
    expect(answers.get(slot)?.map(({ n }) => n)).to.deep.equal([
      0,
      ...Array.from({ length: 50 }, (_, index) => -index - 1),
      last.n,
    ]);
  });

  it('stops cleanly, hears what is said last, and takes nothing afterwards [S-40] [S-48]', async () => {
    const slot = slotOf();
    expect(slot.post({ what: 'too early' })).to.equal(false);
    const child = await start(slot);
    await ask(slot);
    expect(await child.stop(5_000)).to.deep.equal({ kind: 'shutdown' });
    expect(answers.get(slot)?.at(-1)).to.deep.equal({ echo: 'closed' });
    expect(slot.post({ what: 'late' })).to.equal(false);
    expect(await child.stop(5_000)).to.deep.equal({ kind: 'shutdown' });
  });

  it('has the name of its slot for the operating system, and no other’s afterwards', async () => {
    const threadNames = (): string[] =>
      readdirSync('/proc/self/task').map((thread) =>
        readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim(),
      );
    const names = ['named-0', 'of-a-gateway-ingest-1'].map((id) => ({ id, shown: id.slice(-15) }));
    const children = await Promise.all(names.map(({ id }) => start(slotOf({}, { id }))));
    for (const { shown } of names) expect(threadNames()).to.include(shown);
    await Promise.all(children.map((child) => child.stop(2_000)));
    for (const { shown } of names) expect(threadNames()).to.not.include(shown);
  });

  it('refuses a second start while one runs or begins', async () => {
    const slot = slotOf();
    const first = slot.start({ epoch: 1, previousExit: undefined });
    expect(codeOf(await rejectionOf(slot.start({ epoch: 2, previousExit: undefined })))).to.equal(
      'E_SLOT_BUSY',
    );
    running = [await first];
    expect(codeOf(await rejectionOf(slot.start({ epoch: 3, previousExit: undefined })))).to.equal(
      'E_SLOT_BUSY',
    );
    expect(await ask(slot)).to.include({ epoch: 1 });
  });

  describe('an actor that fails in its thread', () => {
    for (const what of ['throw', 'reject', 'never']) {
      it(`is restarted there when told to ${what}; thread and epoch of the slot stay [S-41]`, async () => {
        const slot = slotOf();
        const child = await start(slot);
        const before = await ask(slot);
        slot.post({ what });
        const afterwards = await ask(slot);
        expect(afterwards).to.include({
          epoch: 1,
          threadId: before.threadId,
          actorEpoch: before.actorEpoch + 1,
          previousExit: what === 'never' ? 'hung' : 'failed',
        });
        expect(child.describe?.()).to.include({ placement: 'thread' });
      });
    }

    it('takes the thread along when it fails too often; the next one is fresh [S-47]', async () => {
      const slot = slotOf();
      const child = await start(slot);
      const before = await ask(slot, 'stray');
      for (let n = 0; n <= 10; n += 1) slot.post({ what: 'throw' });
      const reason = await child.exited;
      expect(reason.kind === 'failed' && reason.error.code).to.equal('E_RESTART_INTENSITY');
      await start(slot, 2, reason);
      const afterwards = await ask(slot);
      expect(afterwards).to.include({ epoch: 2, previousExit: 'failed' });
      expect(afterwards.threadId).to.not.equal(before.threadId);
      answers.get(slot)?.splice(0);
      await delay(30);
      expect(answers.get(slot), 'no timer of the failed thread goes on').to.deep.equal([]);
    });

    it('does not hide that it failed behind a close that never ends [S-47]', async () => {
      const slot = slotOf({ close: 'never' });
      const child = await start(slot);
      await ask(slot);
      for (let n = 0; n <= 10; n += 1) slot.post({ what: 'throw' });
      expect((await child.exited).kind).to.equal('failed');
    });
  });

  describe('the end of a thread', () => {
    const endings: [string, string, (reason: ExitReason) => void][] = [
      ['process.exit', 'exit', (r) => expect(r).to.deep.equal({ kind: 'exited', code: 7, doing: 'exit' })],
      ['a full heap', 'memory', (r) => expect(r).to.deep.equal({ kind: 'outOfMemory', doing: 'memory' })],
      [
        'an endless loop',
        'loop',
        (r) => {
          expect(r).to.include({ kind: 'hung', doing: 'loop' });
          expect(r.kind === 'hung' && r.silentMs).to.be.greaterThan(HANG_AFTER_MS);
        },
      ],
      [
        'an error outside any actor',
        'uncaught',
        (r) => expect(r.kind === 'failed' && r.error).to.include({ message: 'thrown outside any actor' }),
      ],
      [
        'a rejection outside any actor',
        'unhandled',
        (r) => expect(r.kind === 'failed' && r.error).to.include({ message: 'rejected outside any actor' }),
      ],
    ];
    for (const [name, what, check] of endings) {
      it(`by ${name} is told with what it was doing; siblings go on, counts stay, epochs rise [S-42] [S-43] [S-46]`, async () => {
        const [slot, sibling] = [slotOf(), slotOf({}, { id: 'sibling' })];
        const child = await start(slot);
        const siblingChild = await start(sibling);
        let siblingEnded = false;
        void siblingChild.exited.then(() => (siblingEnded = true));
        const before = await ask(sibling);
        await ask(slot);
        slot.post({ what });
        let isOver = false;
        void child.exited.then(() => (isOver = true));
        let siblingAnswers = 0;
        while (!isOver) {
          expect(await ask(sibling)).to.include({ epoch: 1, threadId: before.threadId });
          siblingAnswers += 1;
        }
        const reason = await child.exited;
        check(reason);
        expect(slot.post({ what: 'hello' })).to.equal(false);
        expect(slot.counters.get(0)).to.equal(2);
        await start(slot, 2, reason);
        expect(await ask(slot)).to.include({ epoch: 2, previousExit: reason.kind });
        expect(slot.counters.get(0)).to.equal(3);
        expect(await ask(sibling)).to.include({ epoch: 1, threadId: before.threadId });
        expect(siblingEnded).to.equal(false);
        expect(siblingAnswers).to.be.greaterThan(0);
      });
    }

    it('is told only when nothing of the thread runs any more, not even native code [S-43]', async () => {
      const slot = slotOf();
      const child = await start(slot);
      const directory = specDirectory('native');
      slot.post({ what: 'native', directory });
      await until(() => existsSync(join(directory, 'begun')));
      child.kill('the spec wants it');
      expect(await child.exited).to.deep.equal({ kind: 'killed', by: 'the spec wants it' });
      expect(existsSync(join(directory, 'ended'))).to.equal(true);
    });

    it('comes when it passes a deadline that it has set itself, though its event loop is alive [S-44]', async () => {
      const slot = slotOf();
      const child = await start(slot);
      slot.post({ what: 'overdue' });
      const reason = await child.exited;
      expect(reason).to.include({ kind: 'hung', doing: 'overdue' });
    });

    it('by a stop that takes too long is a kill [S-48]', async () => {
      const child = await start(slotOf({ close: 'never' }));
      expect(await child.stop(200)).to.deep.equal({ kind: 'killed', by: 'did not stop within 200 ms' });
    });
  });

  describe('a start that fails', () => {
    it('rejects with the code of what was thrown, and the next one works [S-47]', async () => {
      const failure = await rejectionOf(
        slotOf({ start: 'reject' }).start({ epoch: 1, previousExit: undefined }),
      );
      expect(failure).to.include({ code: 'E_START_FAILED', kind: 'transient' });
      expect(failure.cause).to.include({ code: 'E_DOOR', mend: 'Bring the key.' });
      const slot = slotOf();
      await start(slot);
      await ask(slot);
    });

    it('rejects when the parameters cannot be had or sent, or never come [S-47]', async () => {
      const never = new Promise<never>(() => undefined);
      for (const params of [() => Promise.reject(new Error('no lease')), async () => () => 1, () => never]) {
        const slot = new ThreadSlot({
          id: 'slot',
          pool: shared,
          moduleUrl,
          params,
          counterLayout,
          hangAfterMs: HANG_AFTER_MS,
          startTimeoutMs: 300,
        });
        expect(codeOf(await rejectionOf(slot.start({ epoch: 1, previousExit: undefined })))).to.equal(
          'E_START_FAILED',
        );
        expect(slot.post('anything')).to.equal(false);
      }
    });

    it('does not poison the pool when the module does not load, and loads it as soon as it can [S-47]', async () => {
      const pool = newPool(0, 1);
      const flag = join(specDirectory('unloadable'), 'flag');
      writeFileSync(flag, '');
      const slot = slotOf({}, { pool, module: `${unloadableUrl.href}?while=${flag}` });
      const missing = slotOf({}, { pool, module: moduleUrl.replace('breakable', 'missing') });
      for (const broken of [slot, missing, slot]) {
        expect(codeOf(await rejectionOf(broken.start({ epoch: 1, previousExit: undefined })))).to.equal(
          'E_START_FAILED',
        );
      }
      rmSync(flag);
      await start(slot, 2);
      expect(await ask(slot)).to.include({ epoch: 2 });
    });

    for (const how of ['never', 'loop'] as const) {
      it(`is killed at its time-out, not judged by its silence (${how}) [S-44]`, async () => {
        const failure = await rejectionOf(
          slotOf({ start: how }, { startTimeoutMs: HANG_AFTER_MS * 2 }).start({
            epoch: 1,
            previousExit: undefined,
          }),
        );
        expect(failure.details['reason']).to.deep.equal({
          kind: 'killed',
          by: `not ready within ${HANG_AFTER_MS * 2} ms`,
        });
      });
    }
  });

  describe('under a supervisor', () => {
    it('comes back from every death within its bound, and its siblings never notice [S-41] [S-43]', async () => {
      const slots = ['a', 'b', 'c'].map((id) => slotOf({}, { id }));
      const restartsMs: number[] = [];
      const diedAtMs = new Map<string, number>();
      const supervisor = new Supervisor(
        {
          id: 'slots',
          strategy: 'oneForOne',
          intensity: { restartsMax: 100, windowMs: 10_000 },
          children: slots.map(({ id, start: startSlot }) => ({
            id,
            start: startSlot,
            restart: 'permanent',
            shutdownDeadlineMs: 2_000,
          })),
        },
        {
          onEvent: (event) => {
            if (event.type === 'childExited') diedAtMs.set(event.child, performance.now());
            const sinceMs = event.type === 'childStarted' ? diedAtMs.get(event.child) : undefined;
            if (sinceMs !== undefined) restartsMs.push(performance.now() - sinceMs);
          },
        },
      );
      await supervisor.start();
      const [victim, ...others] = slots as [ThreadSlot, ThreadSlot, ThreadSlot];
      for (const what of ['exit', 'memory', 'loop', 'uncaught', 'exit', 'unhandled']) {
        const deaths = restartsMs.length;
        victim.post({ what });
        while (restartsMs.length === deaths) for (const other of others) await ask(other);
      }
      expect(restartsMs).to.have.length(6);
      expect(Math.max(...restartsMs)).to.be.lessThan(2_000);
      expect(supervisor.describe().children.map(({ restarts }) => restarts)).to.deep.equal([6, 0, 0]);
      const epochs = supervisor.describe().children.map(({ epoch }) => epoch);
      expect(epochs).to.deep.equal([9, 2, 3]);
      await supervisor.stop(5_000);
    });
  });

  describe('the pool', () => {
    it('has no more threads than tasks and spare ones, however many it may have and however many start at once', async () => {
      const pool = newPool(1, 64);
      const slots = Array.from({ length: 4 }, (_, index) => slotOf({}, { pool, id: `slot-${index}` }));
      let most = 0;
      const watch = setInterval(() => {
        most = Math.max(most, pool.threadCount);
      }, 1);
      for (let round = 1; round <= 4; round += 1) {
        const children = await Promise.all(slots.map((slot) => start(slot, round)));
        await Promise.all(children.map((child) => child.stop(5_000)));
      }
      clearInterval(watch);
      expect(most).to.be.within(4, 5);
    });

    it('grows and shrinks with its slots, and keeps its spare thread [S-49]', async () => {
      const pool = newPool(1, 3);
      const slots = [0, 1, 2].map((n) => slotOf({}, { pool, id: `slot-${n}` }));
      const children = await Promise.all(slots.map((slot) => start(slot)));
      await until(() => pool.threadCount === 4);
      // Longer than an idle thread is kept: the spare one is not among those.
      await delay(2_300);
      expect(pool.threadCount).to.equal(4);
      await Promise.all(children.slice(1).map((child) => child.stop(2_000)));
      await until(() => pool.threadCount === 2);
      const [first] = slots as [ThreadSlot];
      expect(await ask(first)).to.include({ epoch: 1 });
    });

    it('replaces a dead thread by its spare one, which has loaded what it needs [S-49]', async () => {
      const file = join(specDirectory('preload'), 'loads');
      const module = `${notedLoadUrl}?file=${file}`;
      const pool = newPool(1, 1, [module, moduleUrl.replace('breakable', 'missing')]);
      const slot = slotOf({}, { pool, module });
      const loads = (): number[] =>
        existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : [];
      const first = await start(slot);
      const threadOf = answers.get(slot) as unknown as number[];
      await until(() => loads().length === 2 && threadOf.length === 1);
      const spare = loads().find((thread) => thread !== threadOf[0]);
      first.kill('a spec');
      await first.exited;
      await start(slot, 2);
      await until(() => threadOf.length === 2);
      expect(threadOf[1]).to.equal(spare);
      await until(() => loads().length === 3);
    });

    it('lets the others run on when an idle thread dies of what was left in it [S-43]', async () => {
      const pool = newPool(1, 3);
      const [slot, sibling] = [slotOf({}, { pool }), slotOf({}, { pool, id: 'sibling' })];
      const child = await start(slot);
      const siblingChild = await start(sibling);
      let siblingEnded = false;
      void siblingChild.exited.then(() => (siblingEnded = true));
      const { threadId } = await ask(sibling);
      // The actor is stopped at once; the error comes when the thread is idle again.
      slot.post({ what: 'uncaught' });
      await child.stop(2_000);
      await delay(100);
      expect(await ask(sibling)).to.include({ epoch: 1, threadId });
      expect(siblingEnded).to.equal(false);
      await start(slot, 2);
      await ask(slot);
    });

    it('leaves no thread, port or timer behind after 30 lives of every kind [S-49]', async () => {
      const lives = spawn(process.execPath, [livesPath], { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      lives.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      let isHeldOpen = false;
      let patience: NodeJS.Timeout | undefined;
      lives.stdout.once('data', () => {
        patience = setTimeout(() => (isHeldOpen = lives.kill('SIGKILL')), 8_000);
      });
      const [code] = (await once(lives, 'close')) as [number | null];
      clearTimeout(patience);
      expect({ code, isHeldOpen }).to.deep.equal({ code: 0, isHeldOpen: false });
      const { exits, threadsBeforeClose, threadsAfterClose } = JSON.parse(said) as Record<string, never>;
      expect(exits).to.deep.equal({ exited: 10, killed: 10, shutdown: 10 });
      expect(threadsBeforeClose).to.be.at.most(1);
      expect(threadsAfterClose).to.equal(0);
    });

    it('refuses to run anything once it is closed', async () => {
      const pool = newPool();
      await pool.close();
      const failure = await rejectionOf(slotOf({}, { pool }).start({ epoch: 1, previousExit: undefined }));
      expect(failure.cause).to.include({ code: 'E_POOL_CLOSED' });
    });
  });

  it('judges a deadline that passed while nobody looked as late as a silence [S-45]', () => {
    const judge = new SilenceJudge({ hangAfterMs: 1_000, tickMs: 100 }, 0);
    judge.tick(60_000);
    judge.tick(60_100);
    expect(judge.silentMs(60_900, 500, 61_000)).to.equal(undefined);
    expect(judge.silentMs(60_900, 500, 61_001)).to.equal(60_501);
  });

  it('judges nobody hung after its own process was stopped for longer than that [S-45]', async () => {
    const child = fork(new URL('../../fixtures/faults/supervising-process.ts', import.meta.url));
    const messages: { type: string; child?: string; reason?: string; payload?: Partial<Answer> }[] = [];
    child.on('message', (message) => messages.push(message as never));
    const said = (type: string): typeof messages => messages.filter((message) => message.type === type);
    try {
      await until(() => said('ready').length === 1);
      for (let round = 0; round < 2; round += 1) {
        child.kill('SIGSTOP');
        await delay(1_800);
        child.kill('SIGCONT');
        await delay(1_000);
      }
      expect(said('exited')).to.deep.equal([]);
      for (const to of ['one', 'two', 'process']) child.send({ to, what: 'hello' });
      await until(() => said('answer').length === 3);
      expect(said('answer').map(({ payload }) => payload?.epoch)).to.have.members([1, 2, 3]);
      child.send({ to: 'one', what: 'loop' });
      await until(() => said('exited').length === 1);
      expect(said('exited')[0]).to.include({ child: 'one' });
      expect(said('exited')[0]?.reason).to.match(/^hung: silent for \d+ ms on loop$/);
      child.send({ to: '', what: '' });
      await once(child, 'exit');
    } finally {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
    }
  });
});
