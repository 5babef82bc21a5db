/** What devices make of RFC 3164: their times, heads and mnemonics, written as they write them; and the missing year. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { parseSyslogLine } from '../../../actors/ingest/syslog-line.ts';

const receivedAtMs = Date.parse('2024-06-20T10:00:00Z');
const DAY_MS = 86_400_000;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Time, host, program, pid, message; undefined where the line is refused. */
type Read = [
  time: string,
  host: string,
  program: string | undefined,
  pid: string | undefined,
  message: string,
];
function read(line: string, atMs = receivedAtMs): Read | undefined {
  const parsed = parseSyslogLine(line, atMs);
  if (parsed === undefined) return undefined;
  const { timestampMs, hostname, program, pid, message } = parsed;
  return [new Date(timestampMs).toISOString(), hostname, program, pid, message];
}
const UPDOWN = '%LINK-3-UPDOWN: Interface Gi0/1, changed state to down';

describe('dialects of RFC 3164', () => {
  const dialects: [writer: string, line: string, expected: Read | undefined][] = [
    // Cisco IOS, as a relay passes it on: its own head comes first.
    [
      'IOS behind a relay',
      `<189>Jun 14 15:16:01 rtr1 45: *Jun 14 15:16:00.123 UTC: ${UPDOWN}`,
      ['2024-06-14T15:16:01.000Z', 'rtr1', '%LINK-3-UPDOWN', undefined, UPDOWN],
    ],
    [
      'IOS with two sequence numbers and a clock out of step',
      `<189>Jun 14 15:16:01 rtr1 45: 000046: .Jun 14 2024 15:16:00.123 CEST: ${UPDOWN}`,
      ['2024-06-14T15:16:01.000Z', 'rtr1', '%LINK-3-UPDOWN', undefined, UPDOWN],
    ],
    [
      'IOS with its uptime',
      `<189>Jun 14 15:16:01 rtr1 45: 3d21h: ${UPDOWN}`,
      ['2024-06-14T15:16:01.000Z', 'rtr1', '%LINK-3-UPDOWN', undefined, UPDOWN],
    ],
    [
      'IOS that names itself',
      `<189>45: rtr1: *Mar  1 18:46:11.123: ${UPDOWN}`,
      ['2024-03-01T18:46:11.123Z', 'rtr1', '%LINK-3-UPDOWN', undefined, UPDOWN],
    ],
    [
      'IOS that names itself, with a year and a zone that means one thing',
      `<189>45: rtr1: Jun 14 2023 15:16:01 PDT: ${UPDOWN}`,
      ['2023-06-14T22:16:01.000Z', 'rtr1', '%LINK-3-UPDOWN', undefined, UPDOWN],
    ],
    [
      'IOS whose zone means several: UTC',
      `<189>45: rtr1: Jun 14 15:16:01 IST: ${UPDOWN}`,
      ['2024-06-14T15:16:01.000Z', 'rtr1', '%LINK-3-UPDOWN', undefined, UPDOWN],
    ],
    [
      'IOS that names itself and says only how long it is up',
      `<189>45: rtr1: 00:12:34: ${UPDOWN}`,
      ['2024-06-20T10:00:00.000Z', 'rtr1', '%LINK-3-UPDOWN', undefined, UPDOWN],
    ],
    ['IOS that names no host', `<189>45: *Mar  1 18:46:11.123: ${UPDOWN}`, undefined],
    [
      'ASA with its own host',
      '<166>Jun 14 2024 15:16:01 fw1 : %ASA-6-302013: Built outbound TCP connection',
      [
        '2024-06-14T15:16:01.000Z',
        'fw1',
        '%ASA-6-302013',
        undefined,
        '%ASA-6-302013: Built outbound TCP connection',
      ],
    ],
    ['ASA without a host', '<166>Jun 14 2024 15:16:01: %ASA-6-302013: Built', undefined],
    [
      'NX-OS behind a relay, the year first',
      '<189>Jun 14 15:16:01 nx1 : 2024 Jun 14 15:16:00 UTC: %ETHPORT-5-IF_DOWN_ADMIN: Ethernet1/1 is down',
      [
        '2024-06-14T15:16:01.000Z',
        'nx1',
        '%ETHPORT-5-IF_DOWN_ADMIN',
        undefined,
        '%ETHPORT-5-IF_DOWN_ADMIN: Ethernet1/1 is down',
      ],
    ],
    [
      'NX-OS that names itself',
      '<189>: nx1: 2024 Jun 14 15:16:01.5 UTC: %DAEMON-3-SYSTEM_MSG: ntp',
      ['2024-06-14T15:16:01.500Z', 'nx1', '%DAEMON-3-SYSTEM_MSG', undefined, '%DAEMON-3-SYSTEM_MSG: ntp'],
    ],
    // Juniper: BSD with options for year and milliseconds; the mnemonic stays in the message.
    [
      'Junos',
      '<28>Jun 14 15:16:01 mx-1 rpd[1234]: %DAEMON-4-RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 10.0.0.1',
      [
        '2024-06-14T15:16:01.000Z',
        'mx-1',
        'rpd',
        '1234',
        '%DAEMON-4-RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 10.0.0.1',
      ],
    ],
    [
      'Junos with milliseconds and a year behind',
      '<28>Jun 14 15:16:01.211 2022 mx-1 mib2d[9]: SNMP_TRAP_LINK_DOWN: ifIndex 5',
      ['2022-06-14T15:16:01.211Z', 'mx-1', 'mib2d', '9', 'SNMP_TRAP_LINK_DOWN: ifIndex 5'],
    ],
    [
      'Arista',
      '<188>Jun 14 15:16:01 leaf1 Ebra: %LINEPROTO-5-UPDOWN: Line protocol on Interface Ethernet1',
      [
        '2024-06-14T15:16:01.000Z',
        'leaf1',
        'Ebra',
        undefined,
        '%LINEPROTO-5-UPDOWN: Line protocol on Interface Ethernet1',
      ],
    ],
    // BSD and relays.
    [
      'a numeric offset',
      'Jun 14 15:16:01 +0200 h p: x',
      ['2024-06-14T13:16:01.000Z', 'h', 'p', undefined, 'x'],
    ],
    [
      'UTC before a host',
      'Jun 14 15:16:01 UTC h p: x',
      ['2024-06-14T15:16:01.000Z', 'h', 'p', undefined, 'x'],
    ],
    ['a Z', 'Jun 14 15:16:01Z h p: x', ['2024-06-14T15:16:01.000Z', 'h', 'p', undefined, 'x']],
    [
      'a host like a zone',
      'Jun 14 15:16:01 EST p: x',
      ['2024-06-14T15:16:01.000Z', 'EST', 'p', undefined, 'x'],
    ],
    [
      'a host like a year',
      'Jun 14 15:16:01 2001:db8::1 p: x',
      ['2024-06-14T15:16:01.000Z', '2001:db8::1', 'p', undefined, 'x'],
    ],
    [
      'a host like a word',
      'Jun 14 15:16:01 FEED::1 p: x',
      ['2024-06-14T15:16:01.000Z', 'FEED::1', 'p', undefined, 'x'],
    ],
    [
      'an address in brackets',
      'Jun 14 15:16:01 [fe80::1] p[7]: x',
      ['2024-06-14T15:16:01.000Z', '[fe80::1]', 'p', '7', 'x'],
    ],
    [
      'date and time as two words',
      '2024-06-14 15:16:01,250 h p: x',
      ['2024-06-14T15:16:01.250Z', 'h', 'p', undefined, 'x'],
    ],
    [
      'three words',
      '2024-06-14 15:16:01 +0200 h p: x',
      ['2024-06-14T13:16:01.000Z', 'h', 'p', undefined, 'x'],
    ],
    [
      'a number that is no program',
      'Jun 14 15:16:01 h 45: x',
      ['2024-06-14T15:16:01.000Z', 'h', undefined, undefined, '45: x'],
    ],
    [
      'a percent sign of a text',
      'Jun 14 15:16:01 h df: 99% full',
      ['2024-06-14T15:16:01.000Z', 'h', 'df', undefined, '99% full'],
    ],
    ['a leap second', 'Jun 30 2015 23:59:60 h p: x', ['2015-07-01T00:00:00.000Z', 'h', 'p', undefined, 'x']],
    ['seconds since 1970', '1718378161.25 h p: x', ['2024-06-14T15:16:01.250Z', 'h', 'p', undefined, 'x']],
    ['a text that begins with a number', '404 not found: x', undefined],
    ['a host of blanks that are no spaces', 'Feb 29 23:59:60 \uFEFF {', undefined],
    ['such a host by RFC 5424', '<34>1 - \u00A0 - - - - x', undefined],
    ['words with times in them', 'rtr1: 00:12:34: nothing of Cisco', undefined],
    ['a time and no host', '2024-06-14T15:16:01Z: no host', undefined],
    ['an impossible day', '<189>45: rtr1: Feb 30 15:16:01: %A-1-B: x', undefined],
  ];
  for (const [writer, line, expected] of dialects) {
    it(`reads ${writer}`, () => {
      expect(read(line)).to.deep.equal(expected);
    });
  }

  it('keeps every value of a parameter that RFC 5424 elements repeat', () => {
    const line =
      '<34>1 - h - - - [origin ip="192.0.2.1" ip="192.0.2.129" ip="::1" x="1"][a b="1"][a b="2"] m';
    expect(JSON.parse(JSON.stringify(parseSyslogLine(line, receivedAtMs)?.structuredData))).to.deep.equal({
      origin: { ip: ['192.0.2.1', '192.0.2.129', '::1'], x: '1' },
      a: { b: ['1', '2'] },
    });
  });

  it('reads every fraction of a second exactly', () => {
    for (let ms = 0; ms < 1000; ms++) {
      const digits = String(ms).padStart(3, '0');
      expect(parseSyslogLine(`Jun 14 15:16:01.${digits} h p: x`, receivedAtMs)?.timestampMs).to.equal(
        Date.UTC(2024, 5, 14, 15, 16, 1, ms),
      );
    }
  });

  it('infers the year as trying every year does, also over a new year, in any zone', () => {
    const between = { min: Date.UTC(1995, 0), max: Date.UTC(2105, 0) };
    const aroundNewYear = fc
      .tuple(fc.integer({ min: 1996, max: 2104 }), fc.integer({ min: -10 * DAY_MS, max: 10 * DAY_MS }))
      .map(([year, offMs]) => Date.UTC(year, 0) + offMs);
    const received = fc.oneof(fc.integer(between), aroundNewYear);
    const day = fc.tuple(fc.nat(11), fc.integer({ min: 1, max: 31 }), fc.nat(23));
    const zone = fc.constantFrom(['', 0] as const, [' +1300', 780] as const, [' -1100', -660] as const);
    fc.assert(
      fc.property(received, day, zone, (atMs, [month, dayOfMonth, hour], [zoneText, zoneMinutes]) => {
        const years = Array.from({ length: 12 }, (_, back) => new Date(atMs).getUTCFullYear() + 2 - back);
        const candidates = years
          .filter((year) => new Date(Date.UTC(year, month, dayOfMonth)).getUTCMonth() === month)
          .map((year) => Date.UTC(year, month, dayOfMonth, hour) - zoneMinutes * 60_000);
        const latest = candidates.find((candidateMs) => candidateMs <= atMs + 7 * DAY_MS);
        const line = `${MONTHS[month]} ${String(dayOfMonth).padStart(2, ' ')} ${String(hour).padStart(2, '0')}:00:00${zoneText} h p: x`;
        expect(parseSyslogLine(line, atMs)?.timestampMs).to.equal(latest);
      }),
      { numRuns: 3000 },
    );
  });
});
