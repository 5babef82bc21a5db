/**
 * The terminal or pipe that this process was given, as commands use it.
 *
 * Invariant: a terminal in raw mode is given back as it was when the last listener for keys goes, and when the process
 * ends.
 */
import type { CliIo } from './context.ts';

const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;
const CTRL_C = '\u0003';

export function processIo(process: NodeJS.Process): CliIo {
  const { stdin, stdout, stderr } = process;
  const closed = new AbortController();
  // `mutt rules list | head` closes the pipe early: whoever wanted to read has read enough.
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (stream === stdout) closed.abort();
    });
  }
  return {
    stdout,
    stderr,
    isTTY: stdout.isTTY === true,
    closed: closed.signal,
    get columns() {
      return stdout.columns ?? COLUMNS_DEFAULT;
    },
    get rows() {
      return stdout.rows ?? ROWS_DEFAULT;
    },
    async *readStdin(signal) {
      const stop = (): void => void stdin.destroy();
      signal.addEventListener('abort', stop);
      if (signal.aborted) stop();
      try {
        for await (const chunk of stdin as AsyncIterable<Buffer>) yield chunk;
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
    onResize(listener) {
      stdout.on('resize', listener);
      return () => stdout.off('resize', listener);
    },
    onKey(listener) {
      if (stdin.isTTY !== true) return () => undefined;
      const onData = (chunk: Buffer | string): void => {
        const key = chunk.toString('utf8');
        // In raw mode the terminal makes no signal of it.
        if (key.includes(CTRL_C)) process.kill(process.pid, 'SIGINT');
        else listener(key);
      };
      const giveBack = (): void => void stdin.setRawMode(false);
      stdin.setRawMode(true);
      process.once('exit', giveBack);
      stdin.on('data', onData);
      stdin.resume();
      return () => {
        stdin.off('data', onData);
        stdin.pause();
        process.off('exit', giveBack);
        giveBack();
      };
    },
  };
}
