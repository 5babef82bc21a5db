/** Where this node may read the credentials of destinations. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { SecretPlaces } from '../gateways/secrets/secret-source.ts';
import type { NodeKeys } from './node-keys.ts';
import type { StaticConfig } from './static-config.ts';

/** The directory that is configured, else `secrets` in the data directory, which is made; and the key of the local sink. */
export function secretPlaces(
  { secretsDir }: Pick<StaticConfig, 'secretsDir'>,
  dataDir: string,
  keys: Pick<NodeKeys, 'files'>,
): SecretPlaces {
  const own = join(dataDir, 'secrets');
  if (secretsDir === undefined) mkdirSync(own, { recursive: true, mode: 0o700 });
  return { directory: secretsDir ?? own, files: [keys.files.sink] };
}

/** The beat's address is the node's own configuration and nobody's at the API: its file may be anywhere. */
export function withBeatFile(places: SecretPlaces, beatUrl: string | undefined): SecretPlaces {
  const file = /^file:(.+)$/s.exec(beatUrl ?? '')?.[1];
  return file === undefined ? places : { ...places, files: [...places.files, file] };
}
