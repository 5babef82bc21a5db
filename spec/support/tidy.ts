/**
 * The house rules that a machine can check, as functions over a tree of files.
 *
 * Each gives one line per breach, naming the file. They read text and know nothing of meaning: what needs judgement is
 * for a reviewer. Invariant: a rule that finds nothing on the project finds something on the planted files of its spec.
 */
import { dirname, join, normalize } from 'node:path/posix';
import { importsOf, isCode } from './source-files.ts';
import type { SourceTree } from './source-files.ts';

const LINES_MAX = 500;

/** Files that are started and not imported. Every spec file is one, too. */
const ENTRY_POINTS = [
  'supervisors/bootstrap.mjs',
  'supervisors/mutt.ts',
  'spec/run.ts',
  'bench/run.ts',
  'spec/faults/run.ts',
  'docs/examples/stock-exchange/main.ts',
  // What the runtime would publish, were it a package of its own.
  'runtime/index.ts',
];

/** Numbers that count things need no unit; every other number has one. */
const COUNTS = new Set(['gateways', 'ingestThreads', 'matchThreads', 'forwardThreads', 'partitions']);
const UNITS = /(Ms|Bytes|Port|Percent|PerSecond|Ratio|Count|Max|Min)$/;

/** Words in pieces, so that this file does not find itself. */
const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`);
const ALONE_OR_SKIPPED =
  /\b(describe|it|context|specify|suite|test)\s*\.\s*(only|skip)\b|\bx(it|describe|context)\s*\(|\bthis\.skip\(/;

const STATEMENTS_PATH = 'docs/reference/runtime-semantics.md';

export function unfinishedWords(tree: SourceTree): string[] {
  return linesOf(tree, () => true)
    .filter(({ line }) => UNFINISHED.test(line))
    .map(({ where, line }) => `${where} says ${UNFINISHED.exec(line)?.[1]}`);
}

export function aloneOrSkipped(tree: SourceTree): string[] {
  return linesOf(tree, (path) => path.startsWith('spec/') && isCode(path))
    .filter(({ line }) => ALONE_OR_SKIPPED.test(line.replaceAll(/(['"`]).*?\1/g, "''")))
    .map(({ where }) => `${where} runs a spec alone or skips one`);
}

export function orphans(tree: SourceTree): string[] {
  const imported = new Set(
    [...importsOf(tree).values()].flat().flatMap(({ target, isOurs }) => (isOurs ? [target] : [])),
  );
  return [...tree.keys()]
    .filter((path) => isCode(path) && !/\.spec\.ts$|\.d\.mts$/.test(path) && !ENTRY_POINTS.includes(path))
    .filter((path) => !imported.has(path))
    .map((path) => `${path} is imported by nothing and is no entry point`);
}

export function tooLong(tree: SourceTree): string[] {
  return [...tree]
    .filter(([path]) => isCode(path))
    .map(([path, text]) => ({ path, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ path, lines }) => `${path} has ${lines} lines; ${LINES_MAX} are allowed`);
}

/** Takes the fields of a configuration with their defaults. */
export function unitlessNumbers(fields: Record<string, { default: unknown }>): string[] {
  return Object.entries(fields)
    .filter(([, field]) => typeof field.default === 'number')
    .filter(([name]) => !UNITS.test(name) && !COUNTS.has(name))
    .map(([name]) => `the configuration field ${name} is a number without a unit`);
}

export function headings(tree: SourceTree): string[] {
  return markdown(tree).flatMap(([path, text]) => {
    const count = withoutCode(text)
      .split('\n')
      .filter((line) => /^# /.test(line)).length;
    return count === 1 ? [] : [`${path} has ${count} first-level headings instead of one`];
  });
}

export function deadLinks(tree: SourceTree): string[] {
  const folders = new Set([...tree.keys()].flatMap(ancestorsOf));
  return markdown(tree).flatMap(([path, text]) =>
    [...withoutCode(text).matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)]
      .map((match) => decodeURI(match[1] ?? ''))
      .filter((link) => !/^([a-z]+:|#|\/\/)/i.test(link))
      .filter((link) => {
        const target = normalize(join(dirname(path), link.replace(/#.*$/, ''))).replace(/\/$/, '');
        return !tree.has(target) && !folders.has(target) && !EXTRA_FILES.has(target);
      })
      .map((link) => `${path} links to ${link}, which does not exist`),
  );
}

/** Files that the tree does not show since they have no ending. */
const EXTRA_FILES = new Set(['LICENSE', '.ci/run', 'Containerfile']);

/** Every numbered statement is cited by a spec, and every citation names a statement. */
export function unmatchedStatements(tree: SourceTree): string[] {
  const stated = numbersIn(tree.get(STATEMENTS_PATH) ?? '', /\bS-(\d+)\b/g);
  const cited = new Map<string, string>();
  for (const [path, text] of tree) {
    if (!path.endsWith('.spec.ts') || path === 'spec/tidy.spec.ts') continue;
    for (const number of numbersIn(text, /\[S-(\d+)\]/g)) cited.set(number, path);
  }
  return [
    ...[...stated]
      .filter((number) => !cited.has(number))
      .map((number) => `${STATEMENTS_PATH} states S-${number}, which no spec cites`),
    ...[...cited]
      .filter(([number]) => !stated.has(number))
      .map(([number, path]) => `${path} cites S-${number}, which ${STATEMENTS_PATH} does not state`),
  ];
}

function numbersIn(text: string, pattern: RegExp): Set<string> {
  return new Set([...text.matchAll(pattern)].flatMap((match) => match[1] ?? []));
}

function markdown(tree: SourceTree): [string, string][] {
  return [...tree].filter(([path]) => path.endsWith('.md'));
}

function withoutCode(text: string): string {
  return text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '').replaceAll(/`[^`\n]*`/g, '');
}

function ancestorsOf(path: string): string[] {
  const folder = dirname(path);
  return folder === '.' ? ['.'] : [folder, ...ancestorsOf(folder)];
}

function linesOf(tree: SourceTree, isWanted: (path: string) => boolean): { where: string; line: string }[] {
  return [...tree]
    .filter(([path]) => isWanted(path))
    .flatMap(([path, text]) =>
      text.split('\n').map((line, index) => ({ where: `${path}:${index + 1}`, line })),
    );
}
