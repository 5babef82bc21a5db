/**
 * The dead-man beat: says at an even pace, to a service elsewhere, that this node lives and can reach the outside. When
 * it stops, that service tells somebody; nothing here has to notice anything for that.
 *
 * The supervisor gives each beat its order, so one that hangs sends none. A beat that fails is not made up for. The
 * address may hold the credential: it is in no log, error or document.
 */
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/telemetry/log.ts';
import type { SentOutcome } from '../../actors/ports.ts';
import type { BeatRequest } from '../threads/own-alerts-thread.ts';

export const BEAT_FORMATS = ['webhook', 'alertmanager'] as const;
export type BeatFormat = (typeof BEAT_FORMATS)[number];

export interface BeatOptions {
  clock: Clock;
  log: Pick<Log, 'info' | 'warn'>;
  address: string;
  format: BeatFormat;
  everyMs: number;
  node: string;
  version: string;
  state: () => BeatState;
  /** Settles within the time-out; never rejects. */
  send: (request: BeatRequest) => Promise<SentOutcome>;
  onSent: (isTaken: boolean) => void;
}

export interface BeatState {
  ready: boolean;
  /** Why not. */
  reasons: readonly string[];
  /** Signatures of own alerts that are open. */
  open: readonly string[];
}

const TIMEOUT_MS_MAX = 10_000;
/** So many beats may be missed before Alertmanager takes the alert for over. */
const BEATS_MISSED = 3;
const OPEN_SHOWN_MAX = 20;

export class Beat {
  readonly #options: BeatOptions;
  #cancel: (() => void) | undefined;
  #isStopped = false;
  #wasTaken: boolean | undefined;

  constructor(options: BeatOptions) {
    this.#options = options;
  }

  /** The first one at once. */
  start(): void {
    const { clock, everyMs } = this.#options;
    if (this.#isStopped) return;
    void this.#beat();
    this.#cancel = clock.after(everyMs, () => this.start(), { ref: false });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  async #beat(): Promise<void> {
    const { address, everyMs, send, onSent, log } = this.#options;
    const timeoutMs = Math.min(TIMEOUT_MS_MAX, everyMs);
    const outcome = await send({ address, body: JSON.stringify(this.#body()), timeoutMs });
    const isTaken = outcome.kind === 'delivered';
    onSent(isTaken);
    if (isTaken === this.#wasTaken) return;
    // At a change alone: a service that is away for a night would fill the log.
    if (outcome.kind !== 'delivered') {
      const { reason, status } = outcome;
      log.warn({ reason, ...(status === undefined ? {} : { status }) }, 'the beat is not taken');
    } else if (this.#wasTaken === false) log.info('the beat is taken again');
    this.#wasTaken = isTaken;
  }

  #body(): unknown {
    const { clock, everyMs, node, version, state, format } = this.#options;
    const { ready, reasons, open } = state();
    const nowMs = clock.wallMs();
    const at = new Date(nowMs).toISOString();
    if (format === 'alertmanager') {
      return [
        {
          labels: { alertname: 'MuttBeat', node, severity: 'none' },
          annotations: {
            summary: `MUTT ${version} on ${node} lives`,
            description: ready ? 'ready' : `not ready: ${reasons.join('; ')}`,
          },
          startsAt: at,
          endsAt: new Date(nowMs + (BEATS_MISSED + 1) * everyMs).toISOString(),
        },
      ];
    }
    return {
      source: 'MUTT',
      node,
      version,
      sent_at: at,
      next_within_ms: everyMs,
      ready,
      reasons,
      open: open.slice(0, OPEN_SHOWN_MAX),
    };
  }
}
