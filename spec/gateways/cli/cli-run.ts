/**
 * A command line for specs: a context that keeps what is written, and files in a directory of its own.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildProgram } from '../../../gateways/cli/program.ts';
import type { Program, ProgramContext } from '../../../gateways/cli/program.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { ADMIN_KEY, INGEST_KEY } from './contract-server.ts';

export class CliRun {
  readonly interrupt = new AbortController();
  readonly dir = mkdtempSync(join(tmpdir(), 'mutt-cli-'));
  readonly context: ProgramContext;
  readonly program: Program;
  /** What is piped in. */
  stdin: (signal: AbortSignal) => AsyncIterable<Buffer> = async function* () {};
  out = '';
  err = '';

  constructor(url: string, overrides: Partial<ProgramContext> = {}) {
    this.context = {
      io: {
        stdout: { write: (text) => (this.out += text) },
        stderr: { write: (text) => (this.err += text) },
        isTTY: false,
        readStdin: (signal) => this.stdin(signal),
        columns: 80,
        rows: 24,
        closed: new AbortController().signal,
        onResize: () => () => undefined,
        onKey: () => () => undefined,
      },
      clock: systemClock,
      signal: this.interrupt.signal,
      adminUrl: url,
      ingestUrl: url,
      readIngestKey: async () => `${INGEST_KEY}\n`,
      readAdminKey: async () => `${ADMIN_KEY}\n`,
      env: {},
      version: '0.0.0-spec',
      ensureNode: async () => ({
        ingestUrl: url,
        adminUrl: url,
        ingestKey: INGEST_KEY,
        adminKey: ADMIN_KEY,
        stop: async () => undefined,
      }),
      commands: [],
      ...overrides,
    };
    this.program = buildProgram(this.context);
  }

  run(...args: string[]): Promise<number> {
    return this.program.run(args);
  }

  /** Writes a file; gives its path. */
  file(name: string, content: string | Buffer): string {
    const path = join(this.dir, name);
    writeFileSync(path, content);
    return path;
  }

  close(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The clock of the machine, so many times as fast: long waits pass in a blink. */
export function fastClock(times: number): Clock {
  return {
    monotonicMs: () => systemClock.monotonicMs() * times,
    wallMs: () => systemClock.wallMs(),
    after: (delayMs, task, options) => systemClock.after(delayMs / times, task, options),
  };
}

/** A terminal of the given width, on top of what a run keeps. */
export function terminal(run: CliRun, columns: number): ProgramContext {
  return { ...run.context, io: { ...run.context.io, isTTY: true, columns } };
}
