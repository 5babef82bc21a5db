/**
 * The SQL of `sql/`, by name: statements as prepared statements, migrations as texts in order.
 *
 * Files are read once per process. Nothing here connects to a server. Invariant: a statement's name is its file's name,
 * so what a server reports leads to the file.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pgPromise from 'pg-promise';
import { CodedError } from '../../runtime/errors.ts';

const SQL = fileURLToPath(new URL('../../sql', import.meta.url));
const MIGRATION_FILE = /^(\d{4})_([a-z0-9_]+)\.sql$/;

const statements = new Map<string, pgPromise.PreparedStatement>();

/** The statement in `sql/queries/<name>.sql`. Errors: E_STATEMENT_MISSING. */
export function statement(name: string): pgPromise.PreparedStatement {
  const known = statements.get(name);
  if (known !== undefined) return known;
  const path = `${SQL}/queries/${name}.sql`;
  if (!existsSync(path)) {
    throw new CodedError('E_STATEMENT_MISSING', `sql/queries/${name}.sql is missing`, { kind: 'defect' });
  }
  const file = new pgPromise.QueryFile(path, { minify: true, noWarnings: true });
  const prepared = new pgPromise.PreparedStatement({ name, text: file });
  statements.set(name, prepared);
  return prepared;
}

export interface Migration {
  number: number;
  name: string;
  text: string;
  /** SHA-256 of the text in hex, with LF line ends: a checkout with CRLF is the same migration. */
  checksum: string;
}

/** The migrations of a folder, by default ours, in order. Errors: E_MIGRATION_NAME. */
export function migrationsIn(folder = `${SQL}/migrations`): Migration[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.sql'));
  return files.sort().map((file, index) => {
    const [, digits, name] = MIGRATION_FILE.exec(file) ?? [];
    if (name === undefined || Number(digits) !== index + 1) {
      throw new CodedError('E_MIGRATION_NAME', `${file} is not migration ${index + 1}`, {
        kind: 'defect',
        mend: 'Name it NNNN_what_it_does.sql, numbered without gaps.',
      });
    }
    const text = readFileSync(`${folder}/${file}`, 'utf8').replaceAll('\r\n', '\n');
    const checksum = createHash('sha256').update(text).digest('hex');
    return { number: index + 1, name, text, checksum };
  });
}
