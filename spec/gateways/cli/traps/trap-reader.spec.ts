/**
 * What snmptrapd prints becomes events. `recorded/` has what a real one (5.9.3) printed of the same five traps under different
 * options: to a program without options, with names of MIBs, and with `-On -Ox`; and in its log, with names and with numbers.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { readLineStream } from '../../../../gateways/cli/line-file.ts';
import type { TrapEvent } from '../../../../gateways/cli/traps/trap-event.ts';
import { readTraps, TrapReader } from '../../../../gateways/cli/traps/trap-reader.ts';
import { varbindOf } from '../../../../gateways/cli/traps/varbind.ts';
import { RECORD_JSON } from '../../../../actors/ingest/split-records.ts';
import { normalizeEvent } from '../../../../actors/match/normalize.ts';

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const FACTS = { wallMs: () => NOW_MS, hostname: 'relay-01' };
const LINK_DOWN = '1.3.6.1.6.3.1.1.5.3';
const IF_DESCR_7 = '1.3.6.1.2.1.2.2.1.2.7';
const VENDOR = '1.3.6.1.4.1.9.9';
/** From the second trap on, by its last arc: what was sent, as it is to be found again. */
const SENT: Record<number, string | number | null> = {
  1: 'line1 \\ "q"\n\nline3\ttab = x',
  2: 'ünï',
  3: '4dfc6c6c657220e974e9',
  4: '00ff0a00ff0a00ff0a00ff0a00ff0a00ff0a00ff0a',
  5: '10.1.2.3',
  6: '1.3.6.1.4.1.9',
  7: 9_000_000,
  8: '18446744073709551615',
  9: '',
  10: 42,
  11: 43,
  12: null,
  14: -7,
};

const recorded = (name: string): string =>
  readFileSync(new URL(`recorded/${name}.txt`, import.meta.url), 'utf8');

async function eventsOf(input: string | Buffer, chunkBytes = Infinity): Promise<TrapEvent[]> {
  const bytes = Buffer.from(input);
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  }
  const events: TrapEvent[] = [];
  for await (const { lines, numbers } of readTraps(readLineStream(chunks()), FACTS)) {
    expect(numbers).to.have.length(lines.length);
    for (const line of lines) events.push(JSON.parse(line.toString('utf8')) as TrapEvent);
  }
  return events;
}

/** As snmptrapd gives them: one to a process. */
async function fromPrograms(name: string): Promise<TrapEvent[]> {
  const events: TrapEvent[] = [];
  for (const text of recorded(name).split('----\n')) {
    if (text === '') continue;
    const some = await eventsOf(text);
    expect(some).to.have.length(1);
    events.push(...some);
  }
  return events;
}

const isTrap = ({ trap_oid: oid }: TrapEvent): boolean => oid !== undefined;
const valueAt = (event: TrapEvent | undefined, wanted: string): unknown =>
  event?.varbinds?.find(({ oid }) => oid === wanted)?.value;

