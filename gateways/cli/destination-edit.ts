/**
 * `mutt destinations add`, `show`, `test` and `remove`: one destination at a time. A credential is never given to a
 * command: `--secret-ref` says where the node finds it.
 */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parse, stringify } from 'yaml';
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';
import { duration, examples, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson } from './table.ts';
import { paletteFor, printable } from './terminal-text.ts';

interface ShowOptions extends AdminOptions {
  json?: boolean;
}
interface RemoveOptions extends ShowOptions {
  reason?: string;
}
interface DocumentOptions extends ShowOptions {
  /** File with the whole document. */
  from?: string;
  kind?: string;
  url?: string;
  secretRef?: string;
  auth?: string;
  /** File. */
  template?: string;
  contentType?: string;
  /** ms. */
  resolveAfter?: number;
}
interface AddOptions extends DocumentOptions {
  replace?: boolean;
  reason?: string;
}
interface TestOptions extends DocumentOptions {
  resolve?: boolean;
}

type Document = Record<string, unknown>;
interface TestReply {
  alert_id: string;
  sent: { method: string; url: string; headers: Record<string, string>; body: string } | null;
  answer: { status: number; excerpt: string } | null;
  outcome: string;
  error: string | null;
  meaning: string;
  duration_ms: number;
}

const PATH = '/api/v2/destinations';
const RESOLVE_AFTER_MS_MIN = 60_000;
const RESOLVE_AFTER_MS_MAX = 2_592_000_000;
/** The node waits 15 seconds for the destination. */
const TEST_TIMEOUT_MS = 20_000;

async function add(context: CliContext, name: string, options: AddOptions): Promise<number> {
  const body = await documentOf(name, options);
  const stored = await withAdminClient(context, options, async (admin) => {
    const ifVersion =
      options.replace === true
        ? (await admin.read<{ version: number }>(pathOf(name), {}, context.signal)).version
        : undefined;
    return admin.change<Document>(
      {
        method: 'PUT',
        path: pathOf(name),
        query: { reason: options.reason },
        body,
        ...(ifVersion === undefined ? {} : { ifVersion }),
      },
      context.signal,
    );
  });
  if (options.json === true) writeJson(context, stored);
  else {
    const what = options.replace === true ? 'replaced' : 'added';
    context.io.stdout.write(`${name} is ${what}; try it: mutt destinations test ${name}\n`);
  }
  return EXIT.ok;
}

async function show(context: CliContext, name: string, options: ShowOptions): Promise<number> {
  const document = await withAdminClient(context, options, (admin) =>
    admin.read<Document>(pathOf(name), {}, context.signal),
  );
  if (options.json === true) writeJson(context, document);
  else context.io.stdout.write(stringify(document));
  return EXIT.ok;
}

/** Exit code 0: the destination took it; 1: it did not. */
async function test(context: CliContext, name: string, options: TestOptions): Promise<number> {
  const isUnsaved = options.from !== undefined || options.kind !== undefined;
  const body = isUnsaved ? await documentOf(name, options) : undefined;
  const reply = await withAdminClient(context, options, (admin) =>
    admin.change<TestReply>(
      {
        method: 'POST',
        path: `${pathOf(name)}/test`,
        query: { status: options.resolve === true ? 'resolved' : 'firing' },
        ...(body === undefined ? {} : { body }),
        timeoutMs: TEST_TIMEOUT_MS,
      },
      context.signal,
    ),
  );
  if (options.json === true) writeJson(context, reply);
  else tell(context, reply);
  return reply.outcome === 'delivered' ? EXIT.ok : EXIT.notGood;
}

function tell(context: CliContext, { sent, answer, outcome, error, meaning, duration_ms }: TestReply): void {
  const { stdout } = context.io;
  const paint = paletteFor(context);
  if (sent === null) stdout.write('Nothing was sent.\n');
  else {
    stdout.write(`${sent.method} ${printable(sent.url)}\n`);
    for (const [header, value] of Object.entries(sent.headers))
      stdout.write(paint.dim(`${header}: ${printable(value)}`) + '\n');
    stdout.write(`${printable(sent.body)}\n`);
  }
  if (answer !== null) {
    stdout.write(`\nHTTP ${answer.status} after ${duration_ms} ms\n`);
    if (answer.excerpt.trim() !== '') stdout.write(`${printable(answer.excerpt)}\n`);
  }
  const isTaken = outcome === 'delivered';
  stdout.write(`\n${(isTaken ? paint.green : paint.red)(outcome)}. ${meaning}\n`);
  if (answer === null && error !== null) stdout.write(`${printable(error)}\n`);
}

