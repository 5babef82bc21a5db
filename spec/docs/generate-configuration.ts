/**
 * Writes docs/reference/configuration.md from the tables that the node itself reads its environment and its settings by.
 *
 *   node supervisors/bootstrap.mjs --run spec/docs/generate-configuration.ts
 *
 * A spec regenerates the page and compares. Invariant: the same tables always give the same page, byte for byte.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { SETTINGS, allowedValues } from '../../actors/settings.ts';
import type { Setting, SettingKey } from '../../actors/settings.ts';
import { SETTING_VARIABLES, STATIC_VARIABLES } from '../../supervisors/static-config.ts';

const PATH = fileURLToPath(new URL('../../docs/reference/configuration.md', import.meta.url));
const COMMAND = 'node supervisors/bootstrap.mjs --run spec/docs/generate-configuration.ts';

const INTRODUCTION = `<!-- Generated from supervisors/static-config.ts and actors/settings.ts by: ${COMMAND} -->

# Configuration

There are two kinds. The **environment** is what one node needs to start, read once. **Settings** are changed while the
nodes run, for all of them, and take effect within a second.

Rules, development hosts, teams, destinations and keys are neither: [rules](rules.md), [cli](cli.md) and
[http-api](http-api.md) say how to change them.

## Environment

A change takes effect at the next start. A value that is not allowed, and a variable that begins with \`MUTT_\` and is not
listed on this page, end the start with \`E_CONFIG_INVALID\`, which lists every fault and the nearest known name, and never
repeats a value. The three ports must differ. The commands read the same variables, to find their node.
`;

const SETTINGS_INTRODUCTION = `## Settings

In effect on a node is the value that was set; if none was, the variable of that node's environment, where there is one;
else the default. \`mutt config effective\` shows which, and which version each worker runs. Settings are kept in
PostgreSQL and, as part of the last good configuration, on the disk of each node: a node whose PostgreSQL is away starts
with those.

A value out of range is refused (\`E_SETTING_INVALID\`), and so is one that contradicts another
(\`E_SETTINGS_CONTRADICT\`):

- \`forward.retry.baseMs\` is at most \`forward.retry.delayMaxMs\`, and \`forward.breaker.baseMs\` at most
  \`forward.breaker.delayMaxMs\`;
- \`ingest.frame.eventsMax\` is at most \`mailbox.ingest.eventsMax\`, and \`match.batch.eventsMax\` at most
  \`mailbox.alert.alertsMax\`;
- \`rejects.key.rejectsMax\` is at most \`rejects.total.rejectsMax\`, and \`rejects.key.bytesMax\` at most
  \`rejects.total.bytesMax\`;
- \`pool.gateway.size\` times \`pool.ingest.size\` is at most 256.

[Tune pool sizes](../how-to/tune-pool-sizes.md) says when to change what.
`;

const NOTES = `### Notes

- Without \`MUTT_DATA_DIR\` the data are in \`var/\` of the clone; for root, when the clone lies below a directory that
  other users cannot pass through, in a directory of its own below \`/var/lib/mutt\`.
- With \`MUTT_ACK_LEVEL=written\` a Redis without an append-only file that is synced before every reply is taken too:
  what it acknowledged can be lost when its machine dies.
- \`MUTT_ACK_LEVEL=replicated\` needs a Redis of your own with replicas: [use your own
  Redis](../how-to/use-your-own-redis-and-postgresql.md#sentinel) has the form of the address, the settings, and what can
  still be lost.
- \`MUTT_PARTITIONS\` is remembered in Redis at the first start. Another number later is refused
  (\`E_PARTITIONS_CHANGED\`), since the events of a host would change their partition.
- What is in the files of \`MUTT_INGEST_TLS_…\` is looked at every few seconds; a restart is not needed.
  [Serve over TLS](../how-to/serve-over-tls.md) has the whole.
- With \`MUTT_LOG_TO=stdout\` the lines for people (where to post, how to stop) are left out.
- Two installations on one Redis need different \`MUTT_KEY_PREFIX\`.
- \`NODE_COMPILE_CACHE\` is Node's own: where compiled code is kept. The bootstrap sets it to \`cache/compile\` in the data
  directory unless it is set.
`;

/** The page as it must be. */
export async function configurationPage(): Promise<string> {
  const variables = table(
    ['variable', 'default', 'allowed', 'meaning'],
    Object.values(STATIC_VARIABLES).map(({ name, default: fallback, allowed, description }) => [
      `\`${name}\``,
      shown(fallback),
      allowed,
      description,
    ]),
  );
  const settings = table(
    ['setting', 'default', 'allowed', 'variable', 'meaning', 'who reacts'],
    SETTINGS.map((setting) => [
      `\`${setting.key}\``,
      shown(setting.default),
      inUnit(setting),
      variableOf(setting),
      setting.description,
      setting.reacts,
    ]),
  );
  const options = await resolveConfig(PATH);
  const page = [INTRODUCTION, variables, NOTES, SETTINGS_INTRODUCTION, settings].join('\n\n');
  return format(page, { ...options, parser: 'markdown' });
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [columns, columns.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function inUnit(setting: Setting): string {
  return setting.unit === null ? allowedValues(setting) : `${allowedValues(setting)} (${setting.unit})`;
}

function variableOf({ key }: Setting): string {
  const variable = SETTING_VARIABLES[key as SettingKey];
  return variable === undefined ? '' : `\`${variable}\``;
}

function shown(fallback: string | number | boolean | undefined): string {
  if (fallback === undefined) return '';
  if (typeof fallback === 'boolean') return fallback ? '`yes`' : '`no`';
  return `\`${fallback}\``;
}

const started = process.argv[1];
if (started !== undefined && pathToFileURL(started).href === import.meta.url) {
  writeFileSync(PATH, await configurationPage());
}
