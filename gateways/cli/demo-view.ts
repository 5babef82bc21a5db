/**
 * The picture of `mutt demo`: figures in, lines of text out. It draws nothing itself.
 *
 * Every line fits the given width; below 60 columns the less important columns of the alert list go.
 */
import type { Ledger } from './admin-documents.ts';
import { terminalSum } from './accounting.ts';
import { count, cut, duration, fit, printable, sparkline } from './terminal-text.ts';
import type { Paint, Palette } from './terminal-text.ts';

/** One alert as the local sink took it. */
export interface AlertLine {
  /** RFC 3339. */
  receivedAt: string;
  /** Moogsoft's scale: 0 clear to 5 critical (wire formats, section 5.1). */
  severity: number;
  hostname: string;
  team: string;
  description: string;
}

export interface DemoFigures {
  seed: number;
  devices: number;
  /** Asked for, events/s. */
  ratePerSecond: number;
  elapsedMs: number;
  /** Answered by the node with "queued". */
  accepted: number;
  rejected: number;
  /** Events/s accepted over the last second. */
  acceptedPerSecond: number;
  /** Events/s of the last seconds, oldest first. */
  history: readonly number[];
  /** Since the demo began; `undefined` while the ledger cannot be read. */
  ledger: DemoLedger | undefined;
  alertsOut: number;
  alertsPerSecond: number;
  /** Newest first. */
  alerts: readonly AlertLine[];
  /** What is wrong now: the node says later, or is away. */
  trouble: string | undefined;
}

export interface DemoLedger {
  matched: number;
  unmatched: number;
  inFlight: number;
  /** What other senders gave the node meanwhile. */
  total: Ledger;
}

export const ALERT_LINES = 8;
const LABEL_COLUMNS = 12;
const FIGURE_COLUMNS = 11;
const RATE_COLUMNS = 9;
const NARROW_BELOW = 60;
const MATCHED_STATES = ['handled', 'forwarded', 'suppressed', 'superseded'] as const;

const SEVERITY_NAMES = ['clear', 'indeterm.', 'warning', 'minor', 'major', 'critical'] as const;

/** The part of two ledgers that lies between them. */
export function demoLedger(before: Ledger, now: Ledger): DemoLedger {
  const added = (state: keyof Ledger['terminal']): number =>
    (now.terminal[state] ?? 0) - (before.terminal[state] ?? 0);
  return {
    matched: MATCHED_STATES.reduce((sum, state) => sum + added(state), 0),
    unmatched: added('unmatched'),
    inFlight: now.in_flight,
    total: now,
  };
}

export function demoView(figures: DemoFigures, columns: number, paint: Palette): string[] {
  const width = Math.max(1, columns);
  const title = `MUTT demo  ${figures.devices} devices  seed ${figures.seed}  ${count(figures.ratePerSecond)} events/s`;
  const time = duration(figures.elapsedMs);
  const lines = [
    paint.bold(cut(`${fit(title, Math.max(0, width - time.length - 1))} ${time}`, width)),
    '',
    ...figureLines(figures, width, paint),
    '',
    paint.bold(cut('Last alerts', width)),
    ...alertLines(figures.alerts, width, paint),
    '',
    figures.trouble === undefined
      ? paint.dim(cut('Ctrl-C ends the demo.', width))
      : paint.yellow(cut(printable(figures.trouble), width)),
  ];
  return lines;
}

