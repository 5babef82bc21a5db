/**
 * A private server as a child of a supervisor: started, watched, restarted on the same port, stopped last.
 */
import type { ExitReason } from '../../runtime/exit-reason.ts';
import type { RunningChild, StartChild } from '../../runtime/placement.ts';
import type { PrivateServer } from './private-server.ts';

export class ServerChild {
  readonly #launch: (port: number | undefined) => Promise<PrivateServer>;
  #server: PrivateServer | undefined;
  /** Kept over restarts: everybody holds an address with this port in it. */
  #port: number | undefined;

  constructor(launch: (port: number | undefined) => Promise<PrivateServer>) {
    this.#launch = launch;
  }

  /** With the password in it. Undefined before the first start. */
  get url(): string | undefined {
    return this.#server?.url;
  }

  readonly start: StartChild = async ({ epoch }) => {
    const server = await this.#launch(this.#port);
    this.#server = server;
    this.#port = server.port;
    let verdict: ExitReason | undefined;
    const exited = server.exited.then(({ code, signal }): ExitReason => {
      if (verdict !== undefined) return verdict;
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
