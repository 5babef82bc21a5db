/**
 * Which alerts are shed when the outbox fills, if the operator wants that: those worth least, as dead letters, so that
 * the others get through. An alert is worth more the graver it is, then if somebody is paged for it, then if its host
 * does not send more than its share. The fuller the outbox, the more is shed; what is critical, and what resolves an
 * earlier alert, never: that waits. Pure.
 */
import type { Divided, Shedding } from '../../runtime/durable/spill.ts';
import type { Bounds, Output } from '../../runtime/durable/durable-store.ts';
import type { Alert } from '../event.ts';
import { DEAD_LANE, decodeStoredAlert, encodeStoredAlert } from '../forward/messages.ts';
import type { ShedReason } from '../ports.ts';

export type ShedMode = 'off' | 'dlq' | 'defer';

export interface SheddingOptions {
  mode: () => ShedMode;
  /** Of the outbox: up to here nothing is shed. */
  thresholdPercent: () => number;
  /** Of the mailbox of dead letters. */
  bounds: Bounds;
}

const REASONS = { dlq: 'shed', defer: 'deferred' } as const satisfies Record<
  Exclude<ShedMode, 'off'>,
  ShedReason
>;

/** RFC 5424: critical and graver is never shed. */
const SEVERITY_SHED_MIN = 3;
const SEVERITY_MAX = 7;
/** Of an alert that says none: a warning's. */
const SEVERITY_UNKNOWN = 4;
/** Of each severity: a ticket or a page, of a host with more or less than its share. */
const WORTHS_OF_SEVERITY = 4;
const SHED_WORTHS = (SEVERITY_MAX - SEVERITY_SHED_MIN + 1) * WORTHS_OF_SEVERITY;

/** 0 is shed first; `Infinity` never. */
export function worthOf(
  { severity, status, decision }: Pick<Alert, 'severity' | 'status' | 'decision'>,
  isOverShare: boolean,
): number {
  const known = severity ?? SEVERITY_UNKNOWN;
  if (status === 'resolved' || known < SEVERITY_SHED_MIN) return Infinity;
  const isPage = decision !== 'Ticket_only';
  return (SEVERITY_MAX - known) * WORTHS_OF_SEVERITY + (isPage ? 2 : 0) + (isOverShare ? 0 : 1);
}

/** The worth below which alerts are shed: it grows evenly from the threshold on until the outbox is full. */
export function shedBelow(fill: number, thresholdPercent: number): number {
  const threshold = thresholdPercent / 100;
  if (fill < threshold) return 0;
  return Math.min(SHED_WORTHS, 1 + Math.floor(((fill - threshold) / (1 - threshold)) * SHED_WORTHS));
}

export function shedding({ mode, thresholdPercent, bounds }: SheddingOptions): Shedding {
  return {
    lane: DEAD_LANE,
    divide(outputs, fill): Divided {
      const wanted = mode();
      const below = wanted === 'off' ? 0 : shedBelow(fill, thresholdPercent());
      const isShed = ({ worth = Infinity }: Output): boolean => worth < below;
      if (wanted === 'off' || !outputs.some(isShed)) return { kept: outputs, shed: [] };
      const reason = REASONS[wanted];
      // Above that the figure would be of what did not fit, too.
      const howFull = fill > 1 ? 'had no room for all' : `would have been ${Math.floor(fill * 100)} % full`;
      const error = `not sent: the outbox ${howFull} (shed.thresholdPercent is ${thresholdPercent()})`;
      const shed = outputs.filter(isShed).map(({ payload }) => ({
        lane: DEAD_LANE,
        payload: encodeStoredAlert({ ...decodeStoredAlert(payload), reason, error }),
        bounds,
      }));
      return {
        kept: outputs.filter((output) => !isShed(output)),
        shed,
        counters: { [`alerts_${reason}`]: shed.length },
      };
    },
  };
}
