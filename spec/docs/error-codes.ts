/**
 * The error codes that the sources use and the ones that the page of error codes has rows for.
 */
import { isCode } from '../support/source-files.ts';
import type { SourceTree } from '../support/source-files.ts';

const FOLDERS = ['runtime/', 'actors/', 'gateways/', 'supervisors/'];
/** A prefix, such as `E_RULE_`, ends in an underscore and is no code. */
const QUOTED_CODE = /['"](E_[A-Z0-9_]*[A-Z0-9])['"]/g;
const ROW = /^\| `(E_[A-Z0-9_]+)`/gm;

/** In quotes, in code of the product's folders; sorted, each once. */
export function codesOfSources(tree: SourceTree): string[] {
  const codes = new Set<string>();
  for (const [path, text] of tree) {
    if (!isCode(path) || !FOLDERS.some((folder) => path.startsWith(folder))) continue;
    for (const [, code = ''] of text.matchAll(QUOTED_CODE)) codes.add(code);
  }
  return [...codes].sort();
}

/** First cells of table rows, in the order of the page. */
export function codesOfPage(page: string): string[] {
  return [...page.matchAll(ROW)].map(([, code = '']) => code);
}
