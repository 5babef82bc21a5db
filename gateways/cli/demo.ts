/**
 * `mutt demo`: a network of 60 devices talks to a real node, and the terminal shows what comes of it.
 *
 * It uses the node that runs, or has one started and ended for it. Invariant: what it shows is what the node says (the
 * ledger, the alerts at the local sink, the replies to its own requests), never what it believes it has sent.
 */
import { randomUUID } from 'node:crypto';
import { sleep } from '../../runtime/clock.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';
import { account } from './accounting.ts';
import { AdminClient } from './admin-client.ts';
import type { Ledger } from './admin-documents.ts';
import { AlertFeed } from './alert-feed.ts';
import { BatchSender } from './batch-sender.ts';
import { EXIT } from './context.ts';
import type { CliContext, RunningNode } from './context.ts';
import { demoLedger, demoTicker, demoView } from './demo-view.ts';
import type { DemoFigures, DemoLedger } from './demo-view.ts';
import { HttpClient } from './http-client.ts';
import type { GeneratedEvent } from './network-generator/generated-event.ts';
import { NetworkGenerator } from './network-generator/network-generator.ts';
import { RateMeter } from './rate-meter.ts';
import { Repainter } from './repainter.ts';
import { reportError } from './report-error.ts';
import { paletteFor } from './terminal-text.ts';

export interface DemoOptions {
  /** Events per second, on average. */
  rate?: number;
  /** Undefined: until Ctrl-C. */
  durationMs?: number;
  /** Undefined: chosen and shown. */
  seed?: number;
  json?: boolean;
}

export const DEMO_RATE_DEFAULT = 200;
const SEND_EVERY_MS = 100;
const POLL_MS = 500;
const REDRAW_MS = 250;
const TICK_MS = 1_000;
/** Requests that are not answered yet; past it what the network says is not sent, instead of piling up. */
const REQUESTS_MAX = 8;
const EVENTS_PER_REQUEST_MAX = 2_000;
const PATIENCE_MS = 60_000;
const SETTLE_MS = 5_000;
const GRACE_MS = 2_000;
const SEED_MAX = 999_999;

/** Gives the exit code. `ensureNode` uses the node that runs or starts one; its failure is the command's. */
export async function demo(
  context: CliContext,
  ensureNode: () => Promise<RunningNode>,
  options: DemoOptions,
): Promise<number> {
  const node = await ensureNode();
  const run = new DemoRun(context, node, options);
  try {
    return await run.run();
  } finally {
    run.close();
    await node.stop();
  }
}

class DemoRun {
  readonly #context: CliContext;
  readonly #options: DemoOptions;
  readonly #http: HttpClient;
  readonly #admin: AdminClient;
  readonly #feed: AlertFeed;
  readonly #seed: number;
  readonly #rate: number;
  readonly #accepted: RateMeter;
  readonly #alerts: RateMeter;
  /** Aborted by Ctrl-C, the end of the duration, or a failure. */
  readonly #stop = new AbortController();
  readonly #hard = new AbortController();
  readonly #generator: NetworkGenerator;
  readonly #startedAtMs: number;
  readonly #startedWallMs: number;
  #rejected = 0;
  #ledger: DemoLedger | undefined;
  #trouble: { text: string; untilMs: number } | undefined;
  #failure: unknown;

