/**
 * `mutt config`: the settings that can be changed while the node runs.
 */
import type { Command } from 'commander';
import { CodedError } from '../../runtime/errors.ts';
import type { AdminClient } from './admin-client.ts';
import type {
  ChangeDocument,
  EffectiveConfiguration,
  GuardDocument,
  SettingDocument,
  SettingValue,
} from './admin-documents.ts';
import { tellBehind, waitUntilInEffect } from './applied.ts';
import { CHANGE_COLUMNS } from './changes.ts';
import { duration, examples, fraction, wholeNumber, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { table, writeJson, writeTable } from './table.ts';
import type { Column } from './table.ts';
import { count, paletteFor, printable } from './terminal-text.ts';

interface ShowOptions extends AdminOptions {
  json?: boolean;
}
interface ListOptions extends ShowOptions {
  set?: boolean;
}
interface HistoryOptions extends ShowOptions {
  limit: number;
}
interface ChangeOptions extends ShowOptions {
  reason?: string;
  ifVersion?: number;
}
interface SetOptions extends ChangeOptions {
  /** ms. */
  guard?: number;
  /** Of 1. */
  errorRateMax?: number;
  /** ms. */
  p99Max?: number;
}
interface RollbackOptions extends ChangeOptions {
  toVersion?: number;
}

const SETTINGS_MAX = 1_000;
const HISTORY_DEFAULT = 20;
const HISTORY_MAX = 10_000;
const VERSION_MAX = 2_147_483_647;
const GUARD_MS_MAX = 86_400_000;
const P99_MS_MAX = 3_600_000;

async function configList(context: CliContext, options: ListOptions): Promise<number> {
  const { items } = await withAdminClient(context, options, (admin) =>
    admin.list<SettingDocument>('/api/v2/config', {}, SETTINGS_MAX, context.signal),
  );
  const shown = items.filter(({ source }) => options.set !== true || source === 'set');
  if (options.json === true) {
    writeJson(context, shown);
    return EXIT.ok;
  }
  const paint = paletteFor(context);
  writeTable(context, SETTING_COLUMNS, shown, ({ source }) => (source === 'set' ? paint.cyan : undefined));
  return EXIT.ok;
}

const SETTING_COLUMNS: readonly Column<SettingDocument>[] = [
  { head: 'key', cell: ({ key }) => key, shrinks: true },
  { head: 'value', cell: ({ value }) => String(value), align: 'right' },
  { head: 'unit', cell: ({ unit }) => unit ?? '' },
  { head: 'source', cell: ({ source }) => source },
  { head: 'default', cell: (setting) => String(setting.default), align: 'right' },
  { head: 'version', cell: ({ version }) => String(version), align: 'right' },
  { head: 'changed by', cell: ({ updated_by: by }) => by ?? '', shrinks: true },
];

async function configGet(context: CliContext, key: string, options: ShowOptions): Promise<number> {
  const setting = await withAdminClient(context, options, (admin) => readSetting(context, admin, key));
  if (options.json === true) writeJson(context, setting);
  else context.io.stdout.write(`${settingLines(setting).join('\n')}\n`);
  return EXIT.ok;
}

function settingLines(setting: SettingDocument): string[] {
  const rows: [name: string, value: string][] = [
    [setting.key, withUnit(setting.value, setting)],
    ['source', setting.source],
    ['default', withUnit(setting.default, setting)],
    ['allowed', allowedText(setting)],
    ['version', String(setting.version)],
    ['changed', [setting.updated_at, setting.updated_by].filter(Boolean).join(' by ')],
    ['guard', guardText(setting.guard ?? undefined)],
    ['meaning', setting.description ?? ''],
    ['takes effect', setting.reacts ?? ''],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`);
}

/** What the node watches, and what it would go back to. */
function guardText(guard: GuardDocument | undefined): string {
  if (guard === undefined) return '';
  const errorRate = guard.error_rate_max ?? undefined;
  const p99Ms = guard.latency_p99_ms_max ?? undefined;
  const limits = [
    ...(errorRate === undefined ? [] : [`more than ${errorRate * 100} % of requests fail`]),
    ...(p99Ms === undefined ? [] : [`the p99 is over ${p99Ms} ms`]),
  ];
  const before = guard.previous_value ?? 'the default';
  return `until ${guard.until}; back to ${String(before)} when ${limits.join(' or ')}`;
}

function allowedText({ type, minimum, maximum, choices }: SettingDocument): string {
  if (choices !== undefined) return choices.join(', ');
  if (minimum === undefined || maximum === undefined) return type;
  return `${type} from ${minimum} to ${maximum}`;
}

async function configEffective(context: CliContext, options: ShowOptions): Promise<number> {
  const effective = await withAdminClient(context, options, (admin) =>
    admin.read<EffectiveConfiguration>('/api/v2/config/effective', {}, context.signal),
  );
  const behind = effective.workers.filter(({ version }) => version < effective.snapshot_version);
  if (options.json === true) {
    writeJson(context, effective);
  } else {
    const paint = paletteFor(context);
    const { stdout, isTTY, columns } = context.io;
    writeTable(
      context,
      [
        { head: 'key', cell: ([key]) => key, shrinks: true },
        { head: 'value', cell: ([, value]) => String(value), align: 'right' },
      ],
      Object.entries(effective.settings),
    );
    const workers = table(
      [
        { head: 'worker', cell: ({ worker }) => worker, shrinks: true },
        { head: 'version', cell: ({ version }) => String(version), align: 'right' },
        {
          head: 'state',
          cell: ({ version }) => (version < effective.snapshot_version ? 'behind' : 'in force'),
        },
      ],
      effective.workers,
      { width: isTTY ? columns : undefined, bold: paint.bold },
    );
    stdout.write(`\nversion ${effective.snapshot_version} is the latest\n${workers.join('\n')}\n`);
  }
  return behind.length === 0 ? EXIT.ok : EXIT.notGood;
}

async function configSet(
  context: CliContext,
  key: string,
  text: string,
  options: SetOptions,
): Promise<number> {
  const guard = guardOf(options);
  return withAdminClient(context, options, async (admin) => {
    const before = await readSetting(context, admin, key);
    const changed = admin.change<SettingDocument>(
      {
        method: 'PUT',
        path: settingPath(key),
        ifVersion: options.ifVersion ?? before.version,
        body: { value: parseValue(text, before.type), ...reasonOf(options), ...guard },
      },
      context.signal,
    );
    const code = await tellChanged(context, admin, before, changed, options);
    if (guard.guard !== undefined && options.json !== true) {
      context.io.stderr.write(
        `guarded for ${guard.guard.watch_seconds} s: the node goes back by itself when it gets worse than allowed; ` +
          `\`mutt config history ${key}\` tells\n`,
      );
    }
    return code;
  });
}

