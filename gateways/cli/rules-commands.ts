/**
 * The names, options and help of `mutt rules`; what each does is in a file of its own.
 */
import { Option } from 'commander';
import type { Command } from 'commander';
import { duration, examples, moment, wholeNumber, withAdmin } from './command-line.ts';
import type { Acts } from './command-line.ts';
import type { CliContext } from './context.ts';
import { rulesBacktest } from './rules-backtest.ts';
import type { RulesBacktestOptions } from './rules-backtest.ts';
import { COVERAGE_KINDS, rulesCoverage } from './rules-coverage.ts';
import type { RulesCoverageOptions } from './rules-coverage.ts';
import { rulesLint } from './rules-lint.ts';
import type { RulesLintOptions } from './rules-lint.ts';
import { rulesTest } from './rules-test.ts';
import type { RulesTestOptions } from './rules-test.ts';
import { ruleRollback, ruleVersions } from './rules-versions.ts';
import type { RuleRollbackOptions, RuleVersionsOptions } from './rules-versions.ts';
import { rulesApply, rulesDiff, rulesExport, rulesList, rulesSchema } from './rules.ts';
import type { RulesApplyOptions, RulesDiffOptions, RulesExportOptions, RulesShowOptions } from './rules.ts';

const VERSION_MAX = 2_147_483_647;
const LIST_MAX = 100_000;
const COVERAGE_LIMIT_DEFAULT = 200;
const VERSIONS_LIMIT_DEFAULT = 20;
/** The node has the last word about these. */
const RECENT_MAX = 100;
const NEAREST_MAX = 10;
const SAMPLES_MAX = 50;
const BACKTEST_EVENTS_MAX = 200_000;
const TIME_LIMIT_MS_MAX = 60_000;

export function addRules(program: Command, context: CliContext, acts: Acts): void {
  const rules = program
    .command('rules')
    .description('write, test, apply and look back at rules, as one does with software');
  addFileCommands(rules, context, acts);
  addTrials(rules, context, acts);
  addStored(rules, context, acts);
}

function addFileCommands(rules: Command, context: CliContext, acts: Acts): void {
  withAdmin(
    rules
      .command('lint')
      .description('say what is wrong with a file of rules, and where, and run the tests inside them')
      .argument('<file>', 'YAML file'),
  )
    .option('--offline', 'ask no node: check names, sections and what is given twice, no more')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(['mutt rules lint rules.yaml', 'mutt rules lint rules.yaml --offline']) +
        '\nWithout a node here only the shape is checked, and standard error says so. A node that was named by\n' +
        '--admin-url has to answer.\n' +
        'Exit code: 0 no faults, 1 faults, 2 wrong call or key, 3 the named node does not answer.\n',
    )
    .action(acts((file: string, options: RulesLintOptions) => rulesLint(context, file, options)));
  withAdmin(
    rules
      .command('diff')
      .description('show what applying a file would change, field by field')
      .argument('<file>', 'YAML file'),
  )
    .option('--exit-code', 'end with 1 when something differs')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(['mutt rules diff rules.yaml', 'mutt rules diff rules.yaml --exit-code']) +
        '\nRules that the file does not name stay as they are, and are not told.\n' +
        'Exit code: 0, 1 faults or with --exit-code a difference, 2 wrong call, 3 no node.\n',
    )
    .action(acts((file: string, options: RulesDiffOptions) => rulesDiff(context, file, options)));
  withAdmin(
    rules
      .command('apply')
      .description('bring the rules of a YAML file into force')
      .argument('<file>', 'YAML file'),
  )
    .option('--dry-run', 'only tell what would change')
    .option('--reason <text>', 'why, for the audit of the change')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(['mutt rules apply rules.yaml --dry-run', 'mutt rules apply rules.yaml --reason "CHG-1234"']) +
        '\nRules are found again by id, else by name. What the file does not name stays as it is. A rule with an\n' +
        'expected_version is changed only if it has that version still.\n' +
        'Exit code: 0 in force on every worker, 1 refused or not in force yet, 2 wrong call, 3 no node.\n',
    )
    .action(acts((file: string, options: RulesApplyOptions) => rulesApply(context, file, options)));
}

