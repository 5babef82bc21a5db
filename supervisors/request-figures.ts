/**
 * How requests to the ingest port fared between two looks at the counters. No I/O.
 */
import type { CounterSample } from '../runtime/shared/counters.ts';
import { percentile } from './percentile.ts';

/** Counted since the beginning. */
export interface RequestTotals {
  requests: number;
  /** Failed by a fault of ours: what a sender did wrong is no fault. */
  faults: number;
  /** Stored requests no slower than each bound, in the order of the bounds. */
  buckets: { boundMs: number; requests: number }[];
}

export interface RequestFigures {
  requests: number;
  /** 0 to 1; 0 without a request. */
  errorRate: number;
  /** Of stored requests; Infinity past the last bound, undefined without one. */
  latencyP99Ms: number | undefined;
}

/** Reasons of failed requests that a sender cannot help. */
export const FAULTS: ReadonlySet<string> = new Set([
  'full',
  'budget',
  'away',
  'timeout',
  'draining',
  'error',
]);
const PERCENTILE = 0.99;

export function requestTotals(samples: readonly CounterSample[]): RequestTotals {
  const valuesOf = (name: string): CounterSample['values'] =>
    samples.find((sample) => sample.name === name)?.values ?? [];
  const requests = valuesOf('mutt_ingest_requests_total');
  const sum = (values: CounterSample['values']): number =>
    values.reduce((total, { value }) => total + value, 0);
  return {
    requests: sum(requests),
    faults: sum(requests.filter(({ labels }) => FAULTS.has(labels['reason'] ?? ''))),
    buckets: valuesOf('mutt_ingest_request_duration_seconds_bucket')
      .map(({ labels, value }) => ({
        boundMs: labels['le'] === '+Inf' ? Infinity : Number(labels['le']) * 1_000,
        requests: value,
      }))
      .sort((a, b) => a.boundMs - b.boundMs),
  };
}

export function measure(from: RequestTotals, to: RequestTotals): RequestFigures {
  const requests = to.requests - from.requests;
  const faults = to.faults - from.faults;
  return {
    requests,
    errorRate: requests > 0 ? faults / requests : 0,
    latencyP99Ms: percentile(
      to.buckets.map(({ boundMs, requests: slower }, index) => ({
        boundMs,
        count: slower - (from.buckets[index]?.requests ?? 0),
      })),
      PERCENTILE,
    ),
  };
}
