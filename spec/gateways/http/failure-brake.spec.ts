import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FailureBrake } from '../../../gateways/http/failure-brake.ts';
import { ManualClock } from './manual-clock.ts';

function address(...bytes: number[]): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
const HOST_A = address(10, 0, 0, 1);
const HOST_B = address(10, 0, 0, 2);

describe('FailureBrake', () => {
  it('slows an address after its allowance, and no other', () => {
    const brake = new FailureBrake({ clock: new ManualClock() });
    for (let failure = 0; failure < 20; failure++) expect(brake.fail(HOST_A)).to.equal('now');
    expect(brake.fail(HOST_A)).to.equal('later');
    expect(brake.fail(HOST_B)).to.equal('now');
  });

  it('forgives when the window is over', () => {
    const clock = new ManualClock();
    const brake = new FailureBrake({ clock, failuresMax: 1 });
    expect(brake.fail(HOST_A)).to.equal('now');
    expect(brake.fail(HOST_A)).to.equal('later');
    clock.advance(10_000);
    expect(brake.fail(HOST_A)).to.equal('now');
  });

  it('counts an IPv6 /64 as one, and a mapped IPv4 address as itself', () => {
    const brake = new FailureBrake({ clock: new ManualClock(), failuresMax: 1 });
    const net = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1];
    expect(brake.fail(address(...net, 0, 0, 0, 0, 0, 0, 0, 1))).to.equal('now');
    expect(brake.fail(address(...net, 9, 9, 9, 9, 9, 9, 9, 9))).to.equal('later');
    const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    expect(brake.fail(address(...mapped, 10, 0, 0, 1))).to.equal('now');
    expect(brake.fail(address(...mapped, 10, 0, 0, 2))).to.equal('now');
    expect(brake.fail(HOST_A)).to.equal('later');
  });

  it('answers after the delay and bounds how many wait', () => {
    const clock = new ManualClock();
    const brake = new FailureBrake({ clock, failuresMax: 0, delayMs: 250, waitingMax: 2 });
    const answered: string[] = [];
    for (const name of ['first', 'second']) {
      expect(brake.fail(HOST_A)).to.equal('later');
      brake.wait(() => answered.push(name));
    }
    expect(brake.fail(HOST_A)).to.equal('never');
    clock.advance(249);
    expect(answered).to.deep.equal([]);
    clock.advance(1);
    expect(answered).to.deep.equal(['first', 'second']);
    expect(brake.waiting).to.equal(0);
    expect(brake.fail(HOST_A)).to.equal('later');
  });

  it('keeps a bounded number of addresses, the newest windows', () => {
    const brake = new FailureBrake({ clock: new ManualClock(), failuresMax: 1, addressesMax: 3 });
    for (let host = 0; host < 100; host++) brake.fail(address(10, 0, 1, host));
    expect(brake.addresses).to.equal(3);
    expect(brake.fail(address(10, 0, 1, 99))).to.equal('later');
    expect(brake.fail(address(10, 0, 1, 0))).to.equal('now');
  });
});