describe('Traps of snmptrapd', () => {
  for (const [title, read] of [
    ['given to a program, without options', () => fromPrograms('program-default')],
    ['given to a program, with names', () => fromPrograms('program-names')],
    ['given to a program, with -On -Ox', () => fromPrograms('program-numbers')],
    ['in the log, with -On -Ox', async () => (await eventsOf(recorded('log-numbers'))).filter(isTrap)],
    [
      'in the log, in pieces of 7 bytes',
      async () => (await eventsOf(recorded('log-numbers'), 7)).filter(isTrap),
    ],
  ] as const) {
    it(`are read: ${title}`, async () => {
      const events = await read();
      expect(events.map(({ trap_oid: oid }) => oid)).to.deep.equal([
        LINK_DOWN,
        `${VENDOR}.43.2.0.1`,
        // SNMPv1: enterprise, specific 17; and generic 2.
        '1.3.6.1.4.1.8072.2.3.0.17',
        LINK_DOWN,
        '1.3.6.1.6.3.1.1.5.1',
      ]);
      expect(events.map(({ hostname }) => hostname)).to.deep.equal([
        'localhost',
        'localhost',
        '10.9.8.7',
        'localhost',
        '10.7.7.7',
      ]);
      expect(events.map(({ source_ip: ip }) => ip)).to.deep.equal([
        '127.0.0.1',
        '127.0.0.1',
        '10.9.8.7',
        '127.0.0.1',
        '10.7.7.7',
      ]);
      expect(events.map(({ relay_ip: ip }) => ip ?? '-')).to.deep.equal([
        '-',
        '-',
        '127.0.0.1',
        '-',
        '127.0.0.1',
      ]);
      expect(events.map((event) => valueAt(event, '1.3.6.1.2.1.1.3.0'))).to.deep.equal([
        12_345, 12_345, 99_999, 99_999, 12_345,
      ]);
      expect(valueAt(events[0], IF_DESCR_7)).to.equal('Gi0/7 "uplink"');
      expect(events[0]?.message).to.match(/^linkDown: ifIndex\.7 7, ifDescr\.7 Gi0\/7 "uplink"/);
      for (const [arc, value] of Object.entries(SENT)) {
        expect(valueAt(events[1], `${VENDOR}.${arc}`), arc).to.equal(value);
      }
      expect(JSON.stringify(events), 'the community')
        .to.not.include('public')
        .and.not.include('7075626c6963');
    });
  }

  it('have the time at which snmptrapd took them, or that of now', async () => {
    const [banner, trap] = await eventsOf(recorded('log-numbers'));
    expect(trap?.timestamp).to.equal('2026-11-21T22:18:23.000Z');
    expect(banner?.timestamp).to.equal(new Date(NOW_MS).toISOString());
    expect((await fromPrograms('program-default'))[0]?.timestamp).to.equal(new Date(NOW_MS).toISOString());
  });

  it('keep the names of a MIB, with numbers where no MIB is needed for them', async () => {
    const [, first] = await eventsOf(recorded('log-names'));
    expect(first?.trap_oid).to.equal(LINK_DOWN);
    expect(first?.varbinds?.slice(3)).to.deep.equal([
      { oid: IF_DESCR_7, type: 'string', value: 'Gi0/7 "uplink"' },
      { name: 'IF-MIB::ifSpeed.7', type: 'gauge32', value: '1000000000 bits' },
      { name: 'IF-MIB::ifPhysAddress.7', type: 'string', value: '0:11:22:aa:bb:cc' },
      { oid: '1.3.6.1.2.1.2.2.1.8.7', type: 'integer', value: 2 },
    ]);
  });

  it('go as soon as their line is whole', () => {
    const reader = new TrapReader(FACTS);
    const [, trap = ''] = recorded('log-numbers').split('\n');
    expect(reader.take(Buffer.from(trap), 1)).to.have.length(1);
    const open = 'mutt-trap\t1\tUDP: [192.0.2.1]:1\tr1\t0.0.0.0\t0.0.0.0\t0\t.\t0\t0\t.1.3.6 = STRING: "a';
    expect(reader.take(Buffer.from(open), 2)).to.have.length(0);
    const [event] = reader.take(Buffer.from('b\\" c"'), 4);
    expect(JSON.parse(String(event))).to.have.nested.property('varbinds[0].value', 'a\n\nb" c');
  });

  it('may come over IPv6, from a peer without a name, or by no network at all', async () => {
    const one = (transport: string, name: string): Promise<TrapEvent[]> =>
      eventsOf(`${name}\n${transport}\n.1.3.6.1.6.3.1.1.4.1.0 .${LINK_DOWN}\n`);
    const [six] = await one('UDP/IPv6: [2001:db8::7]:59489', '<UNKNOWN>');
    expect(six).to.include({ hostname: '2001:db8::7', source_ip: '2001:db8::7', trap_oid: LINK_DOWN });
    const [numeric] = await one(
      'UDP: [192.0.2.1]:4915->[192.0.2.2]:162',
      'UDP: [192.0.2.1]:4915->[192.0.2.2]:162',
    );
    expect(numeric).to.include({ hostname: '192.0.2.1', source_ip: '192.0.2.1' });
    const [local] = await one('Local IPC: /run/x', '<UNKNOWN>');
    expect(local)
      .to.include({ hostname: 'relay-01', trap_oid: LINK_DOWN })
      .and.not.have.property('source_ip');
  });

  it('that cannot be read are events with their text, and with their bytes where these are no text', async () => {
    const [cut] = await eventsOf('mutt-trap\t1795299503\tUDP: [192.0.2.1]:1\n');
    expect(cut).to.include({ hostname: 'relay-01', message: 'mutt-trap\t1795299503\tUDP: [192.0.2.1]:1' });
    expect(cut?.unreadable).to.be.a('string');
    const [nameless] = await eventsOf('r1\nUDP: [192.0.2.1]:1\n.1.3.6.1.2.1.1.5.0 "r1"\n');
    expect(nameless).to.include({ hostname: 'r1', unreadable: 'it names no trap' });
    const bytes = Buffer.concat([
      Buffer.from('r1\nUDP: [192.0.2.1]:1\n.1.3.6 "'),
      Buffer.from([0xff, 0xfe, 0x22]),
    ]);
    const [bad] = await eventsOf(bytes);
    expect(Buffer.from(bad?.raw_base64 ?? '', 'base64').equals(bytes)).to.equal(true);
  });

  it('never give the community away, in whatever form it was printed', async () => {
    const head =
      '10.9.8.7 [10.9.8.7] (via UDP: [192.0.2.1]:1->[192.0.2.2]:162) TRAP, SNMP v1, community s3cr3t';
    const binding = 'SNMPv2-SMI::snmpModules.18.1.4.0';
    for (const text of [
      `NET-SNMP version 5.9.3\n2026-11-21 22:07:01 ${head}\n\tiso.3.6 Link Down Trap (0)\n`,
      `NET-SNMP version 5.9.3\nFF 0A \t${binding} = STRING: "s3cr3t"\t.1.3 = NULL\n`,
      `r1\nUDP: [192.0.2.1]:1\n.1.3.6 7\n${binding} "s3cr3t"\n.1.3.7 \xff\n`,
    ]) {
      const said = JSON.stringify(await eventsOf(Buffer.from(text, 'latin1')));
      expect(said).to.not.include('s3cr3t');
      expect(said).to.not.include('raw_base64');
    }
  });

  it('give events that the node takes, with the fields that rules go by', async () => {
    for (const line of await eventsOf(recorded('log-numbers'))) {
      const { event } = normalizeEvent({
        id: 'x',
        receivedAtMs: NOW_MS,
        correlationId: 'c',
        kind: RECORD_JSON,
        bytes: Buffer.from(JSON.stringify(line)),
      });
      expect(event).to.include({ source: 'snmp', program: 'snmptrapd', hostname: line.hostname });
      if (line.trap_oid !== undefined)
        expect(event).to.include({ trapOid: line.trap_oid, sourceIp: line.source_ip });
    }
  });
});

