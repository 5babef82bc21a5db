/**
 * `mutt rules backtest`: what a changed file of rules would have decided about the events that were, beside what the
 * rules in force decide.
 */
import { faultsIn } from './admin-client.ts';
import { seconds } from './changes.ts';
import { withAdminClient } from './connect.ts';
import type { AdminOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { DIFFERENCES, ruleText } from './rule-documents.ts';
import type { BacktestedRule, BacktestReply, BacktestSample, BacktestSide } from './rule-documents.ts';
import { faultsFoundByNode } from './rules.ts';
import { readRulesFile, triedRules } from './rules-file.ts';
import { table, writeJson } from './table.ts';
import type { Column } from './table.ts';
import { count, counted, cut, paletteFor, printable } from './terminal-text.ts';
import { waiting } from './waiting.ts';

export interface RulesBacktestOptions extends AdminOptions {
  from?: string;
  to?: string;
  eventsMax?: number;
  timeLimitMs?: number;
  samples?: number;
  alone?: boolean;
  failOnChange?: boolean;
  json?: boolean;
}

/** Beyond the time that the node may take: for the rules to be compiled, and the answer to come. */
const TIMEOUT_MARGIN_MS = 60_000;
/** What the node takes at most when nothing is said. */
const TIME_LIMIT_MS_DEFAULT = 20_000;
const MESSAGE_COLUMNS_MAX = 160;

export async function rulesBacktest(
  context: CliContext,
  path: string,
  options: RulesBacktestOptions,
): Promise<number> {
  const file = await readRulesFile(path, (document) => faultsFoundByNode(context, options, document));
  const request = {
    ...(options.alone === true ? { base: 'none' } : {}),
    rules: triedRules(file),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.to === undefined ? {} : { to: options.to }),
    ...(options.eventsMax === undefined ? {} : { events_max: options.eventsMax }),
    ...(options.timeLimitMs === undefined
      ? {}
      : { time_limit_seconds: Math.ceil(options.timeLimitMs / 1_000) }),
    ...(options.samples === undefined ? {} : { samples: options.samples }),
  };
  const timeoutMs = (options.timeLimitMs ?? TIME_LIMIT_MS_DEFAULT) + TIMEOUT_MARGIN_MS;
  const reply = await withAdminClient(context, options, (admin) =>
    waiting(
      context,
      'deciding about the events of the audit log',
      admin.ask<BacktestReply>('/api/v2/rules/backtest', request, context.signal, timeoutMs),
    ),
  ).catch((thrown: unknown) => {
    const faults = faultsIn(thrown);
    throw faults.some(({ field }) => field.startsWith('rules')) ? file.refused(faults) : thrown;
  });
  if (options.json === true) writeJson(context, reply);
  else context.io.stdout.write(`${reportLines(context, reply).join('\n')}\n`);
  const differing = DIFFERENCES.reduce((sum, kind) => sum + reply.counts[kind], 0);
  return options.failOnChange === true && differing > 0 ? EXIT.notGood : EXIT.ok;
}

const ENDED_BY: Readonly<Record<string, string>> = {
  events_max: 'older ones were left out: --events-max',
  time_limit: 'older ones were left out: the time was up',
};

function reportLines(context: CliContext, reply: BacktestReply): string[] {
  const { counts, alerts, events, window, rule_set: set } = reply;
  const { io } = context;
  const paint = paletteFor(context);
  const width = io.isTTY ? io.columns : undefined;
  const destinations = alerts.destinations.map(
    ({ destination, before, after }) => `${printable(destination)} ${count(before)} -> ${count(after)}`,
  );
  const by = destinations.length === 0 ? '' : ` (${destinations.join(', ')})`;
  const changed = `${count(set.added)} added, ${count(set.changed)} changed, ${count(set.removed)} removed`;
  const otherwise = events.decided_otherwise_when_stored;
  const left = reply.rules_different - reply.rules.length;
  const ended = ENDED_BY[window.ended_by];
  return [
    `rules     ${counted(set.rules, 'active rule')}: ${changed}`,
    `events    ${count(events.looked_at)} ${received(window)}${ended === undefined ? '' : `; ${ended}`}`,
    ...(events.unreadable === 0 ? [] : [`          ${count(events.unreadable)} more cannot be read`]),
    ...(otherwise === 0
      ? []
      : [
          `          ${count(otherwise)} were decided otherwise when they came than the rules in force decide`,
        ]),
    `decisions ${[...DIFFERENCES, 'unchanged' as const].map((kind) => `${kind} ${count(counts[kind])}`).join(', ')}`,
    `alerts    ${count(alerts.before)} -> ${count(alerts.after)}${by}`,
    ...(reply.caveat === null ? [] : [paint.yellow(`note      ${printable(reply.caveat)}`)]),
    ...(reply.rules.length === 0
      ? []
      : ['', ...table(RULE_COLUMNS, reply.rules, { width, bold: paint.bold })]),
    ...(left > 0 ? [`and ${counted(left, 'more rule')}; --json has no more either`] : []),
    ...DIFFERENCES.flatMap((kind) =>
      reply.samples[kind].length === 0
        ? []
        : [
            '',
            paint.bold(`${kind}, ${count(reply.samples[kind].length)} of ${count(counts[kind])}`),
            ...reply.samples[kind].flatMap(sampleLines),
          ],
    ),
  ];
}

function received({
  from,
  to,
  oldest_received_at: oldest,
  newest_received_at: newest,
}: BacktestReply['window']): string {
  if (oldest === null || newest === null) return `between ${seconds(from)} and ${seconds(to)}`;
  return `received from ${seconds(oldest)} to ${seconds(newest)}`;
}

const RULE_COLUMNS: readonly Column<BacktestedRule>[] = [
  { head: 'rule', cell: (rule) => ruleText(rule), shrinks: true },
  { head: 'before', cell: ({ before }) => count(before), align: 'right' },
  { head: 'after', cell: ({ after }) => count(after), align: 'right' },
  ...DIFFERENCES.map((kind): Column<BacktestedRule> => ({
    head: kind,
    cell: (rule) => count(rule[kind]),
    align: 'right',
  })),
];

function sampleLines(sample: BacktestSample): string[] {
  const { received_at: at, hostname, message, before, after } = sample;
  return [
    `  ${seconds(at)}  ${printable(hostname)}  ${cut(printable(message), MESSAGE_COLUMNS_MAX)}`,
    `    ${sideText(before)} -> ${sideText(after)}`,
  ];
}

function sideText({ decision, rules, alerts }: BacktestSide): string {
  const by = rules.length === 0 ? '' : ` by ${rules.map((rule) => printable(ruleText(rule))).join(', ')}`;
  return `${printable(decision)}${by}${alerts === 0 ? '' : ` (${counted(alerts, 'alert')})`}`;
}
