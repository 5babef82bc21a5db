/**
 * Real actors that do what a program's messages tell them, and say each of their callbacks to the model.
 *
 * What is done to them from outside is in world.ts.
 */
import type { ActorContext, ActorFactory, ActorInstance, SpawnOptions } from '../../../runtime/actor.ts';
import type { SendResult } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Model } from './model.ts';
import { ModelActor } from './model-state.ts';
import type { Incarnation, ModelMessage, SendOutcome } from './model-state.ts';
import { HANDLER_TIMEOUT_MS, START_TIMEOUT_MS } from './program.ts';
import type { ActorPlan, Deed } from './program.ts';

const ACTORS_MAX = 10;

interface Hold {
  incarnation: Incarnation;
  settle: (isRejected: boolean) => void;
}

export class Stage {
  protected readonly clock = new FakeClock();
  protected readonly model = new Model(this.clock);
  protected readonly system = new ActorSystem({ clock: this.clock });
  /** Callbacks that wait for a release. */
  protected readonly holds: Hold[] = [];
  /** Top-level actors that were stopped, in the order of their ends. */
  protected readonly topLevelEnds: ModelActor[] = [];

  protected spawn(
    plan: ActorPlan,
    parent: Incarnation | undefined,
    context?: ActorContext<ModelMessage>,
  ): void {
    if (this.model.actors.length >= ACTORS_MAX) return;
    const name = `p${this.model.actors.length}`;
    const actor = new ModelActor(name, plan, parent);
    const factory: ActorFactory<ModelMessage> = (own) => this.begin(actor, own);
    const options = { ...optionsOf(plan), name };
    this.admit(actor, (context ?? this.system).spawn(factory, options));
    parent?.children.push(actor);
  }

  protected admit(actor: ModelActor, ref: ModelActor['ref']): ModelActor {
    actor.ref = ref;
    this.model.actors.push(actor);
    ref.onTerminated((reason) => {
      this.model.dies(actor, reason);
      const isTopLevel = actor.parent === undefined && !actor.isKept;
      if (isTopLevel && reason.kind === 'shutdown') this.topLevelEnds.push(actor);
    });
    return actor;
  }

  protected begin(
    actor: ModelActor,
    context: ActorContext<ModelMessage>,
  ): ActorInstance<ModelMessage> | Promise<ActorInstance<ModelMessage>> {
    const incarnation = this.model.factoryCalled(actor, context.epoch);
    context.signal.addEventListener('abort', () => this.model.incarnationEnds(incarnation));
    const instance = this.instanceOf(actor, incarnation, context);
    const began = (): ActorInstance<ModelMessage> => {
      incarnation.hasInstance = !incarnation.isOver;
      incarnation.isBeginning = true;
      incarnation.inCallback = undefined;
      return instance;
    };
    // A supervised actor begins well first and then every second time, so that its supervisor starts at all.
    const goesWell = actor.plan.start === 'now' || (actor.isKept && context.previousExit === undefined);
    if (goesWell) return began();
    if (actor.plan.start === 'hold') return this.hold(incarnation, undefined).then(began);
    this.model.endsBy(incarnation, 'failed');
    incarnation.inCallback = undefined;
    throw new Error('planted in the factory');
  }

  private instanceOf(
    actor: ModelActor,
    incarnation: Incarnation,
    context: ActorContext<ModelMessage>,
  ): ActorInstance<ModelMessage> {
    const { onSignal, terminate } = actor.plan;
    const instance: ActorInstance<ModelMessage> = {
      handle: (message) => this.handle(incarnation, context, message),
    };
    if (onSignal !== 'none') {
      instance.onSignal = (signal) => {
        this.model.callbackBegins(incarnation, 'onSignal');
        const watched = this.model.actors.find(({ ref }) => ref === signal.ref);
        if (watched !== undefined) this.model.signalComes(incarnation, watched);
        incarnation.inCallback = undefined;
        if (onSignal === 'throw') this.fail(incarnation, 'planted in onSignal');
      };
    }
    if (terminate !== 'none') {
      instance.terminate = () => {
        // What came of a start that had been given up is disposed of, and nothing more.
        if (incarnation.isOver && (!incarnation.hasInstance || incarnation.isBeginning)) return undefined;
        this.model.terminateBegins(incarnation);
        if (terminate === 'hold') return this.hold(incarnation, undefined);
        incarnation.inCallback = undefined;
        if (terminate === 'throw') throw new Error('planted in terminate');
        return undefined;
      };
    }
    return instance;
  }

  private handle(
    incarnation: Incarnation,
    context: ActorContext<ModelMessage>,
    message: ModelMessage,
  ): void | Promise<void> {
    this.model.handleBegins(incarnation, message);
    const { deed } = message;
    if (deed.do === 'hold') return this.hold(incarnation, message);
    if (deed.do === 'throw') {
      message.fate = 'threw';
      incarnation.inCallback = undefined;
      this.fail(incarnation, 'planted in handle');
    }
    this.perform(incarnation, context, message, deed);
    message.fate = 'handled';
    incarnation.inCallback = undefined;
    incarnation.inHand = undefined;
  }

