/** Where to post, as it is needed for every request: an address is taken apart once, however many alerts go there. */

/** More than there are destinations: those in use stay known. */
const ADDRESSES_MAX = 256;

export interface Address {
  /** Scheme, host and port: what a connection is to. */
  origin: string;
  /** With its query. */
  path: string;
  /** Of the user and password in the address, if it has any. */
  authorization: string | undefined;
}

export class AddressBook {
  readonly #known = new Map<string, Address>();

  /** Throws with `ERR_INVALID_URL`, or `ERR_INVALID_PROTOCOL` where it is neither http nor https. */
  addressOf(text: string): Address {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const address = parse(text);
    if (this.#known.size >= ADDRESSES_MAX) this.#known.clear();
    this.#known.set(text, address);
    return address;
  }
}

function parse(text: string): Address {
  const { protocol, origin, pathname, search, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') {
    const error = new Error(`an address begins with http: or https:, not with ${protocol}`);
    throw Object.assign(error, { code: 'ERR_INVALID_PROTOCOL' });
  }
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    origin,
    path: `${pathname}${search}`,
    authorization: user === ':' ? undefined : `Basic ${Buffer.from(user, 'utf8').toString('base64')}`,
  };
}
