/** OIDs by arcs, host globs, networks and the names of severities, each against a slow and obvious oracle. */
import { BlockList, isIPv4 } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { compileGlob } from '../../../actors/match/glob.ts';
import { isInNetwork, parseAddress, parseNetwork } from '../../../actors/match/ip-network.ts';
import { canonicalOid, isUnderOid, oidsAbove } from '../../../actors/match/oid.ts';
import { facilityOf, priorityOf, severityOf } from '../../../actors/match/severity.ts';

describe('oid', () => {
  const arcs = fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 6 });

  it('is under another when the arcs of that one begin its own', () => {
    fc.assert(
      fc.property(arcs, arcs, fc.boolean(), (some, more, extends_) => {
        const oid = (extends_ ? [...some, ...more] : more).join('.');
        const naive = oid.split('.').slice(0, some.length).join('.') === some.join('.');
        expect(isUnderOid(oid, some.join('.'))).to.equal(naive);
        expect(oidsAbove(oid).includes(some.join('.'))).to.equal(naive);
      }),
    );
    expect(isUnderOid('1.3.99', '1.3.9')).to.equal(false);
  });

  it('has one canonical form', () => {
    expect(['.1.3.6', '1.3.6', ' 1.3.06 ', '.1.03.6'].map(canonicalOid)).to.deep.equal(
      Array(4).fill('1.3.6'),
    );
    expect(canonicalOid('0.0')).to.equal('0.0');
  });

  it('may begin with the names of the upper tree, or be a generic trap, as net-snmp prints them', () => {
    const forms: [string, string][] = [
      ['iso.3.6.1.4.1.9', '1.3.6.1.4.1.9'],
      ['.iso.3.6', '1.3.6'],
      ['iso', '1'],
      ['.iso.org.dod.internet.private.enterprises.9.9.41.2', '1.3.6.1.4.1.9.9.41.2'],
      ['SNMPv2-SMI::enterprises.2636.4', '1.3.6.1.4.1.2636.4'],
      ['enterprises.9.1', '1.3.6.1.4.1.9.1'],
      ['SNMPv2-SMI::mib-2.2', '1.3.6.1.2.1.2'],
      ['IF-MIB::linkDown', '1.3.6.1.6.3.1.1.5.3'],
      ['SNMPv2-MIB::coldStart', '1.3.6.1.6.3.1.1.5.1'],
      [
        '.iso.org.dod.internet.snmpV2.snmpModules.snmpMIB.snmpMIBObjects.snmpTraps.linkUp',
        '1.3.6.1.6.3.1.1.5.4',
      ],
    ];
    for (const [text, oid] of forms) expect(canonicalOid(text), text).to.equal(oid);
  });

  it('is refused when it is none', () => {
    for (const text of [
      'iso.dod.3',
      'iso.3.org',
      '1.iso',
      'CISCO-SMI::cisco.9',
      'OTHER-MIB::linkDown',
      'linkdown.',
      'IF-MIB::',
      'constructor',
      '',
      '.',
      '..1',
      '1.',
      '1..3',
      '1.3.x',
      '1.-3',
      '4294967296',
      '1.3.*',
      '1,3',
      `${'1.'.repeat(128)}1`,
    ]) {
      expect(canonicalOid(text), text).to.equal(undefined);
    }
  });
});

describe('glob', () => {
  /** The obvious recursive definition. */
  function naive(pattern: string, name: string): boolean {
    if (pattern === '') return name === '';
    if (pattern[0] === '*')
      return naive(pattern.slice(1), name) || (name !== '' && naive(pattern, name.slice(1)));
    return (
      name !== '' && (pattern[0] === '?' || pattern[0] === name[0]) && naive(pattern.slice(1), name.slice(1))
    );
  }

  it('matches what its definition says', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 8 });
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 10 });
    fc.assert(
      fc.property(pattern, name, (some, other) => {
        expect(compileGlob(some)(other)).to.equal(naive(some, other));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes other signs for themselves', () => {
    expect(compileGlob('r[1].x+*')('r[1].x+y')).to.equal(true);
    expect(compileGlob('r.1*')('rx1')).to.equal(false);
  });

  it('takes time in proportion on hostile names', () => {
    const startedAt = process.cpuUsage();
    for (let run = 0; run < 100; run++) compileGlob(`${'*a'.repeat(100)}b`)('a'.repeat(255));
    expect(process.cpuUsage(startedAt).user / 1000).to.be.below(500);
  });
});

