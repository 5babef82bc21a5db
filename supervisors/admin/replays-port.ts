/**
 * Replays of dead letters, for the API. What is asked for is written down in PostgreSQL; the remediation threads do it,
 * whether this process lives or not.
 */
import { randomBytes } from 'node:crypto';
import type { ReplaysPort } from '../../gateways/admin/admin-port.ts';
import type { PostgresLetterOperations } from '../../gateways/postgres/letter-operations.ts';
import { authorOf, listed } from './documents.ts';
import { operationDocument } from './letter-documents.ts';

export interface ReplaysPortOptions {
  letters: PostgresLetterOperations;
  /** Names of those that alerts are sent to. */
  destinations: () => readonly string[];
}

const PREVIEW_ITEMS_MAX = 200;

export function replaysPort({ letters, destinations }: ReplaysPortOptions): ReplaysPort {
  return {
    preview: async (selection) => {
      const preview = await letters.preview(
        { ...selection, destinations: destinations() },
        PREVIEW_ITEMS_MAX,
      );
      return {
        letters: preview.letters,
        superseded: preview.supersededLetters,
        items: preview.items.map(({ id, destination, reason, isSuperseded }) => ({
          id,
          destination,
          reason,
          is_superseded: isSuperseded,
        })),
      };
    },
    begin: async (replay, change) => {
      const id = randomBytes(16).toString('hex');
      const { edit, ...selection } = replay;
      const asked = { ...selection, id, edit, destinations: destinations() };
      if ((await letters.queue(asked, authorOf(change))) === 0) return undefined;
      const begun = await letters.operation(id);
      return begun === undefined ? undefined : operationDocument(begun);
    },
    list: async (page) => listed(await letters.operations(page), operationDocument),
    get: async (id) => {
      const found = await letters.operation(id);
      return found === undefined ? undefined : operationDocument(found);
    },
    cancel: async (id, change) => (await letters.cancel(id, authorOf(change))) !== undefined,
  };
}
