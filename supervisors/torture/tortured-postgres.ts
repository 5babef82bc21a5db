/** The PostgreSQL that the nodes of the rig share: private, and started again whenever it ends, as a service manager would. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openConnection } from '../../gateways/postgres/connection.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { Oracle } from '../../gateways/postgres/oracle.ts';
import { startPrivatePostgres } from '../embedded/postgres.ts';
import type { PrivateServer } from '../embedded/private-server.ts';
import { descendantsOf } from '../process-identity.mjs';

const RESTART_AFTER_MS = 200;

export class TorturedPostgres {
  readonly #dir: string;
  #server: PrivateServer;
  readonly #connection: Connection;
  readonly oracle: Oracle;
  restarts = 0;
  #isOver = false;
  #keeping: Promise<void> | undefined;

  private constructor(dir: string, server: PrivateServer) {
    this.#dir = dir;
    this.#server = server;
    this.#connection = openConnection({
      url: server.url,
      connectionsMax: 4,
      statementTimeoutMs: 60_000,
      applicationName: 'torture',
    });
    this.oracle = new Oracle(this.#connection);
  }

  static async start(dir: string): Promise<TorturedPostgres> {
    const postgres = new TorturedPostgres(dir, await startPrivatePostgres({ dir }));
    postgres.#keeping = postgres.#keep();
    return postgres;
  }

  /** With the password in it. */
  get url(): string {
    return this.#server.url;
  }

  get pid(): number {
    return this.#server.pid;
  }

  get pids(): number[] {
    return [this.pid, ...descendantsOf(this.pid)];
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#connection.close().catch(() => undefined);
    await this.#server.stop();
    await this.#keeping;
  }

  async #keep(): Promise<void> {
    for (;;) {
      await this.#server.exited;
      if (this.#isOver) return;
      await sleep(RESTART_AFTER_MS);
      this.restarts += 1;
      // Until there is room again, or its remains are gone.
      while (!this.#isOver) {
        try {
          this.#server = await startPrivatePostgres({ dir: this.#dir, port: this.#server.port });
          break;
        } catch {
          await sleep(RESTART_AFTER_MS);
        }
      }
      if (this.#isOver) return this.#server.stop();
    }
  }
}
