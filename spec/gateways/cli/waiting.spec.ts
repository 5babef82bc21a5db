import { expect } from 'chai';
import { describe, it } from 'mocha';
import { waiting } from '../../../gateways/cli/waiting.ts';
import { CliRun, fastClock, terminal } from './cli-run.ts';

describe('waiting for what takes long', () => {
  async function shown(isTTY: boolean, takesMs: number): Promise<string> {
    const cli = new CliRun('http://127.0.0.1:1');
    const context = { ...(isTTY ? terminal(cli, 60) : cli.context), clock: fastClock(20) };
    const work = new Promise<string>((resolve) => setTimeout(() => resolve('done'), takesMs / 20));
    expect(await waiting(context, 'checking', work)).to.equal('done');
    cli.close();
    expect(cli.out).to.equal('');
    return cli.err;
  }

  it('is shown on a terminal with its time, and taken away at the end', async () => {
    const text = await shown(true, 6_000);
    expect(text).to.match(/checking… 0:0[0-5]\n/);
    expect(text.endsWith('\u001b[1A\r\u001b[0J\u001b[?25h')).to.equal(true);
  });

  it('is not shown without a terminal', async () => {
    expect(await shown(false, 6_000)).to.equal('');
  });

  it('takes what was shown away when it fails, too', async () => {
    const cli = new CliRun('http://127.0.0.1:1');
    const context = { ...terminal(cli, 60), clock: fastClock(20) };
    const work = new Promise<never>((_, reject) => setTimeout(() => reject(new Error('no')), 200));
    let thrown: unknown;
    await waiting(context, 'checking', work).catch((error: unknown) => (thrown = error));
    expect(thrown).to.be.instanceOf(Error);
    expect(cli.err.endsWith('\u001b[?25h')).to.equal(true);
    cli.close();
  });
});
