/**
 * `mutt keys`: the API keys of the installation.
 *
 * A key is shown once, by the command that makes it, and never again. Invariant: with --out there is a place for it
 * before the node makes it, so that none is lost to a path that cannot be written.
 */
import { open, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Command } from 'commander';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import type { AdminClient } from './admin-client.ts';
import type { KeyDocument, NewKey } from './admin-documents.ts';
import { seconds } from './changes.ts';
import { duration, examples, futureMoment, wholeNumber, withAdmin, words } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { paletteFor } from './terminal-text.ts';

interface ListOptions extends AdminOptions {
  json?: boolean;
  limit: number;
}
interface MakeOptions extends AdminOptions {
  reason?: string;
  /** File for the key. */
  out?: string;
  json?: boolean;
}
interface CreateOptions extends MakeOptions {
  scope: string[];
  /** RFC 3339. */
  eventIds?: boolean;
  expires?: string;
}
interface RotateOptions extends MakeOptions {
  /** ms. */
  overlap: number;
}
interface RevokeOptions extends AdminOptions {
  reason?: string;
  json?: boolean;
}

const KEYS_PATH = '/api/v2/keys';
const LIST_DEFAULT = 1_000;
const LIST_MAX = 100_000;
const OVERLAP_MS_DEFAULT = 86_400_000;
const OVERLAP_MS_MAX = 30 * 86_400_000;
/** Only its owner may read it. */
const FILE_MODE = 0o600;

async function keysList(context: CliContext, options: ListOptions): Promise<number> {
  const { items } = await withAdminClient(context, options, (admin) =>
    admin.list<KeyDocument>(KEYS_PATH, {}, options.limit, context.signal),
  );
  const paint = paletteFor(context);
  if (options.json === true) writeJson(context, items);
  else
    writeTable(context, KEY_COLUMNS, items, ({ state }) =>
      state === undefined || state === 'active' ? undefined : paint.dim,
    );
  return EXIT.ok;
}

const KEY_COLUMNS: readonly Column<KeyDocument>[] = [
  { head: 'name', cell: ({ name }) => name, shrinks: true },
  { head: 'scopes', cell: ({ scopes }) => scopes.join(',') },
  { head: 'source', cell: ({ source }) => source ?? '' },
  { head: 'state', cell: ({ state }) => state ?? '' },
  { head: 'event ids', cell: ({ event_ids: isOn }) => (isOn === true ? 'yes' : '') },
  { head: 'created', cell: ({ created_at: at }) => seconds(at ?? '') },
  { head: 'expires', cell: ({ expires_at: at }) => seconds(at ?? '') },
  { head: 'old works until', cell: ({ previous_expires_at: at }) => seconds(at ?? '') },
];

function keysCreate(context: CliContext, name: string, options: CreateOptions): Promise<number> {
  return makeKey(context, options, { mayReplace: false }, (admin) =>
    admin.change<NewKey>(
      {
        method: 'POST',
        path: KEYS_PATH,
        body: {
          name,
          scopes: options.scope,
          ...(options.expires === undefined ? {} : { expires_at: options.expires }),
          ...(options.eventIds === true ? { event_ids: true } : {}),
          ...(options.reason === undefined ? {} : { reason: options.reason }),
        },
      },
      context.signal,
    ),
  );
}

function keysRotate(context: CliContext, name: string, options: RotateOptions): Promise<number> {
  return makeKey(context, options, { mayReplace: true }, (admin) =>
    admin.change<NewKey>(
      {
        method: 'POST',
        path: `${keyPath(name)}/rotate`,
        body: {
          overlap_seconds: Math.round(options.overlap / 1_000),
          ...(options.reason === undefined ? {} : { reason: options.reason }),
        },
      },
      context.signal,
    ),
  );
}

/** Has a key made, and gives it to the caller: in a file, in JSON, or alone on stdout. */
async function makeKey(
  context: CliContext,
  options: MakeOptions,
  { mayReplace }: { mayReplace: boolean },
  make: (admin: AdminClient) => Promise<NewKey>,
): Promise<number> {
  const file = options.out === undefined ? undefined : await KeyFile.open(options.out, mayReplace);
  let made: NewKey;
  try {
    made = await withAdminClient(context, options, make);
    await file?.keep(made.key);
  } finally {
    await file?.close();
  }
  const { stdout, stderr } = context.io;
  const { key, ...rest } = made;
  if (options.json === true) {
    writeJson(context, options.out === undefined ? made : { ...rest, file: options.out });
  } else if (options.out === undefined) {
    stdout.write(`${key}\n`);
  } else {
    stdout.write(`${options.out}\n`);
  }
  if (options.out === undefined) {
    stderr.write(
      'mutt: this is the only time that this key is shown; keep it where only its user can read it\n',
    );
  }
  const { previous_expires_at: until } = made;
  if (typeof until === 'string') stderr.write(`mutt: the old key works until ${seconds(until)}\n`);
  return EXIT.ok;
}

