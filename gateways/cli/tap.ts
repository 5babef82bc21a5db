/**
 * `mutt tap`: events as they are decided, one line each.
 */
import type { Command } from 'commander';
import type { TappedEvent } from '../../actors/match/messages.ts';
import { examples, wholeNumber, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { clientTls } from './client-tls.ts';
import { adminKeyReader, withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { follow } from './stream-client.ts';
import type { StreamMessage } from './stream-client.ts';
import { counted, cut, fit, paletteFor, printable } from './terminal-text.ts';
import type { Palette } from './terminal-text.ts';

interface TapOptions extends AdminOptions {
  host?: string;
  program?: string;
  rule?: number;
  decision?: string;
  limit?: number;
  json?: boolean;
}

const LIMIT_MAX = 1_000_000_000;
const ID_MAX = 2_147_483_647;
const DECISION_COLUMNS = 15;
const HOST_COLUMNS = 20;
const RULE_COLUMNS = 8;

async function tap(context: CliContext, options: TapOptions): Promise<number> {
  const { io, clock } = context;
  const done = new AbortController();
  const signal = AbortSignal.any([context.signal, io.closed, done.signal]);
  const { host, program, rule, decision, limit } = options;
  const paint = paletteFor(context);
  let shown = 0;
  const show = (message: StreamMessage): void => {
    if (signal.aborted) return;
    if (message.type === 'dropped') io.stderr.write(`mutt: ${droppedText(message['count'])}\n`);
    if (message.type !== 'tap') return;
    const event = message['event'] as TappedEvent;
    const width = io.isTTY ? io.columns : Infinity;
    const line = options.json === true ? JSON.stringify(event) : tapLine(event, width, paint);
    io.stdout.write(`${line}\n`);
    shown += 1;
    if (limit !== undefined && shown >= limit) done.abort();
  };
  await withAdminClient(context, options, (admin) =>
    follow({
      url: options.adminUrl ?? context.adminUrl,
      readKey: adminKeyReader(context, options),
      tls: clientTls(options),
      clock,
      signal,
      subscription: { subscribe: ['tap'], filter: { host, program, rule, decision } },
      probe: () => admin.read('/api/v2/version', {}, signal),
      onMessage: show,
      onLost: () => void io.stderr.write('mutt: the connection was lost; it is made again\n'),
    }),
  );
  return EXIT.ok;
}

/** `12:00:01  Page_only        core-rtr-01           rule 5    kernel: …`. */
function tapLine(event: TappedEvent, width: number, paint: Palette): string {
  const { program, decision, rule_id: rule } = event;
  const cells = [
    /T(\d\d:\d\d:\d\d)/.exec(event.received_at)?.[1] ?? '',
    fit(decision, DECISION_COLUMNS),
    fit(printable(event.hostname), HOST_COLUMNS),
    fit(rule === null ? '-' : `rule ${rule}`, RULE_COLUMNS),
    `${program === null ? '' : `${printable(program)}: `}${printable(event.message)}`,
  ];
  const line = cut(cells.join('  '), width);
  return decision === 'Unmatched' || decision === 'Ignore' ? paint.dim(line) : line;
}

function droppedText(figure: unknown): string {
  const left = typeof figure === 'number' ? counted(figure, 'event') : 'some events';
  return `${left} left out here: more than can be shown; a filter helps`;
}

export function addTap(program: Command, context: CliContext, acts: Acts): void {
  withAdmin(
    program.command('tap').description('watch events as they are decided, one line each, until Ctrl-C'),
  )
    .option('--host <name>', 'only of this host; * and ? are wildcards')
    .option('--program <name>', 'only of this program; * and ? are wildcards')
    .option('--rule <id>', 'only what this rule matched', wholeNumber(1, ID_MAX))
    .option('--decision <what>', 'only Page_and_ticket, Page_only, Ticket_only, Ignore or Unmatched')
    .option('--limit <n>', 'end after so many events', wholeNumber(1, LIMIT_MAX))
    .option('--json', 'print one JSON document a line')
    .addHelpText(
      'after',
      examples(['mutt tap --host core-rtr-01', 'mutt tap --decision Page_and_ticket --json | jq .message']) +
        '\nOf more events than can be shown some are left out, and it says how many.\n',
    )
    .action(acts((options: TapOptions) => tap(context, options)));
}
