/**
 * Puts collected counters into a prom-client registry, so that one scrape shows every thread and process, dead ones
 * included. Values are read at the scrape; nothing is counted twice.
 *
 * A counter named `*_bucket`, `*_sum` or `*_count` belongs to the histogram of the name before that ending.
 */
import { Registry } from 'prom-client';
import type { CounterSample } from '../shared/counters.ts';

const HISTOGRAM_PART = /^(.+)_(bucket|sum|count)$/;

/** The samples in the Prometheus text format, version 0.0.4. */
export async function expose(samples: readonly CounterSample[]): Promise<string> {
  const registry = new Registry();
  const bucketed = new Set(
    samples.flatMap(({ name }) => (name.endsWith('_bucket') ? [name.slice(0, -'_bucket'.length)] : [])),
  );
  const families = new Map<string, Family>();
  for (const sample of samples) {
    const part = HISTOGRAM_PART.exec(sample.name);
    const base = part?.[1];
    const isHistogram = base !== undefined && bucketed.has(base);
    const name = isHistogram ? base : sample.name;
    const family =
      families.get(name) ?? new Family(name, sample.help, isHistogram ? 'histogram' : sample.kind);
    family.add(sample);
    families.set(name, family);
  }
  for (const family of families.values()) registry.registerMetric(family as never);
  return registry.metrics();
}

/** The part of prom-client's metric contract that a registry reads. */
class Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator = 'sum';
  readonly #values: { value: number; labels: Readonly<Record<string, string>>; metricName: string }[] = [];

  constructor(name: string, help: string, type: string) {
    this.name = name;
    this.help = help;
    this.type = type;
  }

  add(sample: CounterSample): void {
    for (const { labels, value } of sample.values) {
      this.#values.push({ value, labels, metricName: sample.name });
    }
  }

  async get(): Promise<object> {
    return {
      name: this.name,
      help: this.help,
      type: this.type,
      values: this.#values,
      aggregator: this.aggregator,
    };
  }
}
