/**
 * `mutt top`: the node as it lives, drawn again and again; without a terminal, one look.
 *
 * One look at a time, so that a slow node is not asked more often than it can answer. A node that is away for a moment
 * leaves the last picture with a line that says so.
 */
import type { Command } from 'commander';
import { sleep } from '../../runtime/clock.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';
import { terminalSum } from './accounting.ts';
import type { AdminClient } from './admin-client.ts';
import type { Ledger } from './admin-documents.ts';
import { duration, examples, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { Screen } from './screen.ts';
import { writeJson } from './table.ts';
import { paletteFor } from './terminal-text.ts';
import { topView } from './top-view.ts';
import type { TopRates, TopSample } from './top-view.ts';

interface TopOptions extends AdminOptions {
  /** ms. */
  interval: number;
  json?: boolean;
}

const INTERVAL_MS_DEFAULT = 1_000;
const INTERVAL_MS_MIN = 200;
const INTERVAL_MS_MAX = 3_600_000;
/** How long a single look measures rates. */
const RATE_WINDOW_MS = 1_000;
const HISTORY_LOOKS = 120;
const QUIT_KEYS: ReadonlySet<string> = new Set(['q', 'Q', '\u001b']);

async function top(context: CliContext, options: TopOptions): Promise<number> {
  return withAdminClient(context, options, (admin) =>
    context.io.isTTY && options.json !== true
      ? watch(context, admin, options.interval)
      : lookOnce(context, admin, options),
  );
}

async function lookOnce(context: CliContext, admin: AdminClient, options: TopOptions): Promise<number> {
  const { clock, io, signal } = context;
  const looks = new Looks(context, admin);
  await looks.look();
  await sleep(clock, Math.min(options.interval, RATE_WINDOW_MS), signal);
  const sample = await looks.look();
  if (options.json === true) {
    const { status, rates = null, ledger = null, partitions = null } = sample;
    writeJson(context, { ...status, rates, ledger, partitions });
  } else {
    const view = { width: undefined, height: undefined, trouble: undefined };
    const lines = topView(sample, { ...view, nowMs: clock.wallMs(), paint: paletteFor(context) });
    io.stdout.write(`${lines.join('\n')}\n`);
  }
  return sample.status.ready ? EXIT.ok : EXIT.notGood;
}

async function watch(context: CliContext, admin: AdminClient, intervalMs: number): Promise<number> {
  const { clock, io } = context;
  const quit = new AbortController();
  const signal = AbortSignal.any([context.signal, io.closed, quit.signal]);
  const looks = new Looks({ ...context, signal }, admin);
  // The first look may fail: then there is nothing to draw, and the reason is told as by any other command.
  let sample = await looks.look();
  let trouble: string | undefined;
  const screen = new Screen(io.stdout);
  const paint = paletteFor(context);
  const draw = (): void =>
    screen.draw(
      topView(sample, { width: io.columns, height: io.rows, nowMs: clock.wallMs(), paint, trouble }),
    );
  const stopResize = io.onResize(() => {
    screen.forget();
    draw();
  });
  const stopKeys = io.onKey((key) => {
    if (QUIT_KEYS.has(key)) quit.abort();
  });
  try {
    draw();
    for (;;) {
      await sleep(clock, intervalMs, signal);
      if (signal.aborted) return EXIT.ok;
      try {
        sample = await looks.look();
        trouble = undefined;
      } catch (thrown) {
        if (codeOf(thrown) === 'E_KEY_REFUSED') throw thrown;
        trouble = `these figures are old: ${messageOf(thrown)}`;
      }
      if (!signal.aborted) draw();
    }
  } finally {
    stopKeys();
    stopResize();
    screen.end();
  }
}

/** Looks at a node, each with what has changed since the one before. */
class Looks {
  readonly #context: CliContext;
  readonly #admin: AdminClient;
  #before: { ledger: Ledger; atMs: number } | undefined;
  #history: number[] = [];

  constructor(context: CliContext, admin: AdminClient) {
    this.#context = context;
    this.#admin = admin;
  }

  async look(): Promise<TopSample> {
    const { clock, signal } = this.#context;
    const [status, ledger, partitions] = await Promise.all([
      this.#admin.status(signal),
      // It needs the stores; without them the rest is worth showing all the more.
      this.#admin.ledger(signal).catch((thrown: unknown) => {
        if (codeOf(thrown) === 'E_INTERRUPTED') throw thrown;
        return undefined;
      }),
      this.#admin.partitions(signal),
    ]);
    const atMs = clock.monotonicMs();
    const rates = this.#rates(ledger, atMs);
    this.#before = ledger === undefined ? undefined : { ledger, atMs };
    if (rates !== undefined) this.#history = [...this.#history, rates.accepted].slice(-HISTORY_LOOKS);
    return { status, ledger, partitions, rates, history: this.#history };
  }

  #rates(ledger: Ledger | undefined, atMs: number): TopRates | undefined {
    if (ledger === undefined || this.#before === undefined) return undefined;
    const seconds = (atMs - this.#before.atMs) / 1_000;
    const before = this.#before.ledger;
    const since = (figure: (of: Ledger) => number): number =>
      seconds > 0 ? Math.max(0, figure(ledger) - figure(before)) / seconds : 0;
    return {
      accepted: since(({ accepted, replayed }) => accepted + replayed),
      done: since(terminalSum),
      alerts: since(({ alerts }) => alerts?.delivered ?? 0),
    };
  }
}

export function addTop(program: Command, context: CliContext, acts: Acts): void {
  withAdmin(
    program.command('top').description('watch the node: rates, queues, threads, configuration; q ends it'),
  )
    .option(
      '--interval <time>',
      'how often it is looked at',
      duration(INTERVAL_MS_MIN, INTERVAL_MS_MAX),
      INTERVAL_MS_DEFAULT,
    )
    .option('--json', 'look once and print JSON')
    .addHelpText(
      'after',
      examples(['mutt top', 'mutt top --interval 5s', 'mutt top > now.txt']) +
        '\nWithout a terminal it looks once. Exit code: 0 ready, 1 not ready, 3 no node.\n',
    )
    .action(acts((options: TopOptions) => top(context, options)));
}
