/** Traffic over WebSockets whose every event carries its own id. */
import { SocketTraffic } from '../../supervisors/torture/socket-traffic.ts';
import { knownEvent } from './known-traffic.ts';

export interface SocketTrafficOptions {
  /** Of the ingest port, without a path. */
  url: string;
  key: string;
  sessions: number;
  eventsPerSecond: number;
  random: () => number;
  /** Part of every id: tells this traffic's events from another's. */
  name: string;
}

export class KnownSocketTraffic extends SocketTraffic<string> {
  constructor({ key, name, ...options }: SocketTrafficOptions) {
    let n = 0;
    super({
      ...options,
      key: () => key,
      next: () => {
        const id = `${name}.${n++}`;
        return { event: id, document: knownEvent(id, options.random) };
      },
    });
  }
}
