import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { SentOutcome } from '../../../actors/ports.ts';
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import { Beat } from '../../../supervisors/own-alerts/beat.ts';
import type { BeatFormat } from '../../../supervisors/own-alerts/beat.ts';
import { readStaticConfig } from '../../../supervisors/static-config.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { thrownBy } from '../../support/rejection.ts';

const SECRET = 'https://ping.example/3f1c-secret';

describe('The beat', () => {
  let clock: FakeClock;
  let beat: Beat;
  let bodies: unknown[];
  let outcome: SentOutcome;
  let logged: string[];

  function open(format: BeatFormat): void {
    beat = new Beat({
      clock,
      log: {
        info: (...line: unknown[]) => logged.push(JSON.stringify(line)),
        warn: (...line: unknown[]) => logged.push(JSON.stringify(line)),
      } as never,
      address: SECRET,
      format,
      everyMs: 30_000,
      node: 'n1:8090',
      version: '3.0.0',
      state: () => ({
        ready: false,
        reasons: ['Redis does not answer'],
        open: ['mutt::redis_away::n1:8090'],
      }),
      send: async ({ body }) => {
        bodies.push(JSON.parse(body));
        return outcome;
      },
      onSent: () => undefined,
    });
    beat.start();
  }

  beforeEach(() => {
    clock = new FakeClock();
    bodies = [];
    logged = [];
    outcome = { kind: 'delivered', status: 200 };
  });
  afterEach(() => beat.stop());

  it('comes at once and then at an even pace, says how the node is, and ends with a stop', async () => {
    open('webhook');
    clock.advance(90_000);
    await settle();
    expect(bodies).to.have.length(4);
    expect(bodies[0]).to.deep.include({
      source: 'MUTT',
      node: 'n1:8090',
      ready: false,
      reasons: ['Redis does not answer'],
      open: ['mutt::redis_away::n1:8090'],
      next_within_ms: 30_000,
    });
    beat.stop();
    expect(clock.pending).to.equal(0);
  });

  it('is for Alertmanager an alert that ends by itself when the beats stop', () => {
    open('alertmanager');
    const [[alert]] = bodies as [[{ labels: object; startsAt: string; endsAt: string }]];
    expect(alert.labels).to.deep.equal({ alertname: 'MuttBeat', node: 'n1:8090', severity: 'none' });
    expect(Date.parse(alert.endsAt) - Date.parse(alert.startsAt)).to.equal(4 * 30_000);
  });

  it('that is not taken is told once, without its address, and once when it is again', async () => {
    outcome = { kind: 'retry', reason: 'network', error: `ENOTFOUND ${SECRET}` };
    open('webhook');
    await clock.pass(300_000);
    expect(logged).to.have.length(1);
    outcome = { kind: 'delivered', status: 200 };
    await clock.pass(300_000);
    expect(logged).to.have.length(2);
    expect(logged.join()).not.to.include('ping.example');
  });

  it('has an address from the environment or a file, and one that is none is never repeated', () => {
    expect(readStaticConfig({}).beatUrl).to.equal(undefined);
    expect(readStaticConfig({ MUTT_BEAT_URL: SECRET })).to.include({ beatUrl: SECRET, beatEveryMs: 60_000 });
    expect(readStaticConfig({ MUTT_BEAT_URL: 'file:/run/beat' }).beatUrl).to.equal('file:/run/beat');
    const error = thrownBy(() => readStaticConfig({ MUTT_BEAT_URL: 'ftp://secret.example' }));
    expect(codeOf(error)).to.equal('E_CONFIG_INVALID');
    expect(messageOf(error)).to.include('MUTT_BEAT_URL').and.not.include('secret.example');
  });
});