  constructor(context: CliContext, node: RunningNode, options: DemoOptions) {
    const { clock } = context;
    this.#context = context;
    this.#options = options;
    this.#rate = options.rate ?? DEMO_RATE_DEFAULT;
    this.#seed = options.seed ?? Math.floor(Math.random() * SEED_MAX) + 1;
    this.#http = new HttpClient({
      url: node.ingestUrl,
      target: 'the ingest port',
      urlOption: '--url',
      readKey: async () => node.ingestKey,
      clock,
      tls: context.ingestTls,
      connectionsMax: REQUESTS_MAX,
    });
    this.#admin = new AdminClient(
      new HttpClient({
        url: node.adminUrl,
        target: 'the admin API',
        urlOption: '--admin-url',
        readKey: async () => node.adminKey,
        clock,
      }),
    );
    this.#feed = new AlertFeed(this.#admin);
    this.#accepted = new RateMeter(clock);
    this.#alerts = new RateMeter(clock);
    this.#startedAtMs = clock.monotonicMs();
    this.#startedWallMs = clock.wallMs();
    this.#generator = new NetworkGenerator({
      seed: this.#seed,
      ratePerSecond: this.#rate,
      startMs: this.#startedWallMs,
    });
  }

  async run(): Promise<number> {
    const { clock, io, signal } = this.#context;
    const before = await this.#admin.ledger(signal);
    await this.#feed.skipOld(signal);
    const end = (): void => this.#stop.abort();
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    const { durationMs } = this.#options;
    const cancelEnd = durationMs === undefined ? () => undefined : clock.after(durationMs, end);
    if (!this.#options.json && !io.isTTY) {
      io.stdout.write(
        `demo: ${this.#figures().devices} devices, seed ${this.#seed}, ${this.#rate} events/s\n`,
      );
    }
    const guarded = (work: Promise<void>): Promise<void> =>
      work.catch((thrown: unknown) => this.#fail(thrown));
    const repainter = new Repainter(io.stdout);
    try {
      await Promise.all([
        guarded(this.#talk()),
        guarded(this.#watch(before)),
        guarded(this.#show(repainter)),
      ]);
    } finally {
      cancelEnd();
      signal.removeEventListener('abort', end);
    }
    await this.#settle(before).catch((thrown: unknown) => this.#fail(thrown));
    this.#draw(repainter);
    repainter.end();
    return this.#report();
  }

  close(): void {
    this.#http.close();
    this.#admin.close();
  }

  /** Sends what the network says, several requests at a time. */
  async #talk(): Promise<void> {
    const { clock } = this.#context;
    const { signal } = this.#stop;
    const sender = new BatchSender({
      http: this.#http,
      clock,
      signal,
      hardSignal: this.#hard.signal,
      patienceMs: PATIENCE_MS,
      onWait: (waitMs, why) => {
        this.#trouble = { text: `${why}: waiting`, untilMs: clock.monotonicMs() + waitMs };
      },
    });
    const runId = randomUUID();
    const open = new Set<Promise<void>>();
    let sequence = 0;
    const network = (): GeneratedEvent[] =>
      this.#generator.until(this.#startedWallMs + clock.monotonicMs() - this.#startedAtMs);
    while (!signal.aborted) {
      const events = network();
      for (let start = 0; start < events.length; start += EVENTS_PER_REQUEST_MAX) {
        const part = events.slice(start, start + EVENTS_PER_REQUEST_MAX);
        const body = Buffer.from(part.map((event) => JSON.stringify(event)).join('\n'));
        const sending = sender
          .send({ kind: 'json', body, events: part.length }, `demo-${runId}-${sequence++}`, (outcome) => {
            this.#accepted.add(outcome.accepted);
            this.#rejected += outcome.rejected;
          })
          .catch((thrown: unknown) => this.#fail(thrown))
          .finally(() => open.delete(sending));
        open.add(sending);
        if (open.size < REQUESTS_MAX) continue;
        await Promise.race(open);
        // What was said meanwhile nobody heard, as with syslog over UDP: no wall of old events afterwards.
        network();
        break;
      }
      await sleep(clock, SEND_EVERY_MS, signal);
    }
    const cancel = clock.after(GRACE_MS, () => this.#hard.abort());
    await Promise.all(open);
    cancel();
  }

  /** Asks the node what has come of it. */
  async #watch(before: Ledger): Promise<void> {
    const { clock } = this.#context;
    while (!this.#stop.signal.aborted) {
      try {
        this.#ledger = demoLedger(before, await this.#admin.ledger(this.#stop.signal));
        await this.#look();
      } catch (thrown) {
        if (codeOf(thrown) === 'E_KEY_REFUSED') throw thrown;
        if (codeOf(thrown) !== 'E_INTERRUPTED') {
          this.#trouble = { text: messageOf(thrown), untilMs: clock.monotonicMs() + POLL_MS * 2 };
        }
      }
      await sleep(clock, POLL_MS, this.#stop.signal);
    }
  }

  async #look(): Promise<void> {
    this.#alerts.add(await this.#feed.read());
  }

  async #show(repainter: Repainter): Promise<void> {
    const { clock, io } = this.#context;
    while (!this.#stop.signal.aborted) {
      this.#draw(repainter);
      await sleep(clock, io.isTTY ? REDRAW_MS : TICK_MS, this.#stop.signal);
      if (!io.isTTY && !this.#options.json && !this.#stop.signal.aborted) {
        io.stdout.write(`${demoTicker(this.#figures())}\n`);
      }
    }
  }

  #draw(repainter: Repainter): void {
    const { io } = this.#context;
    if (!io.isTTY || this.#options.json) return;
    repainter.draw(demoView(this.#figures(), io.columns - 1, paletteFor(this.#context)));
  }

  /** Waits a little until the node has handled everything, so that the summary is whole. */
  async #settle(before: Ledger): Promise<void> {
    await account(this.#admin, before, this.#accepted.total, {
      clock: this.#context.clock,
      signal: new AbortController().signal,
      timeoutMs: SETTLE_MS,
      onPoll: (ledger) => {
        this.#ledger = demoLedger(before, ledger);
      },
    });
    await this.#look();
  }

  #report(): number {
    const { io } = this.#context;
    const figures = this.#figures();
    if (this.#options.json) {
      const { ledger, alerts: _alerts, history: _history, trouble: _trouble, ...rest } = figures;
      io.stdout.write(`${JSON.stringify({ ...rest, ledger: ledger?.total ?? null }, null, 2)}\n`);
    } else {
      io.stdout.write(`${io.isTTY ? '\n' : ''}${demoTicker(figures)}\n`);
      io.stdout.write(`The same network again: mutt demo --seed ${this.#seed} --rate ${this.#rate}\n`);
    }
    if (this.#failure !== undefined) return reportError(io, this.#failure);
    return figures.ledger?.total.balanced === true && figures.ledger.inFlight === 0 ? EXIT.ok : EXIT.notGood;
  }

  #figures(): DemoFigures {
    const nowMs = this.#context.clock.monotonicMs();
    return {
      seed: this.#seed,
      devices: this.#generator.topology.devices.length,
      ratePerSecond: this.#rate,
      elapsedMs: nowMs - this.#startedAtMs,
      accepted: this.#accepted.total,
      rejected: this.#rejected,
      acceptedPerSecond: this.#accepted.perSecond(),
      history: this.#accepted.history(),
      ledger: this.#ledger,
      alertsOut: this.#alerts.total,
      alertsPerSecond: this.#alerts.perSecond(),
      alerts: this.#feed.latest,
      trouble: this.#trouble !== undefined && this.#trouble.untilMs > nowMs ? this.#trouble.text : undefined,
    };
  }

  #fail(thrown: unknown): void {
    this.#failure ??= thrown;
    this.#stop.abort();
  }
}
