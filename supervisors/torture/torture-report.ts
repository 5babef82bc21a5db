/** The report of a torture: for a person, and as a document. */
import { table } from '../../gateways/cli/table.ts';
import type { KindReport, Span } from './recovery.ts';
import type { TortureReport } from './torture.ts';

const EXAMPLES_SHOWN = 3;

export function reportDocument(report: TortureReport): object {
  return {
    seed: report.seed,
    is_good: report.wrong.length === 0,
    harmed_ms: report.harmedMs,
    faults: report.injected,
    kinds: report.kinds.map(({ kind, injected, missed, takenMs, arrivedMs }) => ({
      kind,
      injected,
      missed,
      taken_ms: takenMs,
      arrived_ms: arrivedMs,
    })),
    impossible: report.impossible,
    events: { sent: report.sent, answered: report.answered, replies: report.statuses },
    alerts: {
      delivered: report.alerts,
      repeats: report.repeats,
      dead_letters: report.deadLetters,
      own: report.ownAlerts,
    },
    websocket_breaks: report.socketBreaks,
    restarts: report.restarts,
    settled_ms: report.settledMs,
    wrong: report.wrong,
    kept_in: report.keptIn,
  };
}

export function reportText(report: TortureReport): string {
  const { kinds, impossible, wrong, seed } = report;
  const lines = table<KindReport>(
    [
      { head: 'FAULT', cell: ({ kind }) => kind },
      { head: 'TIMES', cell: ({ injected }) => String(injected), align: 'right' },
      { head: 'MISSED', cell: ({ missed }) => String(missed.length), align: 'right' },
      { head: 'TAKEN P50', cell: ({ takenMs }) => shown(takenMs, 'p50'), align: 'right' },
      { head: 'MAX', cell: ({ takenMs }) => shown(takenMs, 'max'), align: 'right' },
      { head: 'ARRIVED P50', cell: ({ arrivedMs }) => shown(arrivedMs, 'p50'), align: 'right' },
      { head: 'MAX', cell: ({ arrivedMs }) => shown(arrivedMs, 'max'), align: 'right' },
    ],
    kinds,
    { width: undefined, bold: (text) => text },
  );
  const times = Object.entries(report.alerts).map(([name, count]) => `${name} ${count}`);
  const statuses = Object.entries(report.statuses).map(([status, count]) => `${status}: ${count}`);
  const kindsDone = kinds.filter(({ injected }) => injected > 0).length;
  return [
    ...lines,
    '',
    'taken: from the end of the harm until a new event was answered with 200; arrived: until its alert was delivered; in ms',
    ...kinds.flatMap(({ kind, missed }) =>
      missed.length === 0 ? [] : [`missed ${kind}: ${missed.slice(0, EXAMPLES_SHOWN).join('; ')}`],
    ),
    ...impossible.map(({ kind, why }) => `not possible here: ${kind}: ${why}`),
    '',
    `seed ${seed}: ${report.injected} faults of ${kindsDone} kinds in ${Math.round(report.harmedMs / 1_000)} s`,
    `events: ${report.sent} sent, ${report.answered} answered; replies ${statuses.join(', ')}; WebSockets broke ${report.socketBreaks} times`,
    `alerts: ${times.join(', ')}; ${report.repeats} came again, ${report.deadLetters} were dead letters, ${report.ownAlerts} about MUTT itself`,
    `settled ${report.settledMs} ms after the last event; starts by the service manager: ${Object.entries(
      report.restarts,
    )
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    '',
    ...wrong.flatMap(({ kind, where, what, count, examples }) => [
      `WRONG  ${kind}, ${where}: ${count} ${what}`,
      ...examples.map((example) => `         ${example}`),
    ]),
    ...(report.keptIn === null ? [] : [`data and logs: ${report.keptIn}`]),
    wrong.length === 0
      ? 'verdict: good; nothing was lost, doubled or out of order, and everything recovered'
      : 'verdict: WRONG',
    '',
  ].join('\n');
}

function shown(span: Span | null, of: keyof Span): string {
  return span === null ? '' : String(span[of]);
}
