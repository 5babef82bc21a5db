/**
 * A child for supervisor specs that does exactly what the spec says, and writes down what was done to it.
 *
 * It keeps the contract of RunningChild, so a supervisor cannot tell it from an actor or a thread. Invariant: every
 * incarnation exits once; a stop that it ignores is ended by its own deadline on the given clock.
 */
import type { Clock } from '../../runtime/clock.ts';
import { CodedError, toWire } from '../../runtime/errors.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import type { RunningChild, StartChild } from '../../runtime/placement.ts';

export const PLANTED: ExitReason = { kind: 'failed', error: toWire(new CodedError('E_PLANTED', 'planted')) };

export class ScriptedChild {
  readonly start: StartChild;
  readonly epochs: number[] = [];
  readonly previousExits: (ExitReason | undefined)[] = [];
  /** So many of the next starts fail. */
  startsToFail = 0;
  /** Starts wait for this. */
  startGate: Promise<void> = Promise.resolve();
  ignoresStop = false;
  abandoned = 0;
  private exitPresent: ((reason: ExitReason) => void) | undefined = undefined;

  constructor(id: string, trace: string[], clock: Clock) {
    const start: StartChild = async ({ epoch, previousExit }) => {
      trace.push(`start ${id}`);
      this.epochs.push(epoch);
      this.previousExits.push(previousExit);
      await this.startGate;
      if (this.startsToFail > 0) {
        this.startsToFail--;
        throw new CodedError('E_PLANTED', `${id} cannot start`);
      }
      const exit = Promise.withResolvers<ExitReason>();
      const end = (reason: ExitReason): void => {
        if (this.exitPresent === end) this.exitPresent = undefined;
        exit.resolve(reason);
      };
      this.exitPresent = end;
      const running: RunningChild = {
        epoch,
        exited: exit.promise,
        stop: (deadlineMs) => {
          trace.push(`stop ${id}`);
          if (this.ignoresStop) clock.after(deadlineMs, () => running.kill(`${deadlineMs} ms were over`));
          else end({ kind: 'shutdown' });
          return exit.promise;
        },
        kill: (by) => {
          trace.push(`kill ${id}`);
          end({ kind: 'killed', by });
        },
      };
      return running;
    };
    start.abandon = () => {
      this.abandoned++;
    };
    this.start = start;
  }

  get isRunning(): boolean {
    return this.exitPresent !== undefined;
  }

  /** Ends the present incarnation from the inside. */
  exit(reason: ExitReason = PLANTED): void {
    this.exitPresent?.(reason);
  }
}
