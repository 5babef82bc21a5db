/**
 * The network between a node and one of its servers, which a spec can break in the two ways that networks break: a
 * connection is ended, and both sides are told; or it is lost, and nobody is told (a firewall or a router that forgot it).
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

export class BreakableNetwork {
  readonly #target: { host: string; port: number };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Of the connections that pass something on: both ends of each. */
  #passing: [Socket, Socket][] = [];
  #isSilent = false;

  private constructor(target: { host: string; port: number }) {
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  /** On a free port, to the server of this URL. */
  static async to(url: string): Promise<BreakableNetwork> {
    const { hostname, port } = new URL(url);
    const network = new BreakableNetwork({ host: hostname, port: Number(port) });
    await network.#listen(0);
    return network;
  }

  /** The server's URL, through this network. */
  through(url: string): string {
    const changed = new URL(url);
    changed.hostname = '127.0.0.1';
    changed.port = String(this.#port);
    return changed.href;
  }

  /** Ends every connection and refuses new ones. Gives back what ends that. */
  cut(): () => Promise<void> {
    const port = this.#port;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    return () => this.#listen(port);
  }

  /**
   * Passes nothing on any more, on new connections neither. Gives back what ends that, for new connections only: those
   * that were lost stay so.
   */
  silence(): () => void {
    this.#isSilent = true;
    for (const [near, far] of this.#passing) {
      near.unpipe(far);
      far.unpipe(near);
      // Taken and thrown away.
      near.resume();
      far.resume();
    }
    this.#passing = [];
    return () => {
      this.#isSilent = false;
    };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get #port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  #join(near: Socket): void {
    this.#keep(near);
    if (this.#isSilent) {
      near.resume();
      return;
    }
    const far = connect(this.#target);
    this.#keep(far);
    const ends: [Socket, Socket] = [near, far];
    this.#passing.push(ends);
    const end = (): void => {
      // The end of a lost connection is not passed on either.
      if (!this.#passing.includes(ends)) return;
      this.#passing = this.#passing.filter((other) => other !== ends);
      for (const socket of ends) socket.destroy();
    };
    near.on('close', end).pipe(far);
    far.on('close', end).pipe(near);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
