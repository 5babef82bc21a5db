/**
 * The address of a master group behind Sentinels: `redis+sentinel://[user:password@]host[:port],…/group[/database]`,
 * with `sentinel_username` and `sentinel_password` as parameters when the Sentinels want a password of their own.
 * `rediss+sentinel://` is TLS, to the Sentinels too.
 *
 * Pure. Invariant: no message repeats any part of the address, which may hold passwords.
 */

export interface SentinelAddress {
  sentinels: { host: string; port: number }[];
  /** The name of the master group. */
  group: string;
  database: number;
  username: string | undefined;
  password: string | undefined;
  sentinelUsername: string | undefined;
  sentinelPassword: string | undefined;
  isTls: boolean;
}

const PROTOCOL = /^redis(s?)\+sentinel:\/\//;
const FORM = /^(?:([^@/?#]*)@)?([^@/?#]+)\/([^/?#]+)(?:\/(\d{1,5}))?(?:\?([^#]*))?$/;
const HOST = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/;
/** What Sentinel itself takes as a name. */
const GROUP = /^[A-Za-z0-9._-]+$/;
const PARAMETERS = new Set(['sentinel_username', 'sentinel_password']);
const SENTINEL_PORT = 26_379;
const PORT_MAX = 65_535;

export function isSentinelUrl(url: string): boolean {
  return PROTOCOL.test(url);
}

/** Throws RangeError with what is wrong, to be read behind the name of the variable. */
export function readSentinelUrl(url: string): SentinelAddress {
  const protocol = PROTOCOL.exec(url);
  const form = FORM.exec(url.slice(protocol?.[0].length ?? 0));
  if (protocol === null || form === null) {
    throw new RangeError(
      'is not an address redis+sentinel://[user:password@]host[:port],…/group[/database], special characters percent-encoded',
    );
  }
  const [, credentials, hosts = '', group = '', database = '0', query = ''] = form;
  if (!GROUP.test(group))
    throw new RangeError('names a master group with other than letters, digits and ._-');
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) {
    if (!PARAMETERS.has(name)) {
      throw new RangeError(`has a parameter other than ${[...PARAMETERS].join(' and ')}`);
    }
  }
  const [username, ...password] = credentials?.split(':') ?? [];
  return {
    sentinels: hosts.split(',').map(readHost),
    group,
    database: Number(database),
    username: decoded(username),
    password: decoded(password.length === 0 ? undefined : password.join(':')),
    sentinelUsername: parameters.get('sentinel_username') ?? undefined,
    sentinelPassword: parameters.get('sentinel_password') ?? undefined,
    isTls: protocol[1] === 's',
  };
}

function readHost(text: string): { host: string; port: number } {
  const [, bracketed, plain, given] = HOST.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = given === undefined ? SENTINEL_PORT : Number(given);
  if (host === undefined || port < 1 || port > PORT_MAX) {
    throw new RangeError('has a Sentinel that is not host or host:port, an IPv6 address in brackets');
  }
  return { host, port };
}

/** Empty is as good as not given. */
function decoded(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RangeError('has a user or password whose percent-encoding is broken');
  }
}
