/** The bounds of rejects as settings say, for everybody who parks or evicts them. */
import type { Settings } from '../actors/settings.ts';
import type { RejectBounds } from '../gateways/postgres/reject-bounds.ts';

export function rejectBounds(settings: Settings): RejectBounds {
  return {
    keyRowsMax: settings['rejects.key.rejectsMax'],
    keyBytesMax: settings['rejects.key.bytesMax'],
    totalRowsMax: settings['rejects.total.rejectsMax'],
    totalBytesMax: settings['rejects.total.bytesMax'],
  };
}