/** The body's part about the guard. Throws `E_USAGE`. */
function guardOf({ guard, errorRateMax, p99Max }: SetOptions): { guard?: { watch_seconds: number } } {
  if (guard === undefined) {
    if (errorRateMax === undefined && p99Max === undefined) return {};
    throw new CodedError('E_USAGE', '--error-rate-max and --p99-max are limits of a guard', {
      mend: 'Say with --guard how long to watch them, for example --guard 60s.',
    });
  }
  const limits = {
    ...(errorRateMax === undefined ? {} : { error_rate_max: errorRateMax }),
    ...(p99Max === undefined ? {} : { latency_p99_ms_max: p99Max }),
  };
  if (Object.keys(limits).length === 0) {
    throw new CodedError('E_USAGE', 'a guard needs to know what is too bad', {
      mend: 'Give --error-rate-max, --p99-max or both.',
    });
  }
  return { guard: { watch_seconds: guard / 1_000, ...limits } };
}

async function configUnset(context: CliContext, key: string, options: ChangeOptions): Promise<number> {
  return withAdminClient(context, options, async (admin) => {
    const before = await readSetting(context, admin, key);
    if (before.source !== 'set' && options.ifVersion === undefined) {
      if (options.json === true) writeJson(context, { ...before, changed: false });
      else
        context.io.stdout.write(`${key} is not set: ${withUnit(before.value, before)} (${before.source})\n`);
      return EXIT.ok;
    }
    const changed = admin.change<SettingDocument>(
      {
        method: 'DELETE',
        path: settingPath(key),
        ifVersion: options.ifVersion ?? before.version,
        query: { reason: options.reason },
      },
      context.signal,
    );
    return tellChanged(context, admin, before, changed, options);
  });
}

async function configRollback(context: CliContext, key: string, options: RollbackOptions): Promise<number> {
  return withAdminClient(context, options, async (admin) => {
    const before = await readSetting(context, admin, key);
    const changed = admin.change<SettingDocument>(
      {
        method: 'POST',
        path: `${settingPath(key)}/rollback`,
        ifVersion: options.ifVersion ?? before.version,
        body: {
          ...reasonOf(options),
          ...(options.toVersion === undefined ? {} : { to_version: options.toVersion }),
        },
      },
      context.signal,
    );
    return tellChanged(context, admin, before, changed, options);
  });
}

/** Waits until the change that is being sent is in force, and says what it was. Gives the exit code. */
async function tellChanged(
  context: CliContext,
  admin: AdminClient,
  before: SettingDocument,
  sending: Promise<SettingDocument>,
  options: ShowOptions,
): Promise<number> {
  const sinceMs = context.clock.monotonicMs();
  const after = await sending;
  const applied = await waitUntilInEffect(context, admin, after, sinceMs);
  const { behind, tookMs } = applied;
  if (options.json === true) {
    writeJson(context, { ...after, applied_everywhere: behind.length === 0, behind });
  } else {
    const { stdout } = context.io;
    const source = after.source === 'set' ? `version ${after.version}` : after.source;
    stdout.write(`${before.key}: ${String(before.value)} -> ${withUnit(after.value, after)} (${source})\n`);
    if (behind.length === 0) stdout.write(`in force on every worker after ${count(tookMs)} ms\n`);
  }
  return tellBehind(context, applied);
}

