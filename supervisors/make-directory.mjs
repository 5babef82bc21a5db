/**
 * Makes a directory and those above it, one by one.
 *
 * Plain JavaScript with node: imports only, because the bootstrap uses it before anything is installed. Node's own
 * recursive form never returns where a directory that is there takes no others, as in /proc.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** `mode` is for those that are made. Throws the file system's error; no error when it is there already. */
export function makeDirectory(path, mode) {
  const missing = [];
  for (let at = resolve(path); !existsSync(at) && dirname(at) !== at; at = dirname(at)) missing.unshift(at);
  for (const directory of missing) {
    try {
      mkdirSync(directory, { mode });
    } catch (error) {
      // Somebody else has made it meanwhile.
      if (error.code !== 'EEXIST') throw error;
    }
  }
}
