/**
 * Writes docs/reference/configuration.md from the table that the node itself reads its environment by.
 *
 *   node supervisors/bootstrap.mjs --run spec/docs/generate-configuration.ts
 *
 * A spec regenerates the page and compares. Invariant: the same table always gives the same page, byte for byte.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { STATIC_VARIABLES } from '../../supervisors/static-config.ts';

const PATH = fileURLToPath(new URL('../../docs/reference/configuration.md', import.meta.url));
const COMMAND = 'node supervisors/bootstrap.mjs --run spec/docs/generate-configuration.ts';

const INTRODUCTION = `<!-- Generated from supervisors/static-config.ts by: ${COMMAND} -->

# Configuration

A node reads these variables from its environment when it starts; a change takes effect at the next start. A value that
is not allowed, and a variable that begins with \`MUTT_\` and is not listed here, end the start with \`E_CONFIG_INVALID\`,
which lists every fault and the nearest known name, and never repeats a value. The three ports must differ. The commands
read the same variables, to find their node.

Rules, development hosts, teams and destinations are no variables: [rules](rules.md) and [cli](cli.md) say how to set
them.
`;

const NOTES = `## Notes

- Without \`MUTT_DATA_DIR\` the data are in \`var/\` of the clone; for root, when the clone lies below a directory that
  other users cannot pass through, in a directory of its own below \`/var/lib/mutt\`.
- With \`MUTT_ACK_LEVEL=written\` a Redis without an append-only file that is synced before every reply is taken too:
  what it acknowledged can be lost when its machine dies. The private Redis always syncs.
- \`MUTT_PARTITIONS\` is remembered in Redis at the first start. Another number later is refused
  (\`E_PARTITIONS_CHANGED\`), since the events of a host would change their partition.
- With \`MUTT_LOG_TO=stdout\` the lines for people (where to post, how to stop) are left out.
- Two installations on one Redis need different \`MUTT_KEY_PREFIX\`.
- \`NODE_COMPILE_CACHE\` is Node's own: where compiled code is kept. The bootstrap sets it to \`cache/compile\` in the data
  directory unless it is set.
`;

/** The page as it must be. */
export async function configurationPage(): Promise<string> {
  const rows = Object.values(STATIC_VARIABLES).map(
    ({ name, default: fallback, allowed, description }) =>
      `| \`${name}\` | ${shown(fallback)} | ${allowed} | ${description} |`,
  );
  const table = ['| variable | default | allowed | meaning |', '| --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
  const options = await resolveConfig(PATH);
  return format(`${INTRODUCTION}\n${table}\n\n${NOTES}`, { ...options, parser: 'markdown' });
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
