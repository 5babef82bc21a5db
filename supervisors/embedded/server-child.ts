/**
 * A private server as a child of a supervisor: started, watched, restarted on the same port, stopped last.
 */
import type { ExitReason } from '../../runtime/exit-reason.ts';
import type { RunningChild, StartChild } from '../../runtime/placement.ts';
import { codeOf, messageOf, toWire } from '../../runtime/errors.ts';
import { diskFull, isDiskFull } from './disk-room.ts';
import type { PrivateServer } from './private-server.ts';

export class ServerChild {
  readonly #launch: (port: number | undefined) => Promise<PrivateServer>;
  #server: PrivateServer | undefined;
  /** Kept over restarts: everybody holds an address with this port in it. */
  #port: number | undefined;
  #trouble: string | undefined;

  constructor(launch: (port: number | undefined) => Promise<PrivateServer>) {
    this.#launch = launch;
  }

  /** With the password in it. Undefined before the first start. */
  get url(): string | undefined {
    return this.#server?.url;
  }

  /** Why it does not run and what to do about it, for people; undefined while it runs or nothing is known. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  readonly start: StartChild = async ({ epoch }) => {
    const server = await this.#launch(this.#port).catch((thrown: unknown) => {
      this.#trouble = troubleOf(thrown);
      throw thrown;
    });
    this.#trouble = undefined;
    this.#server = server;
    this.#port = server.port;
    let verdict: ExitReason | undefined;
    const exited = server.exited.then(({ code, signal }): ExitReason => {
      if (verdict !== undefined) return verdict;
      // Not its own fault, which a supervisor would bear only so often: it is started again until there is room.
      if (isDiskFull(server.dir)) {
        const error = diskFull(server.dir);
        this.#trouble = troubleOf(error);
        return { kind: 'failed', error: toWire(error) };
      }
      return {
        kind: 'exited',
        ...(code === null ? {} : { code }),
        ...(signal === null ? {} : { signal }),
      };
    });
    const child: RunningChild = {
      epoch,
      exited,
      stop: async () => {
        verdict ??= { kind: 'shutdown' };
        await server.stop();
        return exited;
      },
      kill: (by) => {
        verdict ??= { kind: 'killed', by };
        server.kill('SIGKILL');
      },
      describe: () => ({
        placement: 'server',
        pid: server.pid,
        port: server.port,
        adopted: server.isAdopted,
      }),
    };
    return child;
  };
}

function troubleOf(thrown: unknown): string {
  const { mend } = toWire(thrown);
  return `${messageOf(thrown)} (${codeOf(thrown)}).${mend === undefined ? '' : ` ${mend}`}`;
}
