/**
 * The `mutt` command: names, options and help; each command itself is a function of the context.
 *
 * Commands that need the whole product (start, demo's node) are handed in by the composition root, since gateways know
 * nothing of supervisors. Invariant: `run` always gives an exit code and never ends the process.
 */
import { Command } from 'commander';
import { codeOf } from '../../runtime/errors.ts';
import { addActors } from './actors.ts';
import { addAudit } from './audit.ts';
import { examples, number, wholeNumber, withAdmin, withTls } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { addCompletion } from './completion.ts';
import { addConfig } from './config.ts';
import { EXIT } from './context.ts';
import type { CliContext, RunningNode } from './context.ts';
import { demo, DEMO_RATE_DEFAULT } from './demo.ts';
import { addDestinationEdit } from './destination-edit.ts';
import { addDestinations } from './destinations.ts';
import { addFailures } from './failures.ts';
import { addKeys } from './keys.ts';
import { BATCH_LINES_DEFAULT, CONNECTIONS_DEFAULT, replay, TIMEOUT_MS_DEFAULT } from './replay.ts';
import { reportError } from './report-error.ts';
import { addRules } from './rules-commands.ts';
import { send } from './send.ts';
import { status } from './status.ts';
import { addTap } from './tap.ts';
import { addTop } from './top.ts';
import { addUnmatched } from './unmatched.ts';
import { addTrace } from './trace.ts';

/** A command whose work belongs to the composition root. */
export interface ComposedCommand {
  name: string;
  description: string;
  /** Shown below the options. */
  examples?: readonly string[];
  /** What they mean; shown below the examples. */
  exitCodes?: string;
  /** In commander's notation: `--wait <s>`. Values are given as text, or as what `parse` makes of it; flags as true. */
  options?: readonly { flags: string; description: string; parse?: (text: string) => unknown }[];
  /** Gives the exit code. */
  run(options: Readonly<Record<string, unknown>>): Promise<number>;
}

export interface ProgramContext extends CliContext {
  version: string;
  /** The node that runs, or one started for the command. */
  ensureNode(): Promise<RunningNode>;
  /** `start` and its like. */
  commands: readonly ComposedCommand[];
}

export interface Program {
  /** For documentation and specs. */
  command: Command;
  /** Arguments without `node` and the script. Gives the exit code. */
  run(args: readonly string[]): Promise<number>;
}

export function buildProgram(context: ProgramContext): Program {
  const { io } = context;
  let exitCode: number = EXIT.ok;
  const acts: Acts =
    (act) =>
    async (...args) => {
      exitCode = await act(...args);
    };
  const program = new Command('mutt')
    .description(
      'Takes syslog and SNMP events, matches them against rules, and forwards the alerts that matter.',
    )
    .version(context.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError(true)
    .configureHelp({ helpWidth: io.isTTY ? io.columns : 100 })
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(`mutt: ${text.replace(/^error: /, '')}`),
    })
    .exitOverride();
  program.showHelpAfterError('(add --help for the options and examples)');

  for (const composed of context.commands) {
    const command = program.command(composed.name).description(composed.description);
    for (const { flags, description, parse } of composed.options ?? []) {
      if (parse === undefined) command.option(flags, description);
      else command.option(flags, description, parse);
    }
    const codes = composed.exitCodes === undefined ? '' : `\nExit code: ${composed.exitCodes}.\n`;
    command.addHelpText('after', examples(composed.examples ?? []) + codes);
    command.action(acts((options: Record<string, unknown>) => composed.run(options)));
  }
  addStatus(program, context, acts);
  addTop(program, context, acts);
  addTap(program, context, acts);
  addRules(program, context, acts);
  addConfig(program, context, acts);
  addDestinationEdit(addDestinations(program, context, acts), context, acts);
  addKeys(program, context, acts);
  addAudit(program, context, acts);
  addTrace(program, context, acts);
  addFailures(program, context, acts);
  addUnmatched(program, context, acts);
  addActors(program, context, acts);
  addReplay(program, context, acts);
  addSend(program, context, acts);
  addDemo(program, context, acts);
  addCompletion(program, context, acts);

  return {
    command: program,
    async run(args) {
      exitCode = EXIT.ok;
      try {
        if (args.length === 0) {
          program.outputHelp();
          return EXIT.ok;
        }
        await program.parseAsync([...args], { from: 'user' });
        return exitCode;
      } catch (thrown) {
        // What commander throws has been shown already; help and version come this way too.
        if (!codeOf(thrown).startsWith('commander.')) return reportError(io, thrown);
        return (thrown as { exitCode?: number }).exitCode === 0 ? EXIT.ok : EXIT.usage;
      }
    },
  };
}

function addStatus(program: Command, context: CliContext, acts: Acts): void {
  withAdmin(
    program.command('status').description('show whether the node is ready, and everything that runs in it'),
  )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(['mutt status', 'mutt status --json | jq .ledger']) +
        '\nExit code: 0 ready, 1 not ready, 3 not running.\n',
    )
    .action(acts((options: Parameters<typeof status>[1]) => status(context, options)));
}

