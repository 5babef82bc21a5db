/**
 * How the commands speak TLS: whom they trust, and what they show of themselves.
 *
 * Files are read for every connection: a command that runs for months goes on when its certificate, or that of the node,
 * has been renewed.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import type { AgentOptions } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';

export interface TlsOptions {
  tlsCaFile?: string;
  tlsCertFile?: string;
  tlsKeyFile?: string;
}

/** Asked for every connection. Throws `E_TLS_FILE_UNREADABLE`. */
export type ClientTls = () => Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'allowPartialTrustChain' | 'checkServerIdentity'
>;

/** As the options say; where they name no authority, as `otherwise` does. */
export function clientTls(options: TlsOptions, otherwise: ClientTls = () => ({})): ClientTls {
  const { tlsCaFile, tlsCertFile, tlsKeyFile } = options;
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) {
    throw new CodedError('E_TLS_OPTIONS', 'a client certificate needs its key, and a key its certificate', {
      mend: 'Give both: --tls-cert-file and --tls-key-file.',
    });
  }
  return () => ({
    ...(tlsCaFile === undefined ? otherwise() : { ca: read(tlsCaFile) }),
    ...(tlsCertFile === undefined ? {} : { cert: read(tlsCertFile) }),
    ...(tlsKeyFile === undefined ? {} : { key: read(tlsKeyFile) }),
  });
}

/** Trusts the certificate in the file alone, whatever name it is for: the node here is asked by its address. */
export function trustOnly(certificateFile: string): ClientTls {
  return () => {
    const chain = read(certificateFile);
    const { fingerprint256 } = new X509Certificate(chain);
    return {
      ca: chain,
      allowPartialTrustChain: true,
      checkServerIdentity: (_name, peer) =>
        peer.fingerprint256 === fingerprint256 ? undefined : new Error(OTHER_CERTIFICATE),
    };
  };
}

export class TlsAgent extends Agent {
  readonly #tls: ClientTls;

  constructor(options: AgentOptions, tls: ClientTls) {
    super(options);
    this.#tls = tls;
  }

  override createConnection(...[options, callback]: Parameters<Agent['createConnection']>) {
    return super.createConnection({ ...options, ...this.#tls() }, callback);
  }
}

const OTHER_CERTIFICATE = 'another certificate';
const UNTRUSTED: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'nobody but itself vouches for its certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is of an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is of an authority that is not trusted here',
  CERT_SIGNATURE_FAILURE: 'its certificate is of an authority that is not trusted here',
  CERT_HAS_EXPIRED: 'its certificate has ended',
  CERT_NOT_YET_VALID: 'its certificate has not begun',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
};

/** What a failed connection says about TLS, as an error that trying again does not mend; undefined: nothing. */
export function tlsFault(thrown: unknown, target: string): CodedError | undefined {
  const code = codeOf(thrown);
  const why =
    UNTRUSTED[code] ??
    (messageOf(thrown) === OTHER_CERTIFICATE
      ? 'its certificate is not the one in the file of this node'
      : undefined);
  if (why !== undefined) {
    return new CodedError('E_TLS_UNTRUSTED', `${target} cannot be trusted: ${why}`, {
      mend: 'Give the authority of its certificate with --tls-ca-file, and the name that the certificate is for in the address.',
      details: { cause: code },
    });
  }
  if (code !== 'EPROTO' && !code.startsWith('ERR_SSL_') && !code.startsWith('ERR_OSSL_')) return undefined;
  return new CodedError('E_TLS_REFUSED', `no TLS connection to ${target} came about: ${code}`, {
    mend: 'Does it speak TLS there? If it asks for client certificates: give one that holds, with --tls-cert-file and --tls-key-file.',
    details: { cause: code },
  });
}

/** Nothing was sent; what is wrong may be mended by another certificate or file. */
export function isTlsFault(thrown: unknown): boolean {
  return codeOf(thrown).startsWith('E_TLS_');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new CodedError('E_TLS_FILE_UNREADABLE', `${path} cannot be read: ${codeOf(thrown)}`, {
      mend: 'Correct the path, or run this as a user that may read it.',
      cause: thrown,
    });
  }
}
