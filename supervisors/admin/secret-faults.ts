/** Destinations whose credential would lie where no node may read one: told when they are saved, not when they are used. */
import type { Destination } from '../../actors/ports.ts';
import { isSecretPlace } from '../../gateways/secrets/secret-source.ts';
import type { SecretPlaces } from '../../gateways/secrets/secret-source.ts';
import { CodedError } from '../../runtime/errors.ts';

/** Errors: `code` with `details.faults`. `fieldOf` names the field of the destination at an index. */
export function requireSecretPlaces(
  destinations: readonly Destination[],
  places: SecretPlaces,
  code: string,
  fieldOf: (index: number) => string,
): void {
  const faults = destinations.flatMap(({ secretRef }, index) => {
    if (secretRef?.startsWith('file:') !== true) return [];
    if (isSecretPlace(places, secretRef.slice('file:'.length))) return [];
    const mend = `Put the file into ${places.directory}, or name another directory in MUTT_SECRETS_DIR of every node.`;
    return [{ field: fieldOf(index), why: 'is not in the directory of secrets', mend }];
  });
  if (faults.length === 0) return;
  const lines = faults.map(({ field, why, mend }) => `${field} ${why}. ${mend}`);
  throw new CodedError(code, lines.join('\n'), { details: { faults } });
}
