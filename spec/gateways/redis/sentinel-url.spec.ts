import { expect } from 'chai';
import { describe, it } from 'mocha';
import { isSentinelUrl, readSentinelUrl } from '../../../gateways/redis/sentinel-url.ts';

describe('The address of a master group', () => {
  it('may be as short as one Sentinel and a name', () => {
    expect(readSentinelUrl('redis+sentinel://sentinel.example/mymaster')).to.deep.equal({
      sentinels: [{ host: 'sentinel.example', port: 26_379 }],
      group: 'mymaster',
      database: 0,
      username: undefined,
      password: undefined,
      sentinelUsername: undefined,
      sentinelPassword: undefined,
      isTls: false,
    });
  });

  it('holds several Sentinels, passwords for both kinds of server, and a database', () => {
    const url =
      'rediss+sentinel://mutt:p%40ss%3A1@10.0.0.1:1,[::1]:2,c.example/my-master.1/3?sentinel_username=eye&sentinel_password=s%26e';
    expect(readSentinelUrl(url)).to.deep.equal({
      sentinels: [
        { host: '10.0.0.1', port: 1 },
        { host: '::1', port: 2 },
        { host: 'c.example', port: 26_379 },
      ],
      group: 'my-master.1',
      database: 3,
      username: 'mutt',
      password: 'p@ss:1',
      sentinelUsername: 'eye',
      sentinelPassword: 's&e',
      isTls: true,
    });
  });

  it('takes a password without a user, and an empty user as none', () => {
    expect(readSentinelUrl('redis+sentinel://:secret@a/m')).to.include({
      username: undefined,
      password: 'secret',
    });
  });

  it('is told from that of a server', () => {
    expect(isSentinelUrl('redis://a:1/0')).to.equal(false);
    expect(isSentinelUrl('rediss+sentinel://a/m')).to.equal(true);
  });

  for (const [what, url] of [
    ['no master group', 'redis+sentinel://:hunter2@a:1'],
    ['no Sentinel', 'redis+sentinel://:hunter2@/mymaster'],
    ['a password that is not encoded', 'redis+sentinel://:hunter2@hunter2@a/mymaster'],
    ['broken encoding', 'redis+sentinel://:hunter2%zz@a/mymaster'],
    ['a port beyond all', 'redis+sentinel://:hunter2@a:65536/mymaster'],
    ['an empty Sentinel', 'redis+sentinel://:hunter2@a,,b/mymaster'],
    ['an IPv6 address without brackets', 'redis+sentinel://:hunter2@::1:26379/mymaster'],
    ['a group that no Sentinel takes', 'redis+sentinel://:hunter2@a/my%20master'],
    ['a database that is no number', 'redis+sentinel://:hunter2@a/mymaster/x'],
    ['a parameter of another kind', 'redis+sentinel://:hunter2@a/mymaster?password=hunter2'],
  ] as const) {
    it(`is refused with ${what}, and the message repeats nothing of it`, () => {
      expect(() => readSentinelUrl(url))
        .to.throw(RangeError)
        .with.property('message')
        .that.is.not.empty.and.does.not.include('hunter2');
    });
  }
});
