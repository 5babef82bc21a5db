import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the ports that Linux gives to outgoing connections (32768 on, `ip_local_port_range`), or one of the many
 * connections of the specs beside this one could have taken a port before it is listened on.
 */
const PORT_MIN = 10_000;
const PORT_END = 32_000;
const ATTEMPTS_MAX = 1_000;

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; ports.size < count; attempt++) {
    if (attempt === ATTEMPTS_MAX) throw new Error(`no ${count} free ports from ${PORT_MIN} to ${PORT_END}`);
    const port = randomInt(PORT_MIN, PORT_END);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const probe = createServer();
    probe.once('error', () => settle(false));
    // On every address: one that listens on another than loopback would not be in the way of a probe there.
    probe.listen({ port, exclusive: true }, () => probe.close(() => settle(true)));
  });
}
