/**
 * Ports for servers of our own, below those that the kernel gives to outgoing connections: a server that is restarted on
 * its port finds it free, where another could meanwhile have become the source port of anybody's connection.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const PORT_MIN = 10_000;
/** Where outgoing connections begin on Linux unless it is set otherwise (ip(7), `ip_local_port_range`). */
const OUTGOING_MIN = 32_768;
/** A range smaller than this is passed by. */
const PORTS_MIN = 1_000;
const ATTEMPTS_MAX = 1_000;

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const end = outgoingMin();
  const ports = new Set<number>();
  for (let attempt = 0; ports.size < count; attempt++) {
    if (attempt === ATTEMPTS_MAX) throw new Error(`no ${count} free ports from ${PORT_MIN} to ${end}`);
    // Where connections may take any port there is nothing below them: the kernel chooses.
    const asked = end - PORT_MIN < PORTS_MIN ? 0 : randomInt(PORT_MIN, end);
    const port = await portIfFree(asked);
    if (port !== undefined) ports.add(port);
  }
  return [...ports];
}

function outgoingMin(): number {
  try {
    const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    return Number.parseInt(range, 10) || OUTGOING_MIN;
  } catch {
    return OUTGOING_MIN;
  }
}

/** Tried on every address: a server on another than loopback would not be in the way of a trial there. */
function portIfFree(asked: number): Promise<number | undefined> {
  return new Promise((settle) => {
    const trial = createServer();
    trial.once('error', () => settle(undefined));
    trial.listen({ port: asked, exclusive: true }, () => {
      const address = trial.address();
      const port = typeof address === 'object' && address !== null ? address.port : undefined;
      trial.close(() => settle(port));
    });
  });
}