function addReplay(program: Command, context: CliContext, acts: Acts): void {
  const command = program
    .command('replay')
    .description(
      'push syslog files (RFC 3164, RFC 5424, NDJSON; .gz too) to the ingest port, and account for every line',
    )
    .argument('<files...>', 'files of lines')
    .option(
      '--rate <events/s>',
      'events per second (default: as fast as the server takes them)',
      number(0.1, 1e7),
    )
    .option(
      '--batch <lines>',
      'lines per request, at most 4 MiB',
      wholeNumber(1, 100_000),
      BATCH_LINES_DEFAULT,
    )
    .option(
      '--connections <n>',
      'requests at a time; 1 keeps the order',
      wholeNumber(1, 64),
      CONNECTIONS_DEFAULT,
    )
    .option('--url <url>', 'where to send (default: the ingest port of the node here)')
    .option('--key-file <path>', 'file with an ingest key (default: the key of the node here)')
    .option(
      '--timeout <s>',
      'how long to wait for a server that is away, and for the last events',
      number(0, 86_400),
      TIMEOUT_MS_DEFAULT / 1_000,
    )
    .option('--no-ledger', 'do not ask the admin API what became of the events')
    .option('--json', 'print the summary as JSON');
  withAdmin(command)
    .addHelpText(
      'after',
      examples([
        'mutt replay /var/log/syslog',
        'mutt replay --rate 500 router.log.gz firewall.log',
        'mutt replay --url http://relay-01:8080 --key-file ingest.key --no-ledger events.ndjson',
      ]) +
        '\nExit code: 0 every event accepted and accounted for, 1 some rejected, unanswered or unaccounted,\n' +
        '2 wrong call, 3 no server, 130 interrupted.\n',
    )
    .action(
      acts((files: string[], options: Parameters<typeof replay>[2] & { timeout: number }) =>
        replay(context, files, { ...options, timeoutMs: options.timeout * 1_000 }),
      ),
    );
}

function addSend(program: Command, context: CliContext, acts: Acts): void {
  const command = program
    .command('send')
    .description(
      'send lines (RFC 3164, RFC 5424, NDJSON) of files or standard input to the ingest port, in order',
    )
    .argument('[files...]', 'files of lines; standard input without any, and for -')
    .option('--ws', 'over one WebSocket instead of one request after another')
    .option('--trap', 'the lines are what snmptrapd prints; each trap is an event')
    .option('--batch <lines>', 'lines sent at once, at most', wholeNumber(1, 100_000), BATCH_LINES_DEFAULT)
    .option('--url <url>', 'where to send (default: the ingest port of the node here)')
    .option('--key-file <path>', 'file with an ingest key (default: the key of the node here)')
    .option(
      '--timeout <s>',
      'how long to wait for a server that is away',
      number(0, 86_400),
      TIMEOUT_MS_DEFAULT / 1_000,
    )
    .option('--wait', 'wait without limit, from the first try on, also for a key or certificate to be good')
    .option('--json', 'print the summary as JSON');
  withTls(command)
    .addHelpText(
      'after',
      examples([
        'tail -F /var/log/syslog | mutt send --ws',
        'mutt send --trap -',
        'mutt send --ws --url https://relay-01:8080 --tls-ca-file ca.crt --key-file ingest.key events.ndjson',
      ]) +
        '\nExit code: 0 every event accepted, 1 some rejected or unanswered, 2 wrong call, 3 no server, 130 interrupted.\n',
    )
    .action(
      acts((files: string[], options: Parameters<typeof send>[2] & { timeout: number }) =>
        send(context, files, { ...options, timeoutMs: options.timeout * 1_000 }),
      ),
    );
}

function addDemo(program: Command, context: ProgramContext, acts: Acts): void {
  program
    .command('demo')
    .description('let a network of 60 devices talk to this node, and watch what comes of it')
    .option('--rate <events/s>', 'events per second, on average', number(1, 200_000), DEMO_RATE_DEFAULT)
    .option('--duration <s>', 'end by itself after so many seconds', number(0.1, 31_536_000))
    .option('--seed <n>', 'the same network and incidents as another time', wholeNumber(0, 4_294_967_295))
    .option('--json', 'print nothing but a summary, as JSON')
    .addHelpText(
      'after',
      examples(['mutt demo', 'mutt demo --rate 5000 --duration 60', 'mutt demo --seed 42']) +
        '\nCtrl-C ends it. Exit code: 0 the ledger balances and nothing is in flight, 1 otherwise, 3 no node.\n',
    )
    .action(
      acts((options: Parameters<typeof demo>[2] & { duration?: number }) =>
        demo(context, () => context.ensureNode(), {
          ...options,
          ...(options.duration === undefined ? {} : { durationMs: options.duration * 1_000 }),
        }),
      ),
    );
}
