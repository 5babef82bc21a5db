/**
 * Structured logs (pino): one JSON line each, written straight to one file or descriptor by every thread and process.
 *
 * No transport thread: a line must be out before its thread dies. Lines are appended whole (O_APPEND), so writers do
 * not mix. What is logged is rare by design (starts, stops, faults), never one line per message handled.
 */
import { pino } from 'pino';
import type { Logger } from 'pino';

export type Log = Logger;

export interface LogOptions {
  level: string;
  /** A file path, or undefined for standard output. */
  file: string | undefined;
  /** Which thread or process writes: put on every line. */
  source: string;
}

/** Names of fields that may hold a credential; their values never reach a line. */
const SECRET_FIELDS = ['password', 'secret', 'key', 'token', 'authorization', 'pepper', 'url'];

export function openLog(options: LogOptions): Log {
  return pino(
    {
      level: options.level,
      base: { source: options.source, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
        censor: '[redacted]',
      },
    },
    pino.destination({ dest: options.file ?? 1, sync: true, append: true, mkdir: false }),
  );
}
