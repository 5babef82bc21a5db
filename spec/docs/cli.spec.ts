/**
 * The page of the `mutt` command and the program itself name the same commands, arguments and options.
 *
 * Method: the headings of the page are compared with the commands, and the first cells of the tables below each with its
 * options. Options of many commands stand once, in a section of their own.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { buildProgram } from '../../gateways/cli/program.ts';
import { machineCommands } from '../../supervisors/commands.ts';
import { readStaticConfig } from '../../supervisors/static-config.ts';
import { CliRun } from '../gateways/cli/cli-run.ts';
import { leafCommands } from '../gateways/cli/leaf-commands.ts';
import { readTree } from '../support/source-files.ts';

interface Section {
  /** As it is called: `config set <key> <value>`. */
  usage: string;
  /** `--reason <text>`, … */
  options: string[];
}

const COMMON_HEADING = 'Options that many commands have';
const PAGE = readTree().get('docs/reference/cli.md') ?? '';

function sectionsOf(page: string): { sections: Section[]; common: string[] } {
  const common: string[] = [];
  const sections: Section[] = [];
  let options: string[] = [];
  for (const line of page.split('\n')) {
    const heading = /^#+ (.+)$/.exec(line)?.[1];
    const usage = /^#+ `mutt (.+)`$/.exec(line)?.[1];
    if (usage !== undefined) sections.push({ usage, options: (options = []) });
    else if (heading !== undefined) options = heading === COMMON_HEADING ? common : [];
    const flags = /^\| `(--[^`]+)`/.exec(line)?.[1];
    if (flags !== undefined) options.push(flags);
  }
  return { sections, common };
}

function programSections(): Section[] {
  const cli = new CliRun('http://127.0.0.1:1');
  cli.close();
  const { context } = cli;
  const commands = machineCommands({
    context,
    config: () => readStaticConfig({}),
    dataDir: cli.dir,
    version: context.version,
  });
  return leafCommands(buildProgram({ ...context, commands }).command).map(({ path, command }) => {
    const names = command.registeredArguments.map((argument) => {
      const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
      return argument.required ? `<${name}>` : `[${name}]`;
    });
    return { usage: [...path, ...names].join(' '), options: command.options.map(({ flags }) => flags) };
  });
}

/** What the page and the program do not agree on; empty when they do. */
function differences(page: string, program: readonly Section[]): string[] {
  const { sections, common } = sectionsOf(page);
  const found: string[] = [];
  const usages = new Set(program.map(({ usage }) => usage));
  for (const { usage } of sections) if (!usages.has(usage)) found.push(`there is no command: ${usage}`);
  for (const { usage, options } of program) {
    const section = sections.find((each) => each.usage === usage);
    if (section === undefined) {
      found.push(`not on the page: ${usage}`);
      continue;
    }
    const told = new Set([...section.options, ...common]);
    for (const flags of options) if (!told.has(flags)) found.push(`not on the page: ${usage} ${flags}`);
    for (const flags of section.options) {
      if (!options.includes(flags)) found.push(`there is no option: ${usage} ${flags}`);
    }
  }
  const used = new Set(program.flatMap(({ options }) => options));
  for (const flags of common) if (!used.has(flags)) found.push(`no command has: ${flags}`);
  return found;
}

describe('The page of the mutt command', () => {
  it('names every command, argument and option of the program, and no others', () => {
    expect(differences(PAGE, programSections())).to.deep.equal([]);
  });

  it('is right that commands which print data have --json, and those that ask the admin API its options', () => {
    const without = (flags: string): string[] =>
      programSections()
        .filter(({ options }) => !options.includes(flags))
        .map(({ usage }) => usage);
    expect(without('--json')).to.have.members(['start', 'rules schema', 'completion <shell>']);
    expect(without('--admin-url <url>')).to.have.members([
      'start',
      'check-config',
      'doctor',
      'torture',
      'send [files...]',
      'demo',
      'completion <shell>',
    ]);
    expect(without('--admin-key-file <path>')).to.have.members(without('--admin-url <url>'));
  });

  it('is compared by a reading that sees what is missing on either side', () => {
    const page =
      '## `mutt a <x>`\n| `--one` | |\n| `--gone` | |\n## `mutt old`\n## Options that many commands have\n| `--json` |';
    const program = [
      { usage: 'a <x>', options: ['--one', '--new', '--json'] },
      { usage: 'b', options: [] },
    ];
    expect(differences(page, program)).to.have.members([
      'there is no command: old',
      'not on the page: a <x> --new',
      'there is no option: a <x> --gone',
      'not on the page: b',
    ]);
  });
});
