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

/** Lines that wait for a full disk to have room: this much per thread or process, then the newest are dropped. */
const WAITING_BYTES_MAX = 256 * 1024;

export function openLog(options: LogOptions): Log {
  const destination = pino.destination({
    dest: options.file ?? 1,
    sync: true,
    append: true,
    mkdir: false,
    maxLength: WAITING_BYTES_MAX,
  });
  // Without a listener a full disk would end the process that logs. The next line tries again.
  destination.on('error', () => {});
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
    destination,
  );
}
