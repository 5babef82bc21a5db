import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { BinaryRows } from '../../../gateways/postgres/copy-in.ts';
import { migrationsIn, statement } from '../../../gateways/postgres/sql-files.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const ROOT = new URL('../../../', import.meta.url);
const GATEWAY = new URL('gateways/postgres/', ROOT);
const QUERIES = new URL('sql/queries/', ROOT);
const queryNames = readdirSync(QUERIES).map((file) => file.replace(/\.sql$/, ''));
const sources = readdirSync(GATEWAY).map((file) => readFileSync(new URL(file, GATEWAY), 'utf8'));

describe('SQL files', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  it('are each used by a gateway, and each statement a gateway uses is there', () => {
    const used = new Set<string>();
    for (const source of sources) {
      for (const [, name] of source.matchAll(/'((?:[a-z0-9]+_)+[a-z0-9]+)'/g)) {
        if (name !== undefined && queryNames.includes(name)) used.add(name);
      }
      for (const [, name] of source.matchAll(/\.rows?(?:<[^(]*>)?\(\s*'(\w+)'/g)) {
        expect(queryNames).to.include(name);
      }
    }
    expect([...used].sort()).to.deep.equal([...queryNames].sort());
  });

  it('are the only place with SQL', () => {
    for (const source of sources) {
      expect(source).not.to.match(/['"`]\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|SET|LOCK)\s/);
    }
  });

  for (const name of queryNames) {
    it(`${name} opens with its header, names its parameters and says its rows`, () => {
      const text = readFileSync(new URL(`${name}.sql`, QUERIES), 'utf8');
      const header = /^(?:--.*\n)+/.exec(text)?.[0] ?? '';
      expect(header).to.contain('Rows: ');
      const parameters = new Set(
        [...text.slice(header.length).matchAll(/\$(\d+)/g)].map((match) => match[1]),
      );
      for (const parameter of parameters) {
        const isNamed = header.includes(`$${parameter}`) || /\$\d+ to \$\d+/.test(header);
        expect(isNamed, `$${parameter}`).to.equal(true);
      }
      expect(text).not.to.match(/;\s*$/);
    });
  }

  describe('statement', () => {
    let database: OwnDatabase;
    before(async () => {
      database = await ownDatabase();
    });
    after(() => database.drop());

    it('is accepted by a migrated database, every one', async () => {
      for (const name of queryNames.filter((query) => query !== 'create_schema_migrations')) {
        const { text } = statement(name).parse() as { text: string };
        // COPY cannot be prepared; so it is run, without a row.
        if (text.startsWith('COPY')) await database.connection.copyIn(name, new BinaryRows(0).end());
        else await database.sql(`PREPARE ${name} AS ${text}`);
      }
    });

    it('is a defect when its file is missing', () => {
      expect(() => statement('no_such_statement'))
        .to.throw('no_such_statement')
        .with.property('kind', 'defect');
    });
  });

  describe('migrationsIn', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mutt-spec-migrations-'));
    after(() => rmSync(folder, { recursive: true }));

    it('gives a checkout with CRLF the same checksum', () => {
      writeFileSync(join(folder, '0001_first.sql'), 'SELECT 1;\nSELECT 2;\n');
      const [unix] = migrationsIn(folder);
      writeFileSync(join(folder, '0001_first.sql'), 'SELECT 1;\r\nSELECT 2;\r\n');
      const [windows] = migrationsIn(folder);
      expect(unix?.checksum).to.match(/^[0-9a-f]{64}$/);
      expect(windows).to.deep.equal(unix);
    });

    it('refuses a gap in the numbers', () => {
      writeFileSync(join(folder, '0003_third.sql'), 'SELECT 3;');
      expect(() => migrationsIn(folder))
        .to.throw('0003_third.sql')
        .with.property('code', 'E_MIGRATION_NAME');
    });
  });
});
