/**
 * Clients for the node a command was pointed at: by its options, else by the context.
 */
import { readFile } from 'node:fs/promises';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { AdminClient } from './admin-client.ts';
import { clientTls } from './client-tls.ts';
import type { ClientTls, TlsOptions } from './client-tls.ts';
import type { CliContext } from './context.ts';
import { HttpClient } from './http-client.ts';

/** As `URL` writes them. */
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export interface AdminOptions extends TlsOptions {
  adminUrl?: string;
  adminKeyFile?: string;
}

export interface IngestOptions extends TlsOptions {
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
      tls: clientTls(options),
    }),
  );
}

export function connectIngest(context: CliContext, options: IngestOptions): HttpClient {
  return new HttpClient({
    url: options.url ?? context.ingestUrl,
    target: 'the ingest port',
    urlOption: '--url',
    readKey: ingestKeyReader(context, options),
    clock: context.clock,
    tls: ingestTls(context, options),
    ...(options.connectionsMax === undefined ? {} : { connectionsMax: options.connectionsMax }),
  });
}

/** The node here is trusted by its certificate file, another one by the authorities of the system. */
export function ingestTls(context: CliContext, options: IngestOptions): ClientTls {
  return clientTls(options, options.url === undefined ? context.ingestTls : undefined);
}

/** Reads the key for the ingest port. Rejects with `E_KEY_UNREADABLE`. */
export function ingestKeyReader(context: CliContext, options: IngestOptions): () => Promise<string> {
  return keyReader({
    path: options.keyFile,
    option: '--key-file',
    url: options.url ?? context.ingestUrl,
    ownUrl: context.ingestUrl,
    readOwn: () => context.readIngestKey(),
  });
}

/** Reads the key for the admin API. Rejects with `E_KEY_UNREADABLE`. */
export function adminKeyReader(context: CliContext, options: AdminOptions): () => Promise<string> {
  return keyReader({
    path: options.adminKeyFile,
    option: '--admin-key-file',
    url: options.adminUrl ?? context.adminUrl,
    ownUrl: context.adminUrl,
    readOwn: () => context.readAdminKey(),
  });
}

function keyReader(from: {
  path: string | undefined;
  option: string;
  url: string;
  ownUrl: string;
  readOwn: () => Promise<string>;
}): () => Promise<string> {
  const { path, option } = from;
  return async () => {
    if (path === undefined && !isThisMachine(from.url, from.ownUrl)) {
      throw new CodedError('E_KEY_UNREADABLE', 'the key of this node is not sent to another machine', {
        mend: `Give the file of a key of that node with ${option}.`,
      });
    }
    try {
      return path === undefined ? await from.readOwn() : await readFile(path, 'utf8');
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

/** One that cannot be parsed is refused elsewhere, before anything is sent. */
function isThisMachine(url: string, ownUrl: string): boolean {
  if (!URL.canParse(url)) return true;
  const { hostname } = new URL(url);
  return hostname === new URL(ownUrl).hostname || LOOPBACK.test(hostname);
}
