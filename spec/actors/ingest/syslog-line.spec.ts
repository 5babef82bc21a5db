/** What is read from lines of syslog: the shapes that devices and relays write, the missing year, and hostile text. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { parseSyslogLine } from '../../../actors/ingest/syslog-line.ts';

const receivedAtMs = Date.parse('2024-06-20T10:00:00Z');
const read = (line: string): unknown => {
  const parsed = parseSyslogLine(line, receivedAtMs);
  return parsed === undefined
    ? undefined
    : { ...parsed, timestampMs: new Date(parsed.timestampMs).toISOString() };
};

describe('parseSyslogLine', () => {
  describe('RFC 3164', () => {
    const stamp = '2024-06-14T15:16:01.000Z';

    it('reads priority, time, host, program, pid and message', () => {
      expect(read('<34>Jun 14 15:16:01 combo su[77]: failed for root')).to.deep.equal({
        facility: 4,
        severity: 2,
        timestampMs: stamp,
        hostname: 'combo',
        program: 'su',
        pid: '77',
        message: 'failed for root',
      });
    });

    const shapes: [string, string | undefined, string | undefined, string][] = [
      [
        'combo sshd(pam_unix)[19939]: authentication failure; uid=0',
        'sshd(pam_unix)',
        '19939',
        'authentication failure; uid=0',
      ],
      ['combo kernel: usbcore: registered new driver', 'kernel', undefined, 'usbcore: registered new driver'],
      ['combo rpc.statd[1234]: Version 1.0.6 Starting', 'rpc.statd', '1234', 'Version 1.0.6 Starting'],
      ['combo -- MARK --', undefined, undefined, '-- MARK --'],
      ['combo last message repeated 3 times', undefined, undefined, 'last message repeated 3 times'],
      ['combo syslogd 1.4.1: restart.', undefined, undefined, 'syslogd 1.4.1: restart.'],
      ['combo su[7] no colon', 'su', '7', 'no colon'],
      ['combo cron[]: no pid', 'cron', undefined, 'no pid'],
      [
        'fe80::1 %LINK-3-UPDOWN: Interface Gi0/1, changed state',
        '%LINK-3-UPDOWN',
        undefined,
        '%LINK-3-UPDOWN: Interface Gi0/1, changed state',
      ],
      ['combo postfix/smtpd[9]: connect', 'postfix/smtpd', '9', 'connect'],
    ];
    for (const [rest, program, pid, message] of shapes) {
      it(`reads ${rest}`, () => {
        expect(read(`Jun 14 15:16:01 ${rest}`)).to.deep.equal({
          timestampMs: stamp,
          hostname: rest.split(' ')[0],
          message,
          ...(program === undefined ? {} : { program }),
          ...(pid === undefined ? {} : { pid }),
        });
      });
    }

    it('reads a one-digit day, a year, fractions, and the RFC 3339 time of files', () => {
      const times = [
        'Jun  4 15:16:01',
        'Jun 4 15:16:01.250',
        'Jun  4 2019 15:16:01',
        '2019-06-04T17:16:01.5+02:00',
      ];
      expect(
        times.map((time) => (read(`${time} h m: x`) as { timestampMs: string }).timestampMs),
      ).to.deep.equal([
        '2024-06-04T15:16:01.000Z',
        '2024-06-04T15:16:01.250Z',
        '2019-06-04T15:16:01.000Z',
        '2019-06-04T15:16:01.500Z',
      ]);
    });

    it('gives a line without a year the latest one that is at most seven days ahead', () => {
      const year = (line: string, at: string): number =>
        new Date(
          parseSyslogLine(`${line} h p: x`, Date.parse(at))?.timestampMs ?? Number.NaN,
        ).getUTCFullYear();
      expect(year('Dec 31 23:59:59', '2024-01-01T00:00:05Z')).to.equal(2023);
      expect(year('Jan  1 00:00:05', '2023-12-31T23:59:59Z')).to.equal(2024);
      expect(year('Jun 27 10:00:00', '2024-06-20T10:00:00Z')).to.equal(2024);
      expect(year('Jun 27 10:00:01', '2024-06-20T10:00:00Z')).to.equal(2023);
      expect(year('Feb 29 00:00:00', '2023-06-20T10:00:00Z')).to.equal(2020);
      expect(year('Feb 29 00:00:00', '1903-06-20T10:00:00Z')).to.equal(1896);
    });
  });

  describe('RFC 5424', () => {
    it('reads every field, escapes in elements, and strips the byte order mark', () => {
      const parsed = parseSyslogLine(
        '<165>1 2003-10-11T22:14:15.003Z Host.example evntslog 8710 ID47 [a@1 x="1" y="q\\"u\\]\\\\\\n"][b] \uFEFFAn event',
        receivedAtMs,
      );
      expect(JSON.parse(JSON.stringify(parsed))).to.deep.equal({
        facility: 20,
        severity: 5,
        timestampMs: Date.parse('2003-10-11T22:14:15.003Z'),
        hostname: 'Host.example',
        program: 'evntslog',
        pid: '8710',
        msgid: 'ID47',
        structuredData: { 'a@1': { x: '1', y: 'q"u]\\\\n' }, b: {} },
        message: 'An event',
      });
    });

    it('leaves nil fields absent, and takes the receipt time for a nil time', () => {
      expect(read('<34>1 - host - - - - plain text')).to.deep.equal({
        facility: 4,
        severity: 2,
        timestampMs: new Date(receivedAtMs).toISOString(),
        hostname: 'host',
        message: 'plain text',
      });
    });

    it('takes the elements for the message where there is no other', () => {
      expect(read('<34>1 - host - - - [a x="1"]')).to.deep.include({ message: '[a x="1"]' });
    });

    it('leaves elements that are not well formed to the message', () => {
      for (const text of [
        '[unclosed x="1" text',
        '[a x=1] text',
        '[] text',
        '[a]glued text',
        '[a x="1"y="2"]',
      ]) {
        const parsed = parseSyslogLine(`<34>1 - host - - - ${text}`, receivedAtMs);
        expect(parsed?.message, text).to.equal(text);
        expect(parsed?.structuredData, text).to.equal(undefined);
      }
    });

    it('takes the names of a stranger as data', () => {
      const parsed = parseSyslogLine('<34>1 - host - - - [__proto__ polluted="yes"] m', receivedAtMs);
      expect(Object.keys(parsed?.structuredData ?? {})).to.deep.equal(['__proto__']);
      expect(({} as { polluted?: string }).polluted).to.equal(undefined);
    });
  });

  it('refuses a line without a time, a host or a message', () => {
    for (const line of [
      '',
      ' ',
      'hello world',
      '<34>',
      '<>x',
      '<192>Jun 14 15:16:01 h p: x',
      '<1234>Jun 14 15:16:01 h p: x',
      '<34>hello',
      'Jun 14 15:16:01',
      'Jun 14 15:16:01 ',
      'Jun 14 15:16:01 host',
      'Jun 14 15:16:01 host ',
      'Jun 14 15:16:01 host sshd[7]: ',
      'Jun 14 15:16:01 sshd[7]: no host',
      'Jun 14 15:16:01 kernel: no host',
      'Jux 14 15:16:01 h p: x',
      'Jun 31 15:16:01 h p: x',
      'Jun 14 25:16:01 h p: x',
      '<34>1 - - app - - - nil host',
      '<34>1 2024-99-01T00:00:00Z h - - - - x',
      '<34>1 - host -',
      '<34>1 - host - - - -',
      '2024-06-14 host p: x',
    ]) {
      expect(read(line), line).to.equal(undefined);
    }
  });

  it('never throws and never gives an empty host or message, whatever the text', () => {
    const piece = fc.constantFrom(
      '<34>',
      '<34>1 ',
      'Jun 14 15:16:01 ',
      '2024-06-14T15:16:01Z ',
      'host ',
      'p[1]: ',
      '- ',
      '[a x="1"]',
      '["\\',
      ' ',
      ':',
      '\0',
      '\uFEFF',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (line) => {
        const parsed = parseSyslogLine(line, receivedAtMs);
        if (parsed === undefined) return;
        expect(parsed.hostname).to.not.equal('');
        expect(parsed.message.trim()).to.not.equal('');
        expect(Number.isSafeInteger(parsed.timestampMs)).to.equal(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('takes time in proportion to the length of hostile lines', () => {
    for (const unit of ['[a x="', '[a ', 'x="\\"', 'a[', ':', '\\', '<1>', 'a ']) {
      const line = `<34>1 - h - - - ${unit.repeat(60_000 / unit.length)}`;
      const startedAt = process.cpuUsage();
      parseSyslogLine(line, receivedAtMs);
      parseSyslogLine(`Jun 14 15:16:01 h ${unit.repeat(10_000)}`, receivedAtMs);
      expect(process.cpuUsage(startedAt).user / 1000, unit).to.be.below(50);
    }
  });
});
