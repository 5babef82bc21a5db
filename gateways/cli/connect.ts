/**
 * Clients for the node a command was pointed at: by its options, else by the context.
 */
import { readFile } from 'node:fs/promises';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { AdminClient } from './admin-client.ts';
import type { CliContext } from './context.ts';
import { HttpClient } from './http-client.ts';

export interface AdminOptions {
  adminUrl?: string;
  adminKeyFile?: string;
}

export interface IngestOptions {
  url?: string;
  keyFile?: string;
  connectionsMax?: number;
}

export function connectAdmin(context: CliContext, options: AdminOptions): AdminClient {
  return new AdminClient(
    new HttpClient({
      url: options.adminUrl ?? context.adminUrl,
      target: 'the admin API',
      urlOption: '--admin-url',
      readKey: adminKeyReader(context, options),
      clock: context.clock,
    }),
  );
}

export function connectIngest(context: CliContext, options: IngestOptions): HttpClient {
  return new HttpClient({
    url: options.url ?? context.ingestUrl,
    target: 'the ingest port',
    urlOption: '--url',
    readKey: keyReader(options.keyFile, '--key-file', () => context.readIngestKey()),
    clock: context.clock,
    ...(options.connectionsMax === undefined ? {} : { connectionsMax: options.connectionsMax }),
  });
}

/** Reads the key for the admin API. Rejects with `E_KEY_UNREADABLE`. */
export function adminKeyReader(context: CliContext, options: AdminOptions): () => Promise<string> {
  return keyReader(options.adminKeyFile, '--admin-key-file', () => context.readAdminKey());
}

function keyReader(
  path: string | undefined,
  option: string,
  fallback: () => Promise<string>,
): () => Promise<string> {
  return async () => {
    try {
      return path === undefined ? await fallback() : await readFile(path, 'utf8');
    } catch (thrown) {
      const where = path === undefined ? 'the key of the node' : `the key file ${path}`;
      throw new CodedError('E_KEY_UNREADABLE', `${where} cannot be read: ${codeOf(thrown)}`, {
        mend: `Start the node once, so that it makes its keys; run this as the same user; or give a file with ${option}.`,
        cause: thrown,
      });
    }
  };
}

/** Runs `work` with a client of the admin API, and closes it whatever becomes of it. */
export async function withAdminClient<T>(
  context: CliContext,
  options: AdminOptions,
  work: (admin: AdminClient) => Promise<T>,
): Promise<T> {
  const admin = connectAdmin(context, options);
  try {
    return await work(admin);
  } finally {
    admin.close();
  }
}