describe('A reader of traps', () => {
  const word = fc.constantFrom(
    'mutt-trap\t',
    '1795299503\t',
    'UDP: [192.0.2.1]:4915->[192.0.2.2]:162',
    '<UNKNOWN>',
    '.1.3.6.1.6.3.1.1.4.1.0 ',
    'SNMPv2-MIB::snmpTrapOID.0 = OID: ',
    'STRING: "',
    'Hex-STRING: 00 FF ',
    '"',
    '\\',
    '\t',
    '\n',
    '\n\n',
    ' = ',
    '[',
    'x',
  );
  const input = fc.oneof(
    fc.array(word, { maxLength: 80 }).map((words) => Buffer.from(words.join(''))),
    fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
  );

  it('makes valid events of anything, however it is cut, and leaves no line out', async () => {
    await fc.assert(
      fc.asyncProperty(input, fc.integer({ min: 1, max: 50 }), async (bytes, chunkBytes) => {
        const events = await eventsOf(bytes, chunkBytes);
        expect(events).to.deep.equal(await eventsOf(bytes));
        for (const event of events) {
          expect(event.hostname).to.match(/^[^\s]+$/);
          expect(event.message.trim()).to.not.equal('');
          expect(Number.isNaN(Date.parse(event.timestamp))).to.equal(false);
        }
        const isBlank = bytes.every((byte) => [0x20, 0x09, 0x0a, 0x0d].includes(byte));
        expect(events.length > 0).to.equal(!isBlank);
      }),
      { numRuns: 300 },
    );
  });

  it('finds any text again that snmptrapd would print', () => {
    const printed = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(varbindOf('.1.3.6.1', `STRING: ${printed(text)}`)).to.deep.equal({
          oid: '1.3.6.1',
          type: 'string',
          value: text,
        });
        const hex = [...Buffer.from(text)].map((byte) => `${byte.toString(16).padStart(2, '0')} `).join('');
        const { value, encoding } = varbindOf('.1.3.6.1', `Hex-STRING: ${hex}`);
        if (encoding === 'hex') expect(Buffer.from(String(value), 'hex').toString('utf8')).to.equal(text);
        else expect(value).to.equal(text);
      }),
    );
  });

  it('keeps no more of a trap than a bound, and takes its time no more than once for each byte', async () => {
    const line = `.1.3.6.1.4.1.9 "${'\\'.repeat(100)} ${'00 '.repeat(300)}`;
    const text = `r1\nUDP: [192.0.2.1]:1\n${`${line}\n`.repeat(4_000)}`;
    const startedMs = performance.now();
    const events = await eventsOf(text);
    expect(performance.now() - startedMs).to.be.below(5_000);
    expect(events.length).to.be.greaterThan(1);
    for (const event of events) expect(JSON.stringify(event).length).to.be.below(2 * 1024 * 1024);
    const kept = events.reduce((sum, event) => sum + JSON.stringify(event).length, 0);
    expect(kept).to.be.greaterThan(text.length / 2);
  });
});
