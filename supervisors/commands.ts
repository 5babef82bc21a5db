/**
 * The commands that need more than the admin API: they read this machine's environment and data directory.
 */
import { reportChecks } from '../gateways/cli/check-report.ts';
import type { CliContext } from '../gateways/cli/context.ts';
import type { ComposedCommand } from '../gateways/cli/program.ts';
import { waiting } from '../gateways/cli/waiting.ts';
import { examine } from './doctor.ts';
import { preflight } from './preflight.ts';
import { runStart } from './start.ts';
import type { StaticConfig } from './static-config.ts';
import { tortureCommand } from './torture/torture-command.ts';

export interface MachineOptions {
  context: CliContext;
  /** Throws what is wrong with the environment. */
  config(): StaticConfig;
  dataDir: string;
  version: string;
}

const JSON_OPTION = { flags: '--json', description: 'print JSON' };

export function machineCommands(options: MachineOptions): ComposedCommand[] {
  const { context, dataDir, version } = options;
  const { io, env, signal } = context;
  return [
    {
      name: 'start',
      description: 'run a node here until Ctrl-C',
      examples: ['npm start', 'REDIS_URL=redis://… DATABASE_URL=postgres://… mutt start'],
      run: () => runStart({ config: options.config(), dataDir, version, io, signal }),
    },
    {
      name: 'check-config',
      description: 'check environment, data directory and addresses without starting anything',
      options: [JSON_OPTION],
      examples: ['mutt check-config', 'MUTT_INGEST_PORT=8080 mutt check-config --json'],
      exitCodes: '0 a start would find nothing wrong with them, 1 it would',
      run: async ({ json }) => reportChecks(context, await preflight(env, dataDir), { json: json === true }),
    },
    {
      name: 'doctor',
      description: 'check everything: this machine, Redis, PostgreSQL, clocks, keys, the running node',
      options: [JSON_OPTION],
      examples: ['mutt doctor', 'mutt doctor --json | jq ".checks[] | select(.verdict != \\"ok\\")"'],
      exitCodes: '0 nothing has failed, 1 something has',
      run: async ({ json }) => {
        const checking = examine({
          env,
          dataDir,
          version,
          adminUrl: () => context.adminUrl,
          readAdminKey: () => context.readAdminKey(),
        });
        const checks = await waiting(context, 'checking', checking);
        return reportChecks(context, checks, { json: json === true });
      },
    },
    tortureCommand(context),
  ];
}
