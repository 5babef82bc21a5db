/** One form of a host's name: which spellings are one host, which stay two, and that every part of the product agrees. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { canonicalHostname } from '../../actors/hostname.ts';
import { decodeRecord } from '../../actors/ingest/decode-record.ts';
import { partitionOf } from '../../actors/ingest/partition.ts';
import { RECORD_JSON } from '../../actors/ingest/split-records.ts';
import { canonicalAddress } from '../../actors/match/ip-network.ts';
import { normalizeEvent } from '../../actors/match/normalize.ts';

const receivedAtMs = Date.parse('2024-05-01T12:00:00Z');

describe('canonicalHostname', () => {
  const forms: [string, string][] = [
    ['Core-1.Example.NET', 'core-1.example.net'],
    ['core-1.example.net.', 'core-1.example.net'],
    [' core-1\t', 'core-1'],
    ['core-1..', 'core-1'],
    ['10.0.0.1.', '10.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['::FFFF:10.0.0.1', '10.0.0.1'],
    ['::ffff:a00:1', '10.0.0.1'],
    ['FE80::1%Eth0', 'fe80::1%eth0'],
    ['[fe80:0::1%ge-0]', 'fe80::1%ge-0'],
    ['BÜRO', 'büro'],
    ['İX-1', 'İx-1'],
    ['h\0', 'h\uFFFD'],
    // Not ours to change: another name, or none that we know.
    ['010.0.0.1', '010.0.0.1'],
    ['[::1]:514', '[::1]:514'],
    ['[host]', '[host]'],
    ['a:b', 'a:b'],
    ['...', '...'],
    ['.', '.'],
  ];
  for (const [text, form] of forms) {
    it(`makes ${JSON.stringify(form)} of ${JSON.stringify(text)}`, () => {
      expect(canonicalHostname(text)).to.equal(form);
    });
  }

  it('keeps apart a short name and a whole one, and one address on two links', () => {
    const names = ['core-1', 'core-1.example.net', 'fe80::1', 'fe80::1%eth0', 'fe80::1%eth1', '::1', '::2'];
    expect(new Set(names.map(canonicalHostname)).size).to.equal(names.length);
  });

  it('writes IPv6 as the URL standard does, however it was written', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.boolean(), (address, isUpper) => {
        const oracle = new URL(`http://[${address}]/`).hostname.slice(1, -1);
        // The URL standard writes a mapped address in hexadecimal; RFC 5952 section 5 recommends what we do.
        fc.pre(!/^::ffff:[\da-f]{1,4}:[\da-f]{1,4}$/.test(oracle));
        expect(canonicalAddress(isUpper ? address.toUpperCase() : address)).to.equal(oracle);
      }),
      { numRuns: 1000 },
    );
  });

  it('is idempotent, well-formed and not empty for any name that is not blank', () => {
    const piece = fc.constantFrom(
      '.',
      ' ',
      '[',
      ']',
      ':',
      '::',
      'ffff',
      '%',
      'A',
      'İ',
      'Σ',
      '1',
      '\0',
      '\uD800',
      '\uFEFF',
    );
    const name = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece).map((parts) => parts.join('')),
      fc.ipV6(),
    );
    fc.assert(
      fc.property(name, (text) => {
        fc.pre(text.trim() !== '');
        const form = canonicalHostname(text);
        expect(canonicalHostname(form)).to.equal(form);
        expect(form).to.not.equal('');
        expect(form.isWellFormed() && !form.includes('\0')).to.equal(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('puts every spelling into one partition, which is that of the event', () => {
    for (const hostname of ['Core-1.', 'core-1', ' CORE-1 ', '[2001:DB8::1]', 'H\0']) {
      const bytes = Buffer.from(JSON.stringify({ hostname, message: 'm', timestamp: 1 }));
      const decoded = decodeRecord(bytes, RECORD_JSON, 0, bytes.length, receivedAtMs);
      if (!decoded.ok) throw new Error(decoded.message);
      const record = { id: 'f-0', receivedAtMs, correlationId: 'c', kind: RECORD_JSON, bytes } as const;
      expect(normalizeEvent(record).event.hostname).to.equal(decoded.hostname);
      expect(partitionOf(decoded.hostname, 8)).to.equal(partitionOf(canonicalHostname(hostname), 8));
    }
  });
});
