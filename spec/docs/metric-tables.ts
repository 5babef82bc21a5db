/**
 * The metrics as the page lists them, as layouts define them and as a scrape shows them: one line each, `name kind
 * labels`. The parts of a histogram (`_bucket`, `_sum`, `_count`) are one line of its name.
 */
import type { CounterDefinition } from '../../runtime/shared/counters.ts';

const ROW = /^\| `(mutt_\w+)` *\| (counter|gauge|histogram) *\|([^|]*)\|/gm;

export function metricsOfPage(page: string): string[] {
  return [...page.matchAll(ROW)]
    .map(([, name = '', kind = '', labels = '']) =>
      metricLine(
        name,
        kind,
        [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label),
      ),
    )
    .sort();
}

/** As layouts define them: a histogram is known by its buckets. */
export function metricsOfLayout(
  layout: readonly Pick<CounterDefinition, 'name' | 'kind' | 'labels'>[],
): string[] {
  const histograms = new Set(
    layout.flatMap(({ name }) => (name.endsWith('_bucket') ? [name.slice(0, -'_bucket'.length)] : [])),
  );
  const lines = layout.map(({ name, kind, labels }) => {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    return histograms.has(base)
      ? metricLine(base, 'histogram', [])
      : metricLine(name, kind, Object.keys(labels ?? {}));
  });
  return [...new Set(lines)].sort();
}

/** From Prometheus text: every sample's name and label names, with the kind that its family declares. */
export function metricsOfScrape(text: string): string[] {
  const kinds = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [name, kind]));
  const found = new Set<string>();
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const names = [...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label);
    const isHistogram = kinds.get(base) === 'histogram';
    found.add(
      isHistogram ? metricLine(base, 'histogram', []) : metricLine(name, kinds.get(name) ?? 'no kind', names),
    );
  }
  return [...found].sort();
}

function metricLine(name: string, kind: string, labels: readonly string[]): string {
  return [name, kind, [...labels].sort().join(',')].join(' ').trim();
}
