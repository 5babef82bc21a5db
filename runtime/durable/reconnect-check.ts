/**
 * Trust in a store ends with the connection: behind the next one may be another server, or the same with other settings.
 *
 * Invariant: from the loss of a connection until the server behind the next one has passed the check, `isTrusted` is
 * false. The caller has checked the server of the connection that it hands over.
 */
import type { Redis } from 'ioredis';
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';

export interface ReconnectCheck {
  readonly isTrusted: boolean;
  stop(): void;
}

/** A server that failed the check may be mended while the connection stands. */
const REPEAT_MS = 500;

/** `check` resolves when the server may be trusted. It is repeated until it does or the connection is lost. */
export function checkReconnects(connection: Redis, check: () => Promise<void>, clock: Clock): ReconnectCheck {
  let isTrusted = true;
  /** Counts connections, so that a check begun on one says nothing about the next. */
  let life = 0;
  const lose = (): void => {
    life += 1;
    isTrusted = false;
  };
  const regain = async (): Promise<void> => {
    const own = life;
    while (own === life) {
      const passed = await check().then(
        () => true,
        () => false,
      );
      if (passed && own === life) {
        isTrusted = true;
        return;
      }
      if (own === life) await sleep(clock, REPEAT_MS);
    }
  };
  const begin = (): void => void regain();
  connection.on('close', lose).on('ready', begin);
  return {
    get isTrusted() {
      return isTrusted;
    },
    stop: () => {
      lose();
      connection.off('close', lose).off('ready', begin);
    },
  };
}
