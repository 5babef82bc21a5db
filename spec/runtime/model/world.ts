/**
 * Runs a random program on the real runtime, on a clock that stands still between its steps, and tells the model of
 * everything that happens. Throws with all that went wrong.
 */
import type { ActorCell } from '../../../runtime/actor-cell.ts';
import type { CellAnnex } from '../../../runtime/cell-annex.ts';
import { codeOf } from '../../../runtime/errors.ts';
import type { ChildSpec } from '../../../runtime/supervision/child-spec.ts';
import { localChild } from '../../../runtime/supervision/local-placement.ts';
import type { LocalChild } from '../../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import type { ChildView } from '../../../runtime/supervision/tree-view.ts';
import { settle } from '../../support/fake-clock.ts';
import { checkAtRest } from './at-rest.ts';
import { ModelActor } from './model-state.ts';
import type { ModelMessage } from './model-state.ts';
import { RESTARTS_MAX, WINDOW_MS } from './program.ts';
import type { Command, Deed, Program, SupervisedPlan } from './program.ts';
import { optionsOf, outcomeOf, Stage } from './stage.ts';
import { TreeOracle } from './tree-oracle.ts';

const BACKOFF = { initialMs: 31, maxMs: 101, resetAfterMs: 401 };
/** Longer than the longest deadline of the runtime for a clean-up. */
const END_MS = 15_000;
const STEP_MS = 50;

class World extends Stage {
  private readonly children = new Map<string, LocalChild<ModelMessage>>();
  private readonly aborts: { controller: AbortController; message: ModelMessage }[] = [];
  private readonly promises: Promise<unknown>[] = [];
  private readonly supervisor: Supervisor;
  private readonly tree: TreeOracle;

  constructor(program: Program) {
    super();
    const { deadLetters } = this.system;
    const add = deadLetters.add.bind(deadLetters);
    deadLetters.add = (letter) => {
      this.model.deadLetter(letter.messageType, letter.reason);
      add(letter);
    };
    const ids = program.supervised.map((_, index) => `s${index}`);
    const views = (): ChildView[] => this.supervisor.describe().children;
    this.tree = new TreeOracle(ids, program, this.model, views);
    this.supervisor = new Supervisor(
      {
        id: 'root',
        strategy: program.strategy,
        intensity: { restartsMax: RESTARTS_MAX, windowMs: WINDOW_MS },
        children: program.supervised.map((plan, index) => this.childSpec(ids[index] as string, plan)),
      },
      { clock: this.clock, random: () => 0.5, onEvent: this.tree.hears },
    );
    for (const plan of program.plain) this.spawn(plan, undefined);
  }

  async run(steps: Program['steps']): Promise<void> {
    await this.supervisor.start();
    for (const { command, isAtRest } of steps) {
      // The next command meets the actors before they have had their turn, unless they come to rest.
      if (command.do === 'pass') await this.clock.pass(command.ms);
      else this.carryOut(command);
      if (isAtRest) await this.rest();
      this.throwFaults(`after ${JSON.stringify(command)}`);
    }
    await this.rest();
    await this.end();
    this.throwFaults('at the end');
  }

  // ---- Actors --------------------------------------------------------------------------------------------------

  private childSpec(id: string, plan: SupervisedPlan): ChildSpec {
    let actor: ModelActor | undefined = undefined;
    const child: LocalChild<ModelMessage> = localChild<ModelMessage>(
      this.system,
      id,
      (context) => {
        // A child that was dead and is started by hand has a new ref.
        if (actor?.ref !== context.self)
          actor = this.admit(new ModelActor(id, plan, undefined), context.self);
        return this.begin(actor, context);
      },
      { ...optionsOf(plan), drainAtStop: plan.drainAtStop },
    );
    actor = this.admit(new ModelActor(id, plan, undefined), child.ref);
    this.children.set(id, child);
    return {
      id,
      start: child.start,
      restart: plan.restart,
      shutdownDeadlineMs: 211,
      ...(plan.backoff ? { backoff: BACKOFF } : {}),
    };
  }

  // ---- Commands ------------------------------------------------------------------------------------------------

