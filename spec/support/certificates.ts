/**
 * Certificates for specs, made as they are needed: authorities, servers and clients, also ones that have ended.
 */
import { webcrypto } from 'node:crypto';
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  cryptoProvider,
} from '@peculiar/x509';

/** PEM. */
export interface Identity {
  certificate: string;
  key: string;
}

export interface Authority extends Identity {
  /** Valid from an hour ago for a day, unless the days say otherwise. */
  issue(name: string, days?: { from: number; until: number }): Promise<Identity>;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

cryptoProvider.set(webcrypto as never);

export async function makeAuthority(name: string): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const nowMs = Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: new Date(nowMs - DAY_MS * 30),
    notAfter: new Date(nowMs + DAY_MS * 30),
    signingAlgorithm: ALGORITHM,
    keys: keys as never,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  return {
    certificate: certificate.toString('pem'),
    key: await pemOf(keys.privateKey),
    issue: async (subject, days) => {
      const own = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const issued = await X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: certificate.subject,
        notBefore: new Date(days === undefined ? nowMs - HOUR_MS : nowMs + days.from * DAY_MS),
        notAfter: new Date(nowMs + (days?.until ?? 1) * DAY_MS),
        signingAlgorithm: ALGORITHM,
        publicKey: own.publicKey as never,
        signingKey: keys.privateKey as never,
        extensions: [
          new SubjectAlternativeNameExtension([
            { type: 'dns', value: 'localhost' },
            { type: 'ip', value: '127.0.0.1' },
          ]),
        ],
      });
      return { certificate: issued.toString('pem'), key: await pemOf(own.privateKey) };
    },
  };
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}
