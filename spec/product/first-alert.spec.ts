/**
 * The first minutes of a new user, as printed: start in an empty directory, paste the curl line, see the alert, stop,
 * start again. What is run here is the text the product prints, never a copy of it.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { Ledger } from '../support/node-under-test.ts';
import { NodeUnderTest, processesOf, until } from '../support/node-under-test.ts';

const ENTRY = fileURLToPath(new URL('../../supervisors/mutt.ts', import.meta.url));
const TIMEOUT_MS = 60_000;

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

describe('The first alert', function () {
  this.timeout(TIMEOUT_MS);
  let node: NodeUnderTest;
  let temporary: string;
  let ledger: Ledger;
  let keys: { ingest: string; admin: string };

  before(async () => {
    temporary = mkdtempSync(join(tmpdir(), 'mutt-first-'));
    chmodSync(temporary, 0o777);
    node = await NodeUnderTest.prepare({ TMPDIR: temporary });
  });

  after(async () => {
    await node.close();
    rmSync(temporary, { recursive: true, force: true });
  });

  const mutt = (...args: string[]): Promise<Ran> => run(process.execPath, [ENTRY, ...args], node.environment);
  const recentAlerts = async (): Promise<{ alert: { source: string; description: string } }[]> =>
    (
      await node.admin<{ alerts: { alert: { source: string; description: string } }[] }>(
        '/api/v2/alerts/recent',
      )
    ).body.alerts;

  it('starts in an empty directory and says where to post, how to try it and how to stop', async () => {
    await node.start();
    await until(
      async () => node.output.includes('Stop '),
      5_000,
      () => node.output,
    );
    expect(node.output).to.include(`http://127.0.0.1:${node.ports.ingest}/api/v2/ingest`);
    expect(node.output).to.include(`http://127.0.0.1:${node.ports.admin}`);
    expect(node.output).to.include('Ctrl-C');
    expect(node.output).not.to.include(node.ingestKey);
    expect(node.output).not.to.include(node.adminKey);
  });

  it('keeps its keys where only their owner can read them', () => {
    const dir = join(node.dir, 'keys');
    expect(statSync(dir).mode & 0o777).to.equal(0o700);
    for (const name of readdirSync(dir)) {
      expect(statSync(join(dir, name)).mode & 0o777, name).to.equal(0o600);
    }
    keys = { ingest: node.ingestKey, admin: node.adminKey };
  });

  it('turns the printed curl line into an alert at the built-in sink', async () => {
    const { code, stdout, stderr } = await run('bash', ['-c', printedCurl(node.output)]);
    expect(code, stderr).to.equal(0);
    expect(JSON.parse(stdout)).to.include({ status: 'queued', accepted: 1, rejected: 0 });
    await node.settled();
    const alerts = await recentAlerts();
    expect(alerts).to.have.length(1);
    expect(alerts[0]?.alert.source).to.equal('core-rtr-01');
    expect(alerts[0]?.alert.description).to.include('LINK-3-UPDOWN');
  });

  it('shows in `mutt status` that it is ready and what became of the event', async () => {
    const { code, stdout, stderr } = await mutt('status');
    expect(code, stderr).to.equal(0);
    expect(stdout).to.match(/^ready/);
    expect(stdout).to.match(/balanced: 1 in = 1 done \+ 0 in flight/);
    expect(stdout).to.match(/forwarded 1/);
    expect(stdout).to.include('gateway-0');
  });

  it('refuses a second start in the same directory and names the first by its pid', async () => {
    const { code, stderr } = await mutt('start');
    expect(code).not.to.equal(0);
    expect(stderr).to.include('E_ALREADY_RUNNING').and.to.include(String(node.pid));
    expect(await node.isReady()).to.equal(true);
  });

  it('ends at Ctrl-C with code 0, and leaves no process and no temporary file', async () => {
    ledger = await node.ledger();
    expect(await node.stop()).to.equal(0);
    expect(node.output).to.include('stopped');
    expect(processesOf(node.dir)).to.deep.equal([]);
    expect(readdirSync(temporary)).to.deep.equal([]);
  });

  it('starts again with less than twenty seconds of processor time', async () => {
    // What the clock on the wall says depends on what else the machine does; on an idle one it is about half of this, and busy neighbours cost caches.
    await node.start();
    const seconds = processesOf(node.dir).reduce((sum, pid) => sum + processorSeconds(pid), 0);
    console.log(`      ${seconds.toFixed(1)} s of processor time`);
    expect(seconds).to.be.below(20);
  });

  it('keeps data and keys over a restart', async () => {
    expect({ ingest: node.ingestKey, admin: node.adminKey }).to.deep.equal(keys);
    const { accepted, terminal, balanced } = await node.ledger();
    expect({ accepted, terminal, balanced }).to.deep.equal({
      accepted: ledger.accepted,
      terminal: ledger.terminal,
      balanced: true,
    });
  });

  it('prints a curl line at the later start that works as well, and the ledger goes on', async () => {
    const { code, stdout, stderr } = await run('bash', ['-c', printedCurl(node.output)]);
    expect(code, stderr).to.equal(0);
    expect(JSON.parse(stdout)).to.include({ accepted: 1 });
    const now = await node.settled();
    expect(now.accepted).to.equal(ledger.accepted + 1);
    expect(now.terminal['forwarded']).to.equal((ledger.terminal['forwarded'] ?? 0) + 1);
    expect(await recentAlerts()).to.have.length(1);
  });
});

/** In user and system mode, all threads together, as of now. Linux counts in hundredths. */
function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

/** The lines of the printed curl command, the last one printed, as a user would paste them. */
function printedCurl(output: string): string {
  const found = [...output.matchAll(/^ {2}curl .*\\\n.*$/gm)].at(-1)?.[0];
  if (found === undefined) throw new Error(`no curl line in:\n${output}`);
  return found;
}

function run(file: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(file, args, { env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}