async function configHistory(context: CliContext, key: string, options: HistoryOptions): Promise<number> {
  const { items } = await withAdminClient(context, options, async (admin) => {
    await readSetting(context, admin, key);
    const query = { resource: 'settings', record_key: key };
    return admin.list<ChangeDocument>('/api/v2/config-audit', query, options.limit, context.signal);
  });
  if (options.json === true) writeJson(context, items);
  else writeTable(context, CHANGE_COLUMNS, items);
  return EXIT.ok;
}

function readSetting(context: CliContext, admin: AdminClient, key: string): Promise<SettingDocument> {
  return admin.read<SettingDocument>(settingPath(key), {}, context.signal);
}

function settingPath(key: string): string {
  return `/api/v2/config/${encodeURIComponent(key)}`;
}

function reasonOf({ reason }: ChangeOptions): { reason?: string } {
  return reason === undefined ? {} : { reason };
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  false: false,
  no: false,
  off: false,
};

/** As the setting's type wants it; what does not fit goes as text, for the node to say what is wrong with it. */
function parseValue(text: string, type: string): SettingValue {
  if (type === 'boolean') return BOOLEANS[text] ?? text;
  if (type !== 'integer' && type !== 'number') return text;
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

function withUnit(value: SettingValue, { unit }: SettingDocument): string {
  return `${String(value)} ${unit ?? ''}`.trimEnd();
}

export function addConfig(program: Command, context: CliContext, acts: Acts): void {
  const config = program.command('config').description('show and change the settings of the running node');
  const withReason = (command: Command): Command =>
    withAdmin(command)
      .option('--reason <text>', 'why, for the audit of the change')
      .option('--if-version <n>', 'only if it has this version now', wholeNumber(0, VERSION_MAX))
      .option('--json', 'print JSON');

  withAdmin(
    config.command('list').description('list all settings with their values and where these come from'),
  )
    .option('--set', 'only those that were set')
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt config list', 'mutt config list --set --json']))
    .action(acts((options: ListOptions) => configList(context, options)));
  withAdmin(
    config
      .command('get')
      .description('show one setting with all that is known of it')
      .argument('<key>', 'its name'),
  )
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt config get pool.match.size']))
    .action(acts((key: string, options: ShowOptions) => configGet(context, key, options)));
  withAdmin(
    config.command('effective').description('show what is in effect, and which version each worker runs'),
  )
    .option('--json', 'print JSON')
    .addHelpText('after', `${examples(['mutt config effective'])}\nExit code: 1 when a worker is behind.\n`)
    .action(acts((options: ShowOptions) => configEffective(context, options)));
  withReason(
    config
      .command('set')
      .description('set a value for the whole installation, and wait until every worker has it')
      .argument('<key>', 'name of the setting')
      .argument('<value>', 'its new value'),
  )
    .option(
      '--guard <time>',
      'watch the node for so long, and go back when it gets worse',
      duration(1_000, GUARD_MS_MAX),
    )
    .option('--error-rate-max <part>', 'with --guard: the most requests that may fail, such as 1%', fraction)
    .option(
      '--p99-max <time>',
      'with --guard: the most that 99 % of requests may take',
      duration(1, P99_MS_MAX),
    )
    .addHelpText(
      'after',
      examples([
        'mutt config set pool.match.size 4 --reason "CHG-1234"',
        'mutt config set match.batch.eventsMax 4000 --guard 60s --error-rate-max 1% --p99-max 200ms',
      ]) +
        '\nExit code: 0 in force on every worker, 1 refused or not in force yet, 2 wrong call, 3 no node.\n',
    )
    .action(
      acts((key: string, value: string, options: SetOptions) => configSet(context, key, value, options)),
    );
  withReason(
    config
      .command('unset')
      .description('go back to the default of each node')
      .argument('<key>', 'name of the setting'),
  )
    .addHelpText('after', examples(['mutt config unset pool.match.size']))
    .action(acts((key: string, options: ChangeOptions) => configUnset(context, key, options)));
  withAdmin(
    config
      .command('history')
      .description('list the changes of a setting, newest first')
      .argument('<key>', 'name of the setting'),
  )
    .option('--limit <n>', 'at most so many', wholeNumber(1, HISTORY_MAX), HISTORY_DEFAULT)
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt config history pool.match.size']))
    .action(acts((key: string, options: HistoryOptions) => configHistory(context, key, options)));
  withReason(
    config
      .command('rollback')
      .description('set the value that was before the last change, or that of a version')
      .argument('<key>', 'name of the setting'),
  )
    .option('--to-version <n>', 'the value that this version had', wholeNumber(1, VERSION_MAX))
    .addHelpText(
      'after',
      examples(['mutt config rollback pool.match.size', 'mutt config rollback log.level --to-version 3']),
    )
    .action(acts((key: string, options: RollbackOptions) => configRollback(context, key, options)));
}
