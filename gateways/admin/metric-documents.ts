/**
 * What a node says of its own service: how long the stages of the way take, and how it stands against its objectives.
 */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { count, oneOf, orNull, ratesDocument } from './documents.ts';

const stageFigures = Type.Object({
  /** Events, of the last three alerts. */
  count,
  /** Null when there was nothing. */
  p50_ms: orNull(Type.Number({ minimum: 0 })),
  p99_ms: orNull(Type.Number({ minimum: 0 })),
});

/** Of the last minutes. */
export const latencyDocument = Type.Object(
  {
    window_seconds: count,
    stages: Type.Object({
      received_to_stored: stageFigures,
      stored_to_matched: stageFigures,
      matched_to_committed: stageFigures,
      committed_to_sent: stageFigures,
      sent_to_accepted: stageFigures,
      received_to_accepted: stageFigures,
    }),
  },
  { title: 'Latency' },
);
export type LatencyDocument = Static<typeof latencyDocument>;

export const metricsDocument = Type.Object(
  { ...ratesDocument.properties, latency: latencyDocument },
  { title: 'Metrics' },
);

/** `ok` up to a burn rate of 1, `warn` up to 2. */
export const SLO_STATES = ['ok', 'warn', 'critical', 'no_data'] as const;
const ratio = Type.Number({ minimum: 0, maximum: 1 });
const sloComponent = Type.Object({
  target: ratio,
  /** Null with too little traffic to say. */
  availability: orNull(ratio),
  /** Of the errors that the target allows, the share that is left; below 0 when there were more. */
  error_budget_remaining: orNull(Type.Number()),
  burn_rate: orNull(Type.Number({ minimum: 0 })),
  state: oneOf(SLO_STATES),
  /** What is known: less than the window while the node is younger. */
  window_hours: Type.Number({ minimum: 0 }),
});
export const sloDocument = Type.Object(
  {
    window_hours: Type.Number({ minimum: 0 }),
    components: Type.Object({ ingestor: sloComponent, alerter: sloComponent, forwarder: sloComponent }),
  },
  { title: 'Slo' },
);
export type SloDocument = Static<typeof sloDocument>;