  private carryOut(command: Exclude<Command, { do: 'pass' }>): void {
    switch (command.do) {
      case 'tell':
        for (const deed of command.deeds) this.tell(this.actorAt(command.on), deed);
        break;
      case 'tellWhenAccepted':
        this.tellWhenAccepted(this.actorAt(command.on), command.deed);
        break;
      case 'abort':
        this.abort(this.aborts[command.nth]);
        break;
      case 'ask':
        this.ask(this.actorAt(command.on), command.deed, command.timeoutMs);
        break;
      case 'release': {
        const actor = this.actorAt(command.on);
        const index = this.holds.findIndex(({ incarnation }) => incarnation.actor === actor);
        if (index >= 0) this.holds.splice(index, 1)[0]?.settle(command.isRejected);
        break;
      }
      case 'stop':
        this.stop(this.actorAt(command.on), command.drain, command.deadlineMs);
        break;
      case 'kill':
        this.kill(this.actorAt(command.on));
        break;
      case 'restartChild': {
        const id = [...this.children.keys()][command.nth];
        if (id === undefined) break;
        this.tree.byHand.add(id);
        this.promises.push(this.supervisor.restartChild(id).catch(() => undefined));
        break;
      }
    }
  }

  private tellWhenAccepted(actor: ModelActor, deed: Deed): void {
    const message = this.messageFor(actor, deed);
    const controller = new AbortController();
    this.aborts.push({ controller, message });
    this.toldUnseen(actor, message, () => {
      const sent = actor.ref.tellWhenAccepted(message, controller.signal);
      this.promises.push(sent.then((result) => this.model.waitedForRoom(message, outcomeOf(result))));
    });
  }

  private abort(waiting: { controller: AbortController; message: ModelMessage } | undefined): void {
    if (waiting === undefined) return;
    this.model.givesUpWaiting(waiting.message);
    waiting.controller.abort();
  }

  private ask(actor: ModelActor, deed: Deed, timeoutMs: number): void {
    const message = this.messageFor(actor, deed);
    const ask = {
      expected: undefined,
      came: undefined as string | undefined,
    };
    message.ask = ask;
    // Set before the runtime's: due together, this comes first.
    const cancelTimeout = this.clock.after(timeoutMs, () => this.model.askTimesOut(message));
    this.toldUnseen(actor, message, () => {
      const answer = actor.ref.ask<string>(
        (replyTo) => {
          message.replyTo = replyTo;
          return message;
        },
        { timeoutMs },
      );
      const came = (what: string): void => {
        this.model.check(ask.came === undefined, () => `the ask ${message.type} ended twice`);
        ask.came = what;
        cancelTimeout();
        if (what === 'E_ACTOR_STOPPED' && actor.mayBeClosed) this.model.askEnds(message, what);
        if (message.fate === 'waitsForRoom') this.model.givesUpWaiting(message);
      };
      this.promises.push(answer.then(came, (error: unknown) => came(codeOf(error) ?? String(error))));
    });
  }

  /** A tell whose result only comes later: what it came to is seen by what the mailbox holds. */
  private toldUnseen(actor: ModelActor, message: ModelMessage, send: () => void): void {
    const { mailbox } = actor.ref as ActorCell<ModelMessage>;
    const possible = this.model.possible(actor, true);
    const before = mailbox.length;
    send();
    const { overflow } = actor.plan;
    const lost = overflow === 'dropNewest' && !mailbox.closed ? 'dropped' : 'E_ACTOR_STOPPED';
    const full = overflow === 'block' ? 'waits' : 'E_MAILBOX_FULL';
    const isIn = mailbox.length > before || (overflow === 'dropOldest' && !mailbox.closed);
    this.model.told(actor, message, possible, isIn ? 'accepted' : message.isLost ? lost : full);
  }

  private stop(actor: ModelActor, wantsDrain: boolean, deadlineMs: number): void {
    // When a draining mailbox closes cannot be seen; with senders that wait for room it would matter.
    const drain = wantsDrain && actor.plan.overflow !== 'block';
    const { current } = actor;
    if (!actor.isDead) this.model.wasStoppedItself.add(actor);
    if (current === undefined) {
      actor.wasStoppedUnbegun = !actor.isKept && !actor.isDead;
    } else {
      current.isEnding = true;
      current.causes.add('shutdown');
      // A plain stop overrides one that drains, whichever came first.
      current.isDraining = drain && !current.isLast;
      if (!drain) current.isLast = true;
    }
    this.promises.push(this.system.stopActor(actor.ref, { drain, deadlineMs }));
  }

