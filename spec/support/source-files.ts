/**
 * The project's files as the architecture and tidy specs see them: path, text, and what each imports.
 *
 * A tree is a plain map, so that a spec can check the checkers on planted files. Paths are relative to the clone and
 * use `/`. Invariant: an import that names a file of ours is resolved to its path, whether static, dynamic, type-only
 * or a `new URL('x.ts', import.meta.url)`.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export type SourceTree = ReadonlyMap<string, string>;

export interface Import {
  /** A path of ours, or the bare name: `node:fs`, `ioredis`, `@scope/name`. */
  target: string;
  isOurs: boolean;
  isTypeOnly: boolean;
  /** `url` starts a thread or a process with the file: no module cycle comes of it. */
  kind: 'static' | 'dynamic' | 'url';
}

const UNSEEN = new Set(['node_modules', 'var', 'coverage', '.git']);
const CODE = /\.(ts|mjs|mts)$/;
const SHOWN = /\.(ts|mjs|mts|js|sql|md|json|ya?ml|service|sh)$/;

/** Every text file of the clone. */
export function readTree(): SourceTree {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const tree = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (UNSEEN.has(entry.name)) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (SHOWN.test(entry.name) && path !== 'package-lock.json') {
        tree.set(path, readFileSync(join(root, path), 'utf8'));
      }
    }
  };
  visit('.');
  return tree;
}

export function isCode(path: string): boolean {
  return CODE.test(path) && path.includes('/');
}

/** What every code file of the tree imports. */
export function importsOf(tree: SourceTree): Map<string, Import[]> {
  const found = new Map<string, Import[]>();
  for (const [path, text] of tree) if (isCode(path)) found.set(path, importsIn(path, text));
  return found;
}

function importsIn(path: string, text: string): Import[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, false);
  const imports: Import[] = [];
  const add = (specifier: ts.Node | undefined, kind: Import['kind'], isTypeOnly: boolean): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const name = specifier.text;
    const isOurs = name.startsWith('.') || (kind === 'url' && !name.includes(':'));
    if (kind === 'url' && (!isOurs || !CODE.test(name))) return;
    imports.push({
      target: isOurs ? join(dirname(path), name) : packageOf(name),
      isOurs,
      isTypeOnly,
      kind,
    });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, 'static', node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, 'static', node.isTypeOnly);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], 'dynamic', false);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, 'static', true);
    } else if (
      ts.isNewExpression(node) &&
      ts.isIdentifier(node.expression) &&
      node.expression.text === 'URL'
    ) {
      add(node.arguments?.[0], 'url', false);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return imports;
}

function packageOf(name: string): string {
  if (name.startsWith('node:')) return name;
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}