function addTrials(rules: Command, context: CliContext, acts: Acts): void {
  withAdmin(
    rules
      .command('test')
      .description(
        'run the tests inside rules, or say what rules decide about given events, and why others do not match',
      )
      .argument('[file]', 'YAML file of changed rules (default: the rules in force)'),
  )
    .option('--event <json>', 'an event as it is sent; @FILE for events in a file', repeated)
    .option('--line <text>', 'a syslog line; @FILE for lines in a file', repeated)
    .option('--recent <n>', 'the newest events of the audit log', wholeNumber(1, RECENT_MAX))
    .option('--host <name>', 'with --recent: only of this host')
    .option('--rule <rule>', 'explain this rule, by id or name, instead of the nearest ones')
    .option(
      '--nearest <n>',
      'of how many near rules to say why they do not match (default: 3)',
      wholeNumber(0, NEAREST_MAX),
    )
    .option('--alone', 'as if the rules of the file were all there are')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples([
        'mutt rules test rules.yaml',
        "mutt rules test --line '<187>Oct 11 22:14:15 core-1 %LINK-3-UPDOWN: Interface Gi0/1, changed state to down'",
        'mutt rules test rules.yaml --event \'{"hostname": "fw-1", "message": "login failed"}\' --rule logins',
        'mutt rules test rules.yaml --recent 20 --host core-1',
      ]) +
        '\nNothing is changed or sent. Exit code: 0, 1 a test fails, a rule has faults or an event cannot be read,\n' +
        '2 wrong call, 3 no node.\n',
    )
    .action(acts((file: string | undefined, options: RulesTestOptions) => rulesTest(context, file, options)));
  const momentOf = moment(() => context.clock.wallMs());
  withAdmin(
    rules
      .command('backtest')
      .description('say what a file of changed rules would have decided about the events of the audit log')
      .argument('<file>', 'YAML file'),
  )
    .option(
      '--from <when>',
      'received not before: a date, a time, or so long ago (default: 24h before --to)',
      momentOf,
    )
    .option('--to <when>', 'received before this (default: now)', momentOf)
    .option(
      '--events-max <n>',
      'look at so many events, the newest (default: 50000)',
      wholeNumber(1, BACKTEST_EVENTS_MAX),
    )
    .option(
      '--time-limit <time>',
      'look no longer than this (default: 20s)',
      duration(1_000, TIME_LIMIT_MS_MAX),
    )
    .option(
      '--samples <n>',
      'events shown of each kind of difference (default: 5)',
      wholeNumber(0, SAMPLES_MAX),
    )
    .option('--alone', 'as if the rules of the file were all there are')
    .option('--fail-on-change', 'end with 1 when a decision differs')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples([
        'mutt rules backtest rules.yaml',
        'mutt rules backtest rules.yaml --from 7d --events-max 200000 --time-limit 60s',
      ]) +
        '\nNothing is changed or sent; Ctrl-C ends it on the node too. Exit code: 0, 1 faults or with\n' +
        '--fail-on-change a difference, 2 wrong call, 3 no node or another backtest runs.\n',
    )
    .action(
      acts((file: string, options: RulesBacktestOptions & { timeLimit?: number }) =>
        rulesBacktest(context, file, {
          ...options,
          ...(options.timeLimit === undefined ? {} : { timeLimitMs: options.timeLimit }),
        }),
      ),
    );
  withAdmin(
    rules
      .command('coverage')
      .description(
        'find rules that never fired, that can never decide, and pairs that match the same events',
      ),
  )
    .addOption(new Option('--kind <kind>', 'only of this kind').choices(COVERAGE_KINDS))
    .option('--limit <n>', 'at most so many', wholeNumber(1, LIST_MAX), COVERAGE_LIMIT_DEFAULT)
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt rules coverage', 'mutt rules coverage --kind never_fired']))
    .action(acts((options: RulesCoverageOptions) => rulesCoverage(context, options)));
}

function addStored(rules: Command, context: CliContext, acts: Acts): void {
  withAdmin(rules.command('list').description('list the rules in the order they are tried'))
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt rules list', 'mutt rules list --json']))
    .action(acts((options: RulesShowOptions) => rulesList(context, options)));
  withAdmin(rules.command('export').description('print the rules as a file that apply takes'))
    .option('--with-versions', 'with the version of each rule: apply then refuses what was changed meanwhile')
    .option('--schema <where>', 'begin with a line that tells editors where the JSON Schema is')
    .option('--json', 'print JSON instead of YAML')
    .addHelpText(
      'after',
      examples([
        'mutt rules export > rules.yaml',
        'mutt rules export --with-versions --schema ./rules.schema.json > rules.yaml',
      ]),
    )
    .action(acts((options: RulesExportOptions) => rulesExport(context, options)));
  withAdmin(rules.command('schema').description('print the JSON Schema of a file of rules, for editors'))
    .addHelpText('after', examples(['mutt rules schema > rules.schema.json']))
    .action(acts((options: RulesShowOptions) => rulesSchema(context, options)));
  withAdmin(
    rules
      .command('versions')
      .description('list what a rule was after each change, newest first; who changed it, and why')
      .argument('<rule>', 'its id or name'),
  )
    .option('--limit <n>', 'at most so many', wholeNumber(1, LIST_MAX), VERSIONS_LIMIT_DEFAULT)
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['mutt rules versions 7', 'mutt rules versions link-down --json']))
    .action(acts((rule: string, options: RuleVersionsOptions) => ruleVersions(context, rule, options)));
  withAdmin(
    rules
      .command('rollback')
      .description('make a rule what it was before')
      .argument('<rule>', 'its id or name'),
  )
    .option(
      '--to-version <n>',
      'what this version was (default: before the last change)',
      wholeNumber(1, VERSION_MAX),
    )
    .option('--reason <text>', 'why, for the audit of the change')
    .option('--if-version <n>', 'only if it has this version now', wholeNumber(1, VERSION_MAX))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples([
        'mutt rules rollback link-down --reason "CHG-1234 taken back"',
        'mutt rules rollback 7 --to-version 3',
      ]) +
        '\nExit code: 0 in force on every worker, 1 refused or not in force yet, 2 wrong call, 3 no node.\n',
    )
    .action(acts((rule: string, options: RuleRollbackOptions) => ruleRollback(context, rule, options)));
}

/** An option that may be given several times. */
function repeated(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
