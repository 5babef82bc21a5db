/**
 * Writes docs/reference/rules.schema.json, for editors, from the schema by which rules are checked.
 *
 *   node supervisors/bootstrap.mjs --run spec/docs/generate-rules-schema.ts
 *
 * A spec makes it again and compares. Invariant: the same schema always gives the same file, byte for byte.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { rulesFileSchema } from '../../actors/match/rules-file-schema.ts';

export const SCHEMA_PATH = fileURLToPath(new URL('../../docs/reference/rules.schema.json', import.meta.url));

export async function rulesSchemaText(): Promise<string> {
  const options = await resolveConfig(SCHEMA_PATH);
  return format(JSON.stringify(rulesFileSchema), { ...options, parser: 'json' });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(SCHEMA_PATH, await rulesSchemaText());
}
