/**
 * Tables for people and for scripts: a header, one line per row, columns two blanks apart, nothing drawn around them.
 *
 * On a terminal the columns that may shrink do so until a line fits. Elsewhere every value is whole, and an empty one is
 * `-`, so that `awk '{print $2}'` always finds the same column.
 */
import type { CliContext } from './context.ts';
import { cut, displayWidth, fit, paletteFor, printable } from './terminal-text.ts';
import type { Paint } from './terminal-text.ts';

export interface Column<Row> {
  head: string;
  /** Any text: it is made harmless here. Empty text is shown as `-`. */
  cell: (row: Row) => string;
  align?: 'right';
  /** Gives way when there is no room; columns with blanks in their values come last. */
  shrinks?: boolean;
}

const GAP = '  ';
const EMPTY = '-';
/** A column that gives way keeps this much, so that there is something to read. */
const SHRUNK_COLUMNS_MIN = 8;

export interface TableOptions<Row> {
  /** Undefined: nothing is cut. */
  width: number | undefined;
  bold: Paint;
  /** Paints a whole line. */
  paintRow?: (row: Row) => Paint | undefined;
}

export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: TableOptions<Row>,
): string[] {
  const cells = rows.map((row) => columns.map(({ cell }) => oneColumn(printable(cell(row))) || EMPTY));
  const natural = columns.map(({ head }, index) =>
    Math.max(head.length, ...cells.map((line) => displayWidth(line[index] ?? ''))),
  );
  const widths = options.width === undefined ? natural : shrunk(columns, natural, options.width);
  const line = (texts: readonly string[]): string => {
    const fitted = columns.map(({ align }, index) => fit(texts[index] ?? '', widths[index] ?? 0, align));
    const text = fitted.join(GAP).trimEnd();
    return options.width === undefined ? text : cut(text, options.width);
  };
  return [
    options.bold(line(columns.map(({ head }) => head))),
    ...rows.map((row, index) => {
      const text = line(cells[index] ?? []);
      return options.paintRow?.(row)?.(text) ?? text;
    }),
  ];
}

/** Two blanks end a column, so a value has them only at its beginning, where they indent. */
function oneColumn(text: string): string {
  return text.trimEnd().replace(/(\S) {2,}/g, '$1 ');
}

/** The widest column that may shrink gives way first. */
function shrunk<Row>(
  columns: readonly Column<Row>[],
  natural: readonly number[],
  width: number,
): readonly number[] {
  const widths = [...natural];
  let over = widths.reduce((sum, each) => sum + each, 0) + GAP.length * (columns.length - 1) - width;
  while (over > 0) {
    let widest = -1;
    for (const [index, { shrinks }] of columns.entries()) {
      const mayShrink = shrinks === true && (widths[index] ?? 0) > SHRUNK_COLUMNS_MIN;
      if (mayShrink && (widths[index] ?? 0) > (widths[widest] ?? 0)) widest = index;
    }
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over -= 1;
  }
  return widths;
}

/** Writes a table to stdout, fitted to the terminal if there is one. */
export function writeTable<Row>(
  context: Pick<CliContext, 'io' | 'env'>,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  paintRow?: (row: Row) => Paint | undefined,
): void {
  const { io } = context;
  const lines = table(columns, rows, {
    width: io.isTTY ? io.columns : undefined,
    bold: paletteFor(context).bold,
    ...(paintRow === undefined ? {} : { paintRow }),
  });
  io.stdout.write(`${lines.join('\n')}\n`);
}

export function writeJson(context: Pick<CliContext, 'io'>, document: unknown): void {
  context.io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}
