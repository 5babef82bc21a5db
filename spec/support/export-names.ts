/** The names that a module of re-exports gives out, types included. */
import ts from 'typescript';

/** In the order of the text. Errors: throws when it exports anything that is not named (`export *`). */
export function exportNames(path: string, text: string): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, false);
  return source.statements.filter(ts.isExportDeclaration).flatMap(({ exportClause }) => {
    if (exportClause === undefined || !ts.isNamedExports(exportClause)) {
      throw new Error(`${path} exports what it does not name`);
    }
    return exportClause.elements.map(({ name }) => name.text);
  });
}