function figureLines(figures: DemoFigures, width: number, paint: Palette): string[] {
  const { ledger } = figures;
  const share = (part: number): string =>
    ledger === undefined || ledger.matched + ledger.unmatched === 0
      ? ''
      : `${((part * 100) / (ledger.matched + ledger.unmatched)).toFixed(1)} %`;
  const row = (label: string, figure: number | undefined, note = '', rest = ''): string =>
    cut(
      `  ${fit(label, LABEL_COLUMNS)}${fit(figure === undefined ? '?' : count(figure), FIGURE_COLUMNS, 'right')}` +
        `${fit(note, RATE_COLUMNS, 'right')}${rest === '' ? '' : `   ${rest}`}`,
      width,
    ).trimEnd();
  const room = Math.max(0, width - 2 - LABEL_COLUMNS - FIGURE_COLUMNS - RATE_COLUMNS - 3);
  const rejected = row('rejected', figures.rejected);
  return [
    row(
      'events in',
      figures.accepted,
      `${count(figures.acceptedPerSecond)}/s`,
      room === 0 ? '' : sparkline(figures.history.slice(-room)),
    ),
    row('matched', ledger?.matched, share(ledger?.matched ?? 0)),
    row('alerts out', figures.alertsOut, `${count(figures.alertsPerSecond)}/s`),
    row('unmatched', ledger?.unmatched, share(ledger?.unmatched ?? 0)),
    row('in flight', ledger?.inFlight),
    figures.rejected === 0 ? rejected : paint.red(rejected),
    ledgerLine(ledger, width, paint),
  ];
}

function ledgerLine(ledger: DemoLedger | undefined, width: number, paint: Palette): string {
  const label = `  ${fit('ledger', LABEL_COLUMNS)}`;
  if (ledger === undefined) return cut(`${label}cannot be read now`, width);
  const { accepted, replayed, balanced, in_flight: inFlight } = ledger.total;
  const sum = `${count(accepted + replayed)} in = ${count(terminalSum(ledger.total))} done + ${count(inFlight)} in flight`;
  const text = cut(`${label}${balanced ? 'balanced' : 'NOT BALANCED'}: ${sum}`, width);
  return balanced ? paint.green(text) : paint.boldRed(text);
}

function alertLines(alerts: readonly AlertLine[], width: number, paint: Palette): string[] {
  const shown = alerts.slice(0, ALERT_LINES).map((alert) => alertLine(alert, width, paint));
  if (shown.length === 0) shown.push(paint.dim(cut('  none yet', width)));
  // Always as many lines, so that the picture stands still.
  while (shown.length < ALERT_LINES) shown.push('');
  return shown;
}

/** `12:00:01 critical  core-rtr-01   NETO    %LINK-3-UPDOWN: …`, or less where there is less room. */
function alertLine(alert: AlertLine, width: number, paint: Palette): string {
  const level = Math.min(5, Math.max(0, Math.trunc(alert.severity)));
  const time = /T(\d\d:\d\d:\d\d)/.exec(alert.receivedAt)?.[1] ?? '';
  const isNarrow = width < NARROW_BELOW;
  const text = [
    ...(isNarrow ? [] : [`  ${fit(time, 8)}`]),
    fit(SEVERITY_NAMES[level] ?? '', 9),
    fit(printable(alert.hostname), 12),
    ...(isNarrow ? [] : [fit(printable(alert.team), 7)]),
    printable(alert.description),
  ].join(' ');
  return severityPaint(level, paint)(cut(text, width));
}

function severityPaint(level: number, paint: Palette): Paint {
  if (level === 5) return paint.boldRed;
  if (level === 4) return paint.red;
  if (level === 3) return paint.yellow;
  return level === 0 ? paint.green : paint.cyan;
}

/** One line per second, where nothing can be redrawn. */
export function demoTicker(figures: DemoFigures): string {
  const { ledger } = figures;
  return [
    duration(figures.elapsedMs),
    `in ${count(figures.accepted)} (${count(figures.acceptedPerSecond)}/s)`,
    `matched ${ledger === undefined ? '?' : count(ledger.matched)}`,
    `alerts ${count(figures.alertsOut)}`,
    `unmatched ${ledger === undefined ? '?' : count(ledger.unmatched)}`,
    `in flight ${ledger === undefined ? '?' : count(ledger.inFlight)}`,
    `rejected ${count(figures.rejected)}`,
    ledger === undefined ? 'ledger ?' : ledger.total.balanced ? 'balanced' : 'NOT BALANCED',
    ...(figures.trouble === undefined ? [] : [printable(figures.trouble)]),
  ].join('  ');
}
