/**
 * One ref for a group: whoever is told through it is chosen by a policy, in the sender's own step.
 *
 * Not an actor: no mailbox of its own and no hop, so what it accepts is in a member's mailbox already. It has no end of its
 * own either; it ends with its group. Invariant: a message is accepted by at most one member, or given back.
 */
import type { ActorRef, AskOptions, RefusalCode, ReplyTo, SendResult } from '../actor-ref.ts';
import { CodedError } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { Guarantee } from '../guarantee.ts';
import { askRefused } from '../pending-asks.ts';
import { RefOfGroup } from './group.ts';
import type { Group } from './group.ts';
import { guaranteeOfAll } from './guarantee-of-all.ts';
import { LateReply } from './late-reply.ts';
import type { RoutingPolicy } from './routing-policy.ts';

export function router<M>(group: Group<M>, policy: RoutingPolicy<M>): ActorRef<M> {
  return new Router(group, policy);
}

class Router<M> extends RefOfGroup<M> implements ActorRef<M> {
  readonly path: string;
  protected override readonly group: Group<M>;
  private readonly policy: RoutingPolicy<M>;

  constructor(group: Group<M>, policy: RoutingPolicy<M>) {
    super();
    this.group = group;
    this.policy = policy;
    // No actor's name begins with a dollar sign.
    this.path = `/$${group.path.slice(1)}:${policy.name}`;
  }

  get guarantee(): Guarantee {
    return guaranteeOfAll(this.group.members, this.policy.keepsKeys ? 'perKey' : 'none');
  }

  /** With spill-over the room of all members; without it that of the fullest, which may be the next one chosen. */
  get credit(): number {
    const credits = this.group.members.map(({ credit }) => credit);
    if (this.policy.spillsOver) return credits.reduce((sum, credit) => sum + credit, 0);
    return credits.length === 0 ? 0 : Math.min(...credits);
  }

  tell(message: M): SendResult<M> {
    const { members } = this.group;
    const first = this.choose(members, message);
    if (typeof first === 'string') return { refused: first, message };
    if (!this.policy.spillsOver || members.length === 1) return (members[first] as ActorRef<M>).tell(message);
    // Twice around: first whoever has room; when nobody has, whoever lives decides by its own policy.
    let result: SendResult<M> = { refused: 'E_MAILBOX_FULL', message };
    for (let step = 0; step < members.length * 2; step++) {
      const member = members[(first + step) % members.length] as ActorRef<M>;
      const needsRoom = step < members.length;
      if (needsRoom && member.credit === 0) continue;
      result = member.tell(message);
      if (typeof result === 'string' || (!needsRoom && result.refused !== 'E_ACTOR_STOPPED')) break;
    }
    return result;
  }

  async tellWhenAccepted(message: M, signal?: AbortSignal): Promise<SendResult<M>> {
    if (this.policy.spillsOver) {
      const result = this.tell(message);
      if (typeof result === 'string' || result.refused !== 'E_MAILBOX_FULL') return result;
    }
    const { members } = this.group;
    const index = this.choose(members, message);
    if (typeof index === 'string') return { refused: index, message };
    return (members[index] as ActorRef<M>).tellWhenAccepted(message, signal);
  }

  async ask<R>(build: (replyTo: ReplyTo<R>) => M, options: AskOptions): Promise<R> {
    const reply = new LateReply<R>();
    const message = build(reply);
    const { members } = this.group;
    const first = this.choose(members, message);
    if (typeof first === 'string') throw routeRefused(first, this.path);
    const member = this.policy.spillsOver ? withRoom(members, first) : (members[first] as ActorRef<M>);
    return member.ask<R>((replyTo) => {
      reply.to = replyTo;
      return message;
    }, options);
  }

  onTerminated(listener: (reason: ExitReason) => void): () => void {
    return this.group.onTerminated(listener);
  }

  override toString(): string {
    return this.path;
  }

  toJSON(): string {
    return this.path;
  }

  private choose(members: readonly ActorRef<M>[], message: M): number | RefusalCode {
    if (this.group.isClosed) return 'E_ACTOR_STOPPED';
    if (members.length === 0) return 'E_NO_MEMBER';
    const index = this.policy.choose(members, message);
    return index === -1 ? 'E_ROUTE_KEY' : index;
  }
}

/** The first from there on that has room; when nobody has, the one that was chosen. */
function withRoom<M>(members: readonly ActorRef<M>[], first: number): ActorRef<M> {
  for (let step = 0; step < members.length; step++) {
    const member = members[(first + step) % members.length] as ActorRef<M>;
    if (member.credit > 0) return member;
  }
  return members[first] as ActorRef<M>;
}

/** The error of an ask that found nobody to be sent to. */
export function routeRefused(code: RefusalCode, path: string): CodedError {
  if (code === 'E_NO_MEMBER') {
    return new CodedError(code, `${path} has no member at present`, {
      kind: 'transient',
      details: { path },
      mend: 'Try again when one has joined, or look why all have gone.',
    });
  }
  if (code === 'E_ROUTE_KEY') {
    return new CodedError(code, `${path} cannot read the key of this message`, {
      kind: 'defect',
      details: { path },
      mend: 'Correct the function that reads the key, or what was sent: a key is a text, a finite number or a bigint.',
    });
  }
  return askRefused(code, path);
}
