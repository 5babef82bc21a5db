/** Traffic by requests whose every event carries its own id. */
import { RequestTraffic } from '../../supervisors/torture/request-traffic.ts';

export interface TrafficOptions {
  url: string;
  key: string;
  connections: number;
  /** So many of them resend. */
  resending?: number;
  eventsPerSecond: number;
  random: () => number;
  /** Part of every id: tells one run's events from another's. */
  name: string;
}

/** What a rule has to look for to find the events that become alerts. */
export const ALERT_TEXT = 'SPEC-3-ALERT';
const ALERT_SHARE = 0.1;
const HOSTS = 40;

/** Invariant: every id sent is in exactly one of `answered` and `unanswered`. */
export class KnownTraffic extends RequestTraffic<string> {
  readonly answered: Set<string>;
  readonly unanswered: Set<string>;

  constructor({ url, key, ...options }: TrafficOptions) {
    const answered = new Set<string>();
    const unanswered = new Set<string>();
    let n = 0;
    super({
      ...options,
      urls: [url],
      key: () => key,
      next: () => {
        const id = `${options.name}.${n++}`;
        return { event: id, document: knownEvent(id, options.random) };
      },
      settle: (ids, isAnswered) => {
        for (const id of ids) (isAnswered ? answered : unanswered).add(id);
      },
    });
    this.answered = answered;
    this.unanswered = unanswered;
  }
}

export function knownEvent(id: string, random: () => number): Record<string, string> {
  return {
    hostname: `kill-${Math.floor(random() * HOSTS)}`,
    message: `${random() < ALERT_SHARE ? `%${ALERT_TEXT}: ` : ''}known id=${id};`,
    timestamp: new Date().toISOString(),
  };
}

/** The id in an event as it was received; undefined for an event of somebody else. */
export function idIn(raw: string): string | undefined {
  return /known id=([\w.-]+);/.exec(raw)?.[1];
}
