/**
 * A certificate with its key, and the CA of client certificates: read from the files of the configuration and checked
 * before anything is served with them.
 *
 * Everything that can be known beforehand is refused here, with what is wrong in which file and how to mend it.
 * Invariant: no error holds a key, nor what a library says of one.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { CodedError, codeOf } from '../../runtime/errors.ts';

export interface TlsFiles {
  /** The server's own certificate first, then those that lead to the root. */
  certificateFile: string;
  keyFile: string;
  /** With it a client must show a certificate of one of these authorities. */
  clientCaFile: string | undefined;
}

/** PEM. */
export interface TlsMaterial {
  certificate: string;
  key: string;
  clientCa: string | undefined;
}

const FILE_BYTES_MAX = 1024 * 1024;
const READABLE_BY_OTHERS = 0o004;
const RSA_BITS_MIN = 2_048;
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN ((?:\w+ )?PRIVATE KEY)-----[\s\S]+?-----END \1-----/;
const ENCRYPTED = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/;

/** Rejects with the first fault: `E_TLS_*`. */
export async function readTlsMaterial(files: TlsFiles, nowMs: number): Promise<TlsMaterial> {
  const { certificateFile, keyFile, clientCaFile } = files;
  const certificate = await readPem(certificateFile, 'the TLS certificate');
  const key = await readPem(keyFile, 'the TLS key', true);
  const clientCa =
    clientCaFile === undefined ? undefined : await readPem(clientCaFile, 'the CA of client certificates');
  const chain = certificatesOf(certificate, certificateFile);
  const privateKey = keyOf(key, keyFile);
  requirePair(chain, privateKey, files);
  for (const each of chain) requireValid(each, certificateFile, nowMs);
  if (clientCa !== undefined && clientCaFile !== undefined) requireAuthorities(clientCa, clientCaFile, nowMs);
  return { certificate, key, clientCa };
}

/** When the first certificate of the chain ends. */
export function expiryMs({ certificate }: TlsMaterial): number {
  return Math.min(...parsed(certificate).map(({ validToDate }) => validToDate.getTime()));
}

/** Names the server's own certificate, as other programs show it. */
export function fingerprintOf({ certificate }: Pick<TlsMaterial, 'certificate'>): string {
  return parsed(certificate)[0]?.fingerprint256 ?? '';
}

export function isSameMaterial(one: TlsMaterial, other: TlsMaterial): boolean {
  return one.certificate === other.certificate && one.key === other.key && one.clientCa === other.clientCa;
}

async function readPem(path: string, what: string, isSecret = false): Promise<string> {
  let why: string;
  try {
    const found = await stat(path);
    if (isSecret && (found.mode & READABLE_BY_OTHERS) !== 0) throw exposed(path);
    if (!found.isFile()) why = 'it is no file';
    else if (found.size > FILE_BYTES_MAX) why = `it is larger than ${FILE_BYTES_MAX} bytes`;
    else return await readFile(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof CodedError) throw thrown;
    why = codeOf(thrown) === 'ENOENT' ? 'there is no such file' : codeOf(thrown);
  }
  throw new CodedError('E_TLS_FILE_UNREADABLE', `${what} cannot be read from ${path}: ${why}`, {
    mend: 'Correct the path, or let the user that runs the node read the file.',
    details: { file: path },
  });
}

function exposed(path: string): CodedError {
  return new CodedError('E_TLS_KEY_EXPOSED', `every user of this machine may read the TLS key ${path}`, {
    mend: `chmod o= ${path}`,
    details: { file: path },
  });
}

function parsed(pem: string): X509Certificate[] {
  return (pem.match(CERTIFICATE) ?? []).map((text) => new X509Certificate(text));
}

function certificatesOf(pem: string, path: string): X509Certificate[] {
  let found: X509Certificate[] = [];
  try {
    found = parsed(pem);
  } catch {
    // Said below.
  }
  if (found.length > 0) return found;
  throw new CodedError('E_TLS_FILE_INVALID', `${path} holds no certificate that can be read`, {
    mend: 'Give a file in PEM form, with lines that say BEGIN CERTIFICATE; `openssl x509 -in … -inform der` converts DER.',
    details: { file: path },
  });
}

function keyOf(pem: string, path: string): KeyObject {
  const details = { file: path };
  if (ENCRYPTED.test(pem)) {
    throw new CodedError('E_TLS_KEY_ENCRYPTED', `the TLS key ${path} is protected by a passphrase`, {
      mend: 'A node starts without anybody to ask. Write it without one to a file that only the node reads: `openssl pkey -in … -out …`.',
      details,
    });
  }
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(PRIVATE_KEY.exec(pem)?.[0] ?? '');
  } catch {
    // Said below.
  }
  if (key === undefined) {
    throw new CodedError('E_TLS_FILE_INVALID', `${path} holds no private key that can be read`, {
      mend: 'Give the key of the certificate in PEM form, with a line that says BEGIN PRIVATE KEY.',
      details,
    });
  }
  if (isStrong(key)) return key;
  throw new CodedError(
    'E_TLS_KEY_UNSUITED',
    `the TLS key ${path} is of a kind that is too weak or too rare`,
    {
      mend: `Use an EC key on P-256, P-384 or P-521, an Ed25519 key, or an RSA key of ${RSA_BITS_MIN} bits or more.`,
      details,
    },
  );
}

function isStrong({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): boolean {
  if (type === 'rsa') return (details?.modulusLength ?? 0) >= RSA_BITS_MIN;
  return type === 'ed25519' || (type === 'ec' && CURVES.has(details?.namedCurve ?? ''));
}

function requirePair(chain: readonly X509Certificate[], key: KeyObject, files: TlsFiles): void {
  const [own] = chain;
  if (own?.checkPrivateKey(key) === true) return;
  const isElsewhere = chain.some((each) => each.checkPrivateKey(key));
  throw new CodedError(
    'E_TLS_KEY_MISMATCH',
    `the key ${files.keyFile} is not that of the first certificate in ${files.certificateFile}`,
    {
      mend: isElsewhere
        ? "Put the server's own certificate first in the file, then those of its authorities."
        : 'Give the key that the certificate was asked for with. While files are being replaced, wait.',
      details: { ...files },
    },
  );
}

function requireValid(each: X509Certificate, path: string, nowMs: number): void {
  const details = { file: path, subject: each.subject, from: each.validFrom, until: each.validTo };
  if (each.validToDate.getTime() <= nowMs) {
    throw new CodedError(
      'E_TLS_CERTIFICATE_EXPIRED',
      `a certificate in ${path} has ended on ${each.validTo}`,
      {
        mend: 'Renew it. Is the clock of this machine right?',
        details,
      },
    );
  }
  if (each.validFromDate.getTime() > nowMs) {
    throw new CodedError('E_TLS_CERTIFICATE_EARLY', `a certificate in ${path} begins on ${each.validFrom}`, {
      mend: 'Wait, or use another. Is the clock of this machine right?',
      details,
    });
  }
}

/** An authority that has ended does no harm beside others: nothing of it verifies. */
function requireAuthorities(pem: string, path: string, nowMs: number): void {
  const authorities = certificatesOf(pem, path);
  if (!authorities.every(({ ca }) => ca)) {
    throw new CodedError('E_TLS_FILE_INVALID', `${path} holds a certificate that is none of an authority`, {
      mend: 'Give the certificates of the authorities that sign those of your clients, not those of clients.',
      details: { file: path },
    });
  }
  if (authorities.some(({ validToDate }) => validToDate.getTime() > nowMs)) return;
  for (const each of authorities) requireValid(each, path, nowMs);
}
