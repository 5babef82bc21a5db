/**
 * Reads tables out of a Markdown page, for specs that compare a page with the sources.
 */

/** The rows of the first table below a heading: trimmed cells without backticks, head and rule left out. */
export function tableRows(page: string, heading: string): string[][] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading);
  if (start === -1) throw new Error(`the page has no heading ${heading}`);
  const rest = lines.slice(start + 1);
  const first = rest.findIndex((line) => line.startsWith('|'));
  if (first === -1) throw new Error(`there is no table below ${heading}`);
  const after = rest.findIndex((line, at) => at > first && !line.startsWith('|'));
  const table = rest.slice(first + 2, after === -1 ? undefined : after);
  return table.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}
