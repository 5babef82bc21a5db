/**
 * The command as a process of its own: what its environment, its pipes and its signals do.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { specDirectory } from '../../support/servers.ts';

const ENTRY = fileURLToPath(new URL('../../../supervisors/mutt.ts', import.meta.url));

interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

function mutt(args: readonly string[], env: NodeJS.ProcessEnv = {}): Ended {
  const dataDir = join(specDirectory('entry'), 'var');
  return spawnSync(process.execPath, [ENTRY, ...args], {
    env: { ...process.env, MUTT_DATA_DIR: dataDir, ...env },
    encoding: 'utf8',
    timeout: 60_000,
  });
}

describe('the mutt process', function () {
  this.timeout(120_000);

  it('helps and completes even when its environment cannot be used', () => {
    const env = { MUTT_ADMIN_PORT: 'none' };
    for (const args of [['--help'], ['help', 'config'], ['completion', 'bash'], ['--version']]) {
      const { status, stdout, stderr } = mutt(args, env);
      expect(status, stderr).to.equal(0);
      expect(stdout).to.not.equal('');
    }
  });

  it('names what is wrong with its environment when a command needs it', () => {
    for (const args of [['status'], ['start'], ['config', 'list']]) {
      const { status, stderr } = mutt(args, { MUTT_ADMIN_PORT: 'none', MUTT_ADMNI_HOST: 'x' });
      expect(status).to.equal(2);
      expect(stderr)
        .to.contain('E_CONFIG_INVALID')
        .and.to.contain('MUTT_ADMIN_PORT: is not a whole number')
        .and.to.contain('did you mean MUTT_ADMIN_HOST?');
    }
  });

  it('checks its configuration without starting', () => {
    const { status, stdout } = mutt(['check-config'], { MUTT_ADMIN_PORT: 'none' });
    expect(status).to.equal(1);
    expect(stdout).to.contain('fail  environment     MUTT_ADMIN_PORT: is not a whole number from 1 to 65535');
  });

  it('says that there is no key before the first start', () => {
    const { status, stderr } = mutt(['keys', 'list']);
    expect(status).to.equal(2);
    expect(stderr).to.contain('E_KEY_UNREADABLE').and.to.contain('Start the node once');
  });

  it('does not mind that nobody reads what it prints', async () => {
    const child = spawn(process.execPath, [ENTRY, 'completion', 'bash'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).to.equal(0);
    expect(stderr).to.equal('');
  });
});