describe('network', () => {
  it('holds the addresses that Node says it holds', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(address, address, fc.nat(128), fc.nat(3), (network, other, bits, near) => {
        const bitsMax = isIPv4(network) ? 32 : 128;
        const prefix = bits % (bitsMax + 1);
        const family = isIPv4(network) ? 'ipv4' : 'ipv6';
        // Node's own list is the oracle; it takes mapped addresses for IPv4, as we do, only when asked as IPv6.
        fc.pre(!/^(::|0:0:0:0:0:)f{4}:/i.test(network) && !/^(::|0:0:0:0:0:)f{4}:/i.test(other));
        const oracle = new BlockList();
        oracle.addSubnet(network, prefix, family);
        const asked = near === 0 ? network : other;
        fc.pre(isIPv4(asked) === isIPv4(network));
        expect(isInNetwork(parseAddress(asked)!, parseNetwork(`${network}/${prefix}`)!)).to.equal(
          oracle.check(asked, family),
        );
      }),
    );
  });

  const holds: [string, string, boolean][] = [
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/31', '10.1.2.2', true],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '::1', false],
    ['2001:db8::/32', '2001:DB8:ffff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['10.0.0.0/8', '::ffff:10.1.1.1', true],
    ['::ffff:10.0.0.0/104', '10.9.9.9', true],
  ];
  for (const [network, address, is] of holds) {
    it(`${network} ${is ? 'holds' : 'does not hold'} ${address}`, () => {
      expect(isInNetwork(parseAddress(address)!, parseNetwork(network)!)).to.equal(is);
    });
  }

  it('is refused when it is none', () => {
    for (const text of [
      '',
      '10.0.0.0/33',
      '10.0.0/8',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '::/129',
      '::ffff:10.0.0.0/8',
      'fe80::%1/64',
      'x',
    ]) {
      expect(parseNetwork(text), text).to.equal(undefined);
    }
  });
});

describe('severity and facility', () => {
  it('are read from numbers, digits and words', () => {
    const severities = [
      0,
      '0',
      'emerg',
      'PANIC',
      1,
      'alert',
      'Critical',
      'err',
      'error',
      '3',
      'Warning',
      'warn',
      ' notice ',
      'info',
      'informational',
      'debug',
    ];
    expect(severities.map(severityOf)).to.deep.equal([0, 0, 0, 0, 1, 1, 2, 3, 3, 3, 4, 4, 5, 6, 6, 7]);
    expect(['kern', 0, 'authpriv', 'LOCAL7', '16', 23].map(facilityOf)).to.deep.equal([0, 0, 10, 23, 16, 23]);
  });

  it('are read from the words of every writer', () => {
    const words = [
      'emergencies',
      'alerts',
      'critical',
      'errors',
      'Warnings',
      'notifications',
      'information',
      'debugging',
    ];
    expect(words.map(severityOf)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(['logaudit', 'logalert', 'clock'].map(facilityOf)).to.deep.equal([13, 14, 15]);
  });

  it('are read from a priority value, and both absent where there is none', () => {
    fc.assert(
      fc.property(fc.nat(23), fc.nat(7), (facility, severity) => {
        const value = facility * 8 + severity;
        for (const written of [value, String(value), `<${value}>`, ` ${value} `]) {
          expect(priorityOf(written), String(written)).to.deep.equal({ facility, severity });
        }
      }),
    );
    expect(priorityOf('local0.err')).to.deep.equal({ facility: 16, severity: 3 });
    expect(priorityOf('Auth.Warning<36>')).to.deep.equal({ facility: 4, severity: 4 });
    for (const other of [
      192,
      -1,
      1.5,
      NaN,
      '192',
      '<1',
      '1>',
      '<<1>>',
      '',
      'err',
      'local0.loud',
      'a.err',
      null,
      {},
      [1],
    ]) {
      expect(priorityOf(other), JSON.stringify(other)).to.equal(undefined);
    }
  });

  it('are absent for anything else', () => {
    const others = [-1, 8, 3.5, '8', '', 'loud', null, undefined, true, [3], {}, 'constructor', '3.0', NaN];
    expect(others.map(severityOf)).to.deep.equal(others.map(() => undefined));
    expect([24, '24', 'local8', -1].map(facilityOf)).to.deep.equal([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