  // ---- Time, rest and the end ----------------------------------------------------------------------------------

  private async rest(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await settle();
    for (const { current } of this.model.actors) if (current !== undefined) current.isBeginning = false;
    const { children } = this.supervisor.describe();
    checkAtRest(this.model, ({ name }) => children.find(({ id }) => id === name)?.status !== 'running');
    for (const { ref, name, isDead, deaths } of this.model.actors) {
      if (isDead) {
        this.model.check(deaths.length === 1, () => `${name} died ${deaths.length} times`);
        continue;
      }
      const watchers = this.model.actors.filter(({ current }) =>
        [...(current?.watches ?? [])].some((watched) => watched.ref === ref),
      );
      const sure = watchers.filter(({ current }) => current?.isEnding === false && !current.isHeld);
      const listeners = listenersOf(ref);
      this.model.check(listeners >= 1 + sure.length && listeners <= 1 + watchers.length, () => {
        return `${name} has ${listeners} listeners and ${watchers.length} watchers`;
      });
    }
  }

  private async end(): Promise<void> {
    this.tree.ends();
    await this.passUntil(this.supervisor.stop(1_001));
    this.model.isSystemStopping = true;
    this.topLevelEnds.length = 0;
    await this.passUntil(this.system.stop(1_001));
    // What is over keeps no timer, not even one that would do nothing.
    this.model.check(
      this.clock.pending === 0,
      () => `${this.clock.pending} timers are left by what has ended`,
    );
    for (const { settle: release } of this.holds.splice(0)) release(false);
    await this.rest();
    const { model } = this;
    const order = this.topLevelEnds.map(({ name }) => name).join();
    const reverse = model.actors
      .filter((actor) => this.topLevelEnds.includes(actor))
      .reverse()
      .map(({ name }) => name);
    model.check(order === reverse.join(), () => `the system stopped ${order}, not ${reverse.join()}`);
    for (const { name, isDead } of model.actors) model.check(isDead, () => `${name} has not ended`);
    model.check(this.clock.pending === 0, () => `${this.clock.pending} timers came after the end`);
    model.check(this.system.names().length === 0, () => `${this.system.names().join()} are still registered`);
    for (const { type, fate, ask } of model.messages) {
      const isAccounted =
        ['handled', 'lost', 'givenBack'].includes(fate) ||
        type.startsWith('t') ||
        (fate === 'doubtful' && ask !== undefined);
      model.check(isAccounted, () => `${type} is ${fate} at the end`);
    }
    const { actors, spawned, ended, messagesHandled } = this.system.counts();
    model.check(actors === 0 && spawned === ended, () => `${spawned} were spawned, ${ended} have ended`);
    model.check(
      spawned === model.actors.length,
      () => `${spawned} spawned are counted, not ${model.actors.length}`,
    );
    model.check(
      messagesHandled === model.begun,
      () => `${messagesHandled} handled are counted, not ${model.begun}`,
    );
    await this.allSettled();
  }

  /** No further than it needs: what would fall due later has to be taken away. */
  private async passUntil(done: Promise<unknown>): Promise<void> {
    let isDone = false;
    void done.then(() => (isDone = true));
    for (let ms = 0; !isDone && ms < END_MS; ms += STEP_MS) await this.clock.pass(STEP_MS);
    this.model.check(isDone, () => `a stop has not ended after ${END_MS} ms`);
    await settle();
  }

  /** Every stop, ask and tell that was waited for has come to its end. */
  private async allSettled(): Promise<void> {
    let left = this.promises.length;
    for (const promise of this.promises) {
      promise.then(
        () => left--,
        (error: unknown) => this.model.fault(`a promise of the runtime rejected: ${String(error)}`),
      );
    }
    await settle();
    this.model.check(left === 0, () => `${left} promises of the runtime never settle`);
  }

  private throwFaults(when: string): void {
    const { faults } = this.model;
    if (faults.length > 0) throw new Error(`${when}:\n  ${faults.join('\n  ')}`);
  }
}

export async function runProgram(program: Program): Promise<void> {
  await new World(program).run(program.steps);
}

/** Who waits for its end: nothing public says so, and a listener that is left behind is a leak that nothing else shows. */
function listenersOf(ref: ModelActor['ref']): number {
  return (ref as unknown as { annex?: CellAnnex<ModelMessage> }).annex?.listeners?.size ?? 0;
}
