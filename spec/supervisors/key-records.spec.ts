import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ApiKeyRecord } from '../../actors/ports.ts';
import { KeyRing, keyDigest, pepperFingerprint } from '../../gateways/http/key-ring.ts';
import type { KeyRecord } from '../../gateways/http/key-ring.ts';
import { keysInForce } from '../../supervisors/key-records.ts';
import { holderOf } from '../gateways/http/holder-of.ts';
import { ManualClock } from '../gateways/http/manual-clock.ts';

const PEPPER = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const FINGERPRINT = pepperFingerprint(PEPPER);
const OWN: KeyRecord[] = [
  { name: 'admin', scopes: ['admin'], hmacSha256: keyDigest(PEPPER, 'own-admin'), expiresAt: null },
];

function stored(
  name: string,
  keys: [key: string, expiresAt: number | null][],
  more: object = {},
): ApiKeyRecord {
  const hmacSha256s = keys.map(([key, expiresAt]) => ({ hmac: keyDigest(PEPPER, key), expiresAt }));
  return { name, scopes: ['ingest'], hmacSha256s, pepperFingerprint: FINGERPRINT, ...more };
}

describe('keysInForce', () => {
  it('gives a ring that takes the node’s keys, the stored ones, and what they replaced until its own end', () => {
    const clock = new ManualClock();
    const soonMs = clock.wallMs() + 1_000;
    const rotated = stored('relay', [
      ['new', null],
      ['old', soonMs],
    ]);
    const { records, foreign } = keysInForce(OWN, [rotated, stored('other', [['other', null]])], FINGERPRINT);
    const ring = new KeyRing(records, { pepper: PEPPER, clock });
    expect(foreign).to.deep.equal([]);
    expect(['own-admin', 'new', 'old', 'other', 'nothing'].map((key) => holderOf(ring, key))).to.deep.equal([
      'admin',
      'relay',
      'relay',
      'other',
      undefined,
    ]);
    clock.advance(2_000);
    expect([holderOf(ring, 'new'), holderOf(ring, 'old')]).to.deep.equal(['relay', undefined]);
  });

  it('leaves out and names what was made with another pepper, and takes what does not say', () => {
    const { records, foreign } = keysInForce(
      [],
      [
        stored('far', [['far', null]], { pepperFingerprint: 'another' }),
        stored('unsaid', [['unsaid', null]], { pepperFingerprint: '' }),
        stored('empty', []),
      ],
      FINGERPRINT,
    );
    expect(foreign).to.deep.equal(['far']);
    expect(records.map(({ name }) => name)).to.deep.equal(['unsaid']);
  });

  it('lets the node’s own key stand against a stored one of its name', () => {
    const { records } = keysInForce(OWN, [stored('admin', [['taken over', null]])], FINGERPRINT);
    const ring = new KeyRing(records, { pepper: PEPPER, clock: new ManualClock() });
    expect([holderOf(ring, 'own-admin'), holderOf(ring, 'taken over')]).to.deep.equal(['admin', undefined]);
  });
});
