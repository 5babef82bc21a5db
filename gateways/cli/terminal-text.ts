/**
 * Text for a terminal: numbers and times people can read, cut to the width there is, and harmless.
 *
 * Everything that strangers wrote (hosts, messages, a server's errors) goes through `printable`: an escape sequence in a
 * log line must not reach the operator's terminal.
 */
import type { CliIo } from './context.ts';

const ELLIPSIS = '…';
/** From here on most characters take two columns (Hangul, CJK, emoji). */
const WIDE_FROM = 0x1100;

/** Control characters, line ends, bidirectional marks and lone surrogates become visible or go. */
export function printable(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\t\r\n]+/g, ' ')
    .replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, '\ufffd');
}

function widthOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  return code >= WIDE_FROM && !(code >= 0x2000 && code <= 0x2bff) && code !== 0xfffd ? 2 : 1;
}

export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += widthOf(character);
  return width;
}

/** The beginning of `text` that fits, with an ellipsis when something is missing. */
export function cut(text: string, columns: number): string {
  if (columns <= 0) return '';
  if (displayWidth(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += widthOf(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return kept + ELLIPSIS;
}

/** Exactly `columns` wide. */
export function fit(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const kept = cut(text, columns);
  const blank = ' '.repeat(Math.max(0, columns - displayWidth(kept)));
  return align === 'left' ? kept + blank : blank + kept;
}

/** `12,345`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** `1 line`, `2 lines`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `0:07`, `1:02:03`, `2 d 1:02:03`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor(seconds / 3_600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days} d ${hours}:${two(minutes)}:${two(seconds % 60)}`;
  if (hours > 0) return `${hours}:${two(minutes)}:${two(seconds % 60)}`;
  return `${minutes}:${two(seconds % 60)}`;
}

export type Paint = (text: string) => string;

export interface Palette {
  bold: Paint;
  dim: Paint;
  red: Paint;
  boldRed: Paint;
  yellow: Paint;
  green: Paint;
  cyan: Paint;
}

const PLAIN: Paint = (text) => text;

/** Colours on a terminal that has not asked for none (no-color.org). */
export function paletteFor(context: {
  io: Pick<CliIo, 'isTTY'>;
  env: Readonly<Record<string, string | undefined>>;
}): Palette {
  const noColor = context.env['NO_COLOR'];
  const hasColor = context.io.isTTY && (noColor === undefined || noColor === '');
  const sgr = (code: string): Paint => (hasColor ? (text) => `\u001b[${code}m${text}\u001b[0m` : PLAIN);
  return {
    bold: sgr('1'),
    dim: sgr('2'),
    red: sgr('31'),
    boldRed: sgr('1;31'),
    yellow: sgr('33'),
    green: sgr('32'),
    cyan: sgr('36'),
  };
}

/** `512 B`, `1.5 KiB`, `12 MiB`. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let figure = value;
  let unit = 0;
  while (figure >= 1_024 && unit < units.length - 1) {
    figure /= 1_024;
    unit += 1;
  }
  return `${unit === 0 || figure >= 10 ? Math.round(figure) : figure.toFixed(1)} ${units[unit] ?? ''}`;
}

/** Events per second: whole where that says enough. */
export function perSecond(value: number): string {
  return value >= 100 ? count(value) : value.toFixed(1);
}

const BARS = '▁▂▃▄▅▆▇█';

/** One character per value, scaled to the greatest. */
export function sparkline(values: readonly number[]): string {
  const greatest = Math.max(...values, 1);
  return values
    .map((value) => BARS[Math.min(BARS.length - 1, Math.round((value / greatest) * (BARS.length - 1)))] ?? '')
    .join('');
}
