/** Relays of the distribution's archive, unpacked and not installed, and how they are ended. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { messageOf } from '../../runtime/errors.ts';
import { unpackPackages } from '../../supervisors/embedded/unpack-packages.ts';
import { specDirectory } from '../support/servers.ts';

const END_TIMEOUT_MS = 10_000;

/** The unpacked root of a relay. Errors: says what is missing, so that nobody takes it for a fault of the product. */
export async function unpacked({
  packages,
  program,
}: {
  packages: string[];
  program: string;
}): Promise<string> {
  // Within the run's directory: nothing is left behind, and the relays are those of the archive today.
  const toolsDir = specDirectory('relays');
  try {
    await unpackPackages({ toolsDir, name: program, packages, program, log: () => undefined });
  } catch (error) {
    throw new Error(
      `check:host needs ${packages.join(' and ')} from the archive of Debian or Ubuntu, and could not get them: ` +
        `${messageOf(error)}. Run it where apt-get reaches an archive.`,
      { cause: error },
    );
  }
  return join(toolsDir, program);
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
  await once(child, 'exit');
  clearTimeout(timer);
}