async function keysRevoke(context: CliContext, name: string, options: RevokeOptions): Promise<number> {
  await withAdminClient(context, options, (admin) =>
    admin.change<unknown>(
      { method: 'DELETE', path: keyPath(name), query: { reason: options.reason } },
      context.signal,
    ),
  );
  if (options.json === true) writeJson(context, { name, revoked: true });
  else context.io.stdout.write(`${name} is revoked: it is refused everywhere within a second\n`);
  return EXIT.ok;
}

function keyPath(name: string): string {
  return `${KEYS_PATH}/${encodeURIComponent(name)}`;
}

/** A file that appears under its name only when the key is in it. */
class KeyFile {
  readonly #path: string;
  readonly #draft: string;
  readonly #handle: FileHandle;

  private constructor(path: string, draft: string, handle: FileHandle) {
    this.#path = path;
    this.#draft = draft;
    this.#handle = handle;
  }

  /** Errors: E_FILE_EXISTS, E_FILE_UNWRITABLE. */
  static async open(path: string, mayReplace: boolean): Promise<KeyFile> {
    if (!mayReplace && (await exists(path))) {
      throw new CodedError('E_FILE_EXISTS', `${path} is there already, and may hold a key that is in use`, {
        mend: 'Give another --out, or move the file away.',
      });
    }
    const draft = `${path}.${process.pid}.draft`;
    try {
      return new KeyFile(path, draft, await open(draft, 'wx', FILE_MODE));
    } catch (thrown) {
      throw new CodedError('E_FILE_UNWRITABLE', `${path} cannot be written: ${codeOf(thrown)}`, {
        mend: 'Give an --out in a directory that you may write. No key was made.',
        cause: thrown,
      });
    }
  }

  async keep(key: string): Promise<void> {
    // The mode was given at the making, less what the umask takes: it can only be stricter.
    await this.#handle.writeFile(`${key}\n`);
    await this.#handle.sync();
    await rename(this.#draft, this.#path);
  }

  async close(): Promise<void> {
    await this.#handle.close();
    await rm(this.#draft, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

export function addKeys(program: Command, context: CliContext, acts: Acts): void {
  const keys = program.command('keys').description('list, create, rotate and revoke API keys');
  const withOut = (command: Command): Command =>
    withAdmin(command)
      .option('--reason <text>', 'why, for the audit of the change')
      .option('--out <path>', 'write the key to this file, for its owner alone, and not to stdout')
      .option('--json', 'print JSON, with the key unless --out is given');

  withAdmin(keys.command('list').description('list the keys by name: scopes, where they come from, expiry'))
    .option('--limit <n>', 'at most so many', wholeNumber(1, LIST_MAX), LIST_DEFAULT)
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt keys list']))
    .action(acts((options: ListOptions) => keysList(context, options)));
  withOut(
    keys
      .command('create')
      .description('make a key; it is shown once')
      .argument('<name>', 'what it is called'),
  )
    .requiredOption('--scope <scopes>', 'ingest, read, operate, admin; several with commas', words)
    .option(
      '--expires <when>',
      'when it ends: 90d, or a date (default: never)',
      futureMoment(() => context.clock.wallMs()),
    )
    .option('--event-ids', 'the id of an event says which one it is: sent again, it is stored once')
    .addHelpText(
      'after',
      examples([
        'mutt keys create relay-01 --scope ingest --expires 365d --out /etc/rsyslog.d/mutt.key',
        'mutt keys create grafana --scope read > grafana.key',
      ]),
    )
    .action(acts((name: string, options: CreateOptions) => keysCreate(context, name, options)));
  withOut(
    keys
      .command('rotate')
      .description('make a new value for a key; the old one works on for a time')
      .argument('<name>', 'its name'),
  )
    .option(
      '--overlap <time>',
      'how long the old one works on; 0s ends it now',
      duration(0, OVERLAP_MS_MAX),
      OVERLAP_MS_DEFAULT,
    )
    .addHelpText('after', examples(['mutt keys rotate relay-01 --overlap 2h --out relay-01.key']))
    .action(acts((name: string, options: RotateOptions) => keysRotate(context, name, options)));
  withAdmin(
    keys
      .command('revoke')
      .description('end a key now and for ever, on every node')
      .argument('<name>', 'its name'),
  )
    .option('--reason <text>', 'why, for the audit of the change')
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt keys revoke relay-01 --reason "laptop lost"']))
    .action(acts((name: string, options: RevokeOptions) => keysRevoke(context, name, options)));
}