async function remove(context: CliContext, name: string, options: RemoveOptions): Promise<number> {
  await withAdminClient(context, options, async (admin) => {
    const { version } = await admin.read<{ version: number }>(pathOf(name), {}, context.signal);
    await admin.change<unknown>(
      { method: 'DELETE', path: pathOf(name), query: { reason: options.reason }, ifVersion: version },
      context.signal,
    );
  });
  if (options.json === true) writeJson(context, { name, removed: true });
  else
    context.io.stdout.write(`${name} is removed; alerts that wait for it wait on until it is there again\n`);
  return EXIT.ok;
}

function pathOf(name: string): string {
  return `${PATH}/${encodeURIComponent(name)}`;
}

/** What is given one by one wins over the file. Errors: E_FILE_UNREADABLE, E_USAGE. */
async function documentOf(name: string, options: DocumentOptions): Promise<Document> {
  const { from, template } = options;
  const written = from === undefined ? {} : documentIn(await textOf(from), from);
  const given: Document = {
    kind: options.kind,
    url: options.url,
    secret_ref: options.secretRef,
    auth: options.auth,
    template: template === undefined ? undefined : await textOf(template),
    content_type: options.contentType,
    resolve_after_ms: options.resolveAfter,
  };
  const own = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...written, ...Object.fromEntries(own), name };
}

function documentIn(text: string, path: string): Document {
  let value: unknown;
  try {
    value = parse(text, { schema: 'core' });
  } catch (thrown) {
    throw unreadable(path, messageOf(thrown).split('\n')[0] ?? '');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Document;
  throw unreadable(path, 'it is no document of names and values');
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    throw unreadable(path, codeOf(thrown));
  }
}

function unreadable(path: string, why: string): CodedError {
  return new CodedError('E_FILE_UNREADABLE', `${path} cannot be read: ${why}`, {
    mend: 'Give the path of a file that is there and that you may read.',
  });
}

function withDocument(command: Command): Command {
  return withAdmin(command)
    .option('--from <path>', 'file with the whole destination, in YAML or JSON')
    .option('--kind <kind>', 'moogsoft, moogsoft_cloud, pagerduty, alertmanager or webhook')
    .option('--url <url>', 'where it is')
    .option('--secret-ref <ref>', 'where the node finds its credential: env:NAME or file:/path')
    .option('--auth <form>', 'how the credential goes along: bearer, basic or auth_token')
    .option('--template <path>', 'file with the template of a webhook')
    .option('--content-type <type>', 'what the template makes (default: application/json)')
    .option(
      '--resolve-after <time>',
      'how long an alert fires at an Alertmanager that nobody resolves',
      duration(RESOLVE_AFTER_MS_MIN, RESOLVE_AFTER_MS_MAX),
    )
    .option('--json', 'print JSON');
}

/** Adds these to `mutt destinations`. */
export function addDestinationEdit(destinations: Command, context: CliContext, acts: Acts): void {
  withDocument(
    destinations.command('add').description('add a destination').argument('<name>', 'what it is called'),
  )
    .option('--replace', 'put it in the place of the one of this name')
    .option('--reason <text>', 'why, for the audit of the change')
    .addHelpText(
      'after',
      examples([
        'mutt destinations add pager --kind pagerduty --secret-ref file:/etc/mutt/secrets/pagerduty.key',
        'mutt destinations add prom --kind alertmanager --url http://alertmanager:9093',
        'mutt destinations add noc --from noc.yaml --replace --reason "new LAM"',
      ]),
    )
    .action(acts((name: string, options: AddOptions) => add(context, name, options)));
  withAdmin(destinations.command('show').description('show one destination').argument('<name>', 'its name'))
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt destinations show pager']))
    .action(acts((name: string, options: ShowOptions) => show(context, name, options)));
  withDocument(
    destinations
      .command('test')
      .description('send one marked alert, and show what was sent, what came back and what it means')
      .argument('<name>', 'its name; with --kind or --from that of one which is not there yet'),
  )
    .option('--resolve', 'send the end of the test alert')
    .addHelpText(
      'after',
      examples([
        'mutt destinations test pager',
        'mutt destinations test pager --resolve',
        'mutt destinations test new --kind webhook --url https://hooks.example/x --template body.liquid',
      ]) + '\nExit code: 0 the destination took it, 1 it did not, 2 wrong call, 3 no node.\n',
    )
    .action(acts((name: string, options: TestOptions) => test(context, name, options)));
  withAdmin(destinations.command('remove').description('remove a destination').argument('<name>', 'its name'))
    .option('--reason <text>', 'why, for the audit of the change')
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt destinations remove pager --reason "another service"']))
    .action(acts((name: string, options: RemoveOptions) => remove(context, name, options)));
}
