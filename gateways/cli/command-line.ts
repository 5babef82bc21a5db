/**
 * What all commands share in how they are given: option groups, examples, and the readers of values.
 *
 * A reader refuses what it cannot read with a message that says what is allowed; commander shows it with the option.
 */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

/** Wraps a command so that its exit code reaches the program. */
export type Acts = <A extends unknown[]>(
  act: (...args: A) => Promise<number>,
) => (...args: A) => Promise<void>;

/** For commands that ask the admin API. */
export function withAdmin(command: Command): Command {
  return withTls(
    command
      .option('--admin-url <url>', 'where the admin API is')
      .option('--admin-key-file <path>', 'file with a key for it (default: the key of the node here)'),
  );
}

/** For commands that may have to speak https. */
export function withTls(command: Command): Command {
  return command
    .option('--tls-ca-file <path>', 'https: whom to trust (default: the authorities of Node)')
    .option('--tls-cert-file <path>', 'https: client certificate, for a server that asks for one')
    .option('--tls-key-file <path>', 'https: private key of the client certificate');
}

/** Text below the options of a command's help. */
export function examples(lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}

export function number(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a number from ${min} to ${max}.`);
  };
}

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** `200ms`, `60s`, `5m`, `24h`, `90d`, in ms. */
export function duration(minMs: number, maxMs: number): (text: string) => number {
  return (text) => {
    const valueMs = durationMs(text);
    if (valueMs !== undefined && valueMs >= minMs && valueMs <= maxMs) return valueMs;
    throw new InvalidArgumentError(
      `It must be a time from ${inUnits(minMs)} to ${inUnits(maxMs)}, such as 200ms, 60s, 5m, 24h or 90d.`,
    );
  };
}

/** `1%` or `0.01`, as a fraction of 1. */
export function fraction(text: string): number {
  const value = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (/^[\d.]+%?$/.test(text) && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a part from 0% to 100%, such as 1% or 0.01.');
}

/** A moment: RFC 3339, a date, or so long ago (`24h`). Gives RFC 3339 in UTC. */
export function moment(nowMs: () => number): (text: string) => string {
  return (text) => {
    const agoMs = durationMs(text);
    if (agoMs !== undefined) return new Date(nowMs() - agoMs).toISOString();
    const atMs = MOMENT.test(text) ? Date.parse(text) : NaN;
    if (!Number.isNaN(atMs)) return new Date(atMs).toISOString();
    throw new InvalidArgumentError(
      'It must be a moment such as 2026-11-21T12:00:00Z or 2026-11-21, or so long ago: 30m, 24h, 7d.',
    );
  };
}

/** As `moment`, but a length of time is counted from now on. */
export function futureMoment(nowMs: () => number): (text: string) => string {
  return (text) => {
    const aheadMs = durationMs(text);
    if (aheadMs !== undefined) return new Date(nowMs() + aheadMs).toISOString();
    return moment(nowMs)(text);
  };
}

/** `a,b c` and several uses of an option, as one list. */
export function words(text: string, before: readonly string[] = []): string[] {
  const given = text.split(/[\s,]+/).filter((word) => word !== '');
  if (given.length > 0) return [...before, ...given];
  throw new InvalidArgumentError('It must name at least one.');
}

const MOMENT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/;

function durationMs(text: string): number | undefined {
  const [, figure, unit = ''] = DURATION.exec(text) ?? [];
  return figure === undefined ? undefined : Number(figure) * (UNITS_MS[unit] ?? NaN);
}

function inUnits(ms: number): string {
  const [unit, size] = Object.entries(UNITS_MS).findLast(([, each]) => ms >= each && ms % each === 0) ?? [
    'ms',
    1,
  ];
  return `${ms / size}${unit}`;
}