  private fail(incarnation: Incarnation, what: string): never {
    this.model.endsBy(incarnation, 'failed');
    throw new Error(what);
  }

  private perform(
    incarnation: Incarnation,
    context: ActorContext<ModelMessage>,
    message: ModelMessage,
    deed: Deed,
  ): void {
    switch (deed.do) {
      case 'note':
      case 'throw':
      case 'hold':
        break;
      case 'reply':
        this.reply(message);
        break;
      case 'stopSelf':
        context.stop();
        this.model.endsBy(incarnation, 'normal');
        break;
      case 'killSelf':
        this.kill(incarnation.actor);
        break;
      case 'tell':
        this.tell(this.actorAt(deed.on), { do: 'note' });
        break;
      case 'watch':
      case 'unwatch':
        this.watch(incarnation, context, deed.do, this.chosen(deed, incarnation));
        break;
      case 'kill':
      case 'killUnwatched': {
        const other = this.chosen(deed, incarnation);
        this.kill(other);
        // The signal is on its way and is not wanted any more.
        if (deed.do === 'killUnwatched') this.watch(incarnation, context, 'unwatch', other);
        break;
      }
      case 'spawn':
        this.spawn(deed.actor, incarnation, context);
        break;
      case 'timer': {
        const { key, delayMs, everyMs } = deed;
        const tick = this.model.newMessage({ do: 'note' }, 't');
        this.model.startTimer(incarnation, key, tick, delayMs, everyMs);
        context.startTimer(key, tick, { delayMs, ...(everyMs === undefined ? {} : { everyMs }) });
        break;
      }
      case 'cancel':
        context.cancelTimer(deed.key);
        this.model.cancelTimer(incarnation, deed.key);
        break;
    }
  }

  /** To be unwatched one has to be watched: such a one if there is one. */
  private chosen(deed: { do: string; on: number }, { watches }: Incarnation): ModelActor {
    const watched = [...watches];
    const isOfWatched = deed.do === 'unwatch' || deed.do === 'killUnwatched';
    return (isOfWatched ? watched[deed.on % watched.length] : undefined) ?? this.actorAt(deed.on);
  }

  protected kill(actor: ModelActor): void {
    if (actor.current === undefined) actor.wasStoppedUnbegun = !actor.isKept && !actor.isDead;
    this.model.endsBy(actor.current, 'killed');
    this.system.killActor(actor.ref, 'the program');
  }

  private watch(
    incarnation: Incarnation,
    context: ActorContext<ModelMessage>,
    what: 'watch' | 'unwatch',
    other: ModelActor,
  ): void {
    if (other === incarnation.actor) return;
    context[what](other.ref);
    if (what === 'watch') incarnation.watches.add(other);
    else incarnation.watches.delete(other);
  }

  private reply(message: ModelMessage): void {
    if (message.replyTo === undefined) return;
    const isWanted = this.model.replied(message);
    const outcome = outcomeOf(message.replyTo.tell('reply'));
    this.model.check(outcome === (isWanted ? 'accepted' : 'E_REPLY_LATE'), () => {
      return `the answer to ${message.type} came to ${outcome}`;
    });
  }

  /** Waits for `release`; whatever it waits for may be over by then. */
  private hold(incarnation: Incarnation, message: ModelMessage | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.holds.push({
        incarnation,
        settle: (isRejected) => {
          const isStale = incarnation.isOver || message?.fate === 'lost';
          if (message !== undefined && !isRejected) this.reply(message);
          const isTerminating = incarnation.inCallback === 'terminate';
          if (!isStale) {
            incarnation.inCallback = undefined;
            incarnation.inHand = undefined;
            if (message !== undefined) message.fate = isRejected ? 'threw' : 'handled';
            if (isRejected && !isTerminating) this.model.endsBy(incarnation, 'failed');
          }
          if (isRejected) reject(new Error('planted at the release'));
          else resolve();
        },
      });
    });
  }

  protected actorAt(on: number): ModelActor {
    const { actors } = this.model;
    return actors[on % actors.length] as ModelActor;
  }

  protected tell(actor: ModelActor, deed: Deed): void {
    const message = this.messageFor(actor, deed);
    const possible = this.model.possible(actor, false);
    this.model.told(actor, message, possible, outcomeOf(actor.ref.tell(message)) as SendOutcome);
  }

  protected messageFor(actor: ModelActor, deed: Deed): ModelMessage {
    const message = this.model.newMessage(deed);
    message.to = actor;
    return message;
  }
}

export function optionsOf({ capacity, overflow, hasHandlerTimeout }: ActorPlan): SpawnOptions {
  return {
    mailbox: { capacity, overflow },
    startTimeoutMs: START_TIMEOUT_MS,
    ...(hasHandlerTimeout ? { handlerTimeoutMs: HANDLER_TIMEOUT_MS } : {}),
  };
}

export function outcomeOf(result: SendResult<unknown>): string {
  return typeof result === 'string' ? result : result.refused;
}
