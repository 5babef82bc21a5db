import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { CliRun } from '../cli-run.ts';
import { cliFor, json } from './bed.ts';
import type { GivenNode } from './bed.ts';

interface Shown {
  name: string;
  hold: { kind: string; until: string | null; reason: string } | null;
}

export function describeDestinations(node: GivenNode): void {
  describe('mutt destinations', () => {
    let cli: CliRun;
    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(() => cli.close());

    it('pauses one for a time, lists it so, and resumes it', async () => {
      const asked = ['destinations', 'pause', 'local', '--reason', 'upgrade'];
      expect(await cli.run(...asked, '--until', '2h', '--json'), cli.err).to.equal(0);
      const { hold } = json<Shown>(cli);
      expect(hold).to.include({ kind: 'pause', reason: 'upgrade' });
      expect(Date.parse(hold?.until ?? '') - Date.now()).to.be.within(7_100_000, 7_200_000);
      expect(await cli.run('destinations', 'list')).to.equal(0);
      expect(cli.out).to.match(/^name +kind +url +per second +at once +held\n/);
      expect(cli.out).to.match(/local .*pause until \d{4}-\S+Z by admin: upgrade\n/);
      cli.out = '';
      expect(await cli.run('destinations', 'resume', 'local')).to.equal(0);
      expect(cli.out).to.equal('local: alerts are sent\n');
    });

    it('mutes one until it is resumed, and says what is wrong with a call', async () => {
      expect(await cli.run('destinations', 'mute', 'local', '--reason', 'noise')).to.equal(0);
      expect(cli.out).to.equal('local: mute by admin: noise\n');
      expect(await cli.run('destinations', 'mute', 'local')).to.equal(2);
      expect(cli.err).to.include('--reason');
      expect(await cli.run('destinations', 'pause', 'nobody', '--reason', 'x')).to.not.equal(0);
      expect(cli.err).to.include('E_NOT_FOUND');
      expect(await cli.run('destinations', 'resume', 'local')).to.equal(0);
    });
  });
}
