/**
 * Keeps the log file bounded: past its size it is copied aside (the older copy goes) and emptied in place, since many
 * threads and processes append to it and hold it open.
 */
import { copyFileSync, rmSync, statSync, truncateSync } from 'node:fs';

const BYTES_MAX = 64 * 1024 * 1024;
const LOOK_EVERY_MS = 30_000;

function copyAside(file: string): void {
  const aside = `${file}.1`;
  try {
    copyFileSync(file, aside);
  } catch {
    // The disk is full: half a copy would keep it so, and a log that only grows even more.
    rmSync(aside, { force: true, recursive: true });
  }
}

/** Returns the function that stops it. */
export function keepLogSmall(file: string): () => void {
  const look = (): void => {
    try {
      if (statSync(file).size < BYTES_MAX) return;
      copyAside(file);
      truncateSync(file);
    } catch {
      // The file is gone: logging must never stop the node.
    }
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
