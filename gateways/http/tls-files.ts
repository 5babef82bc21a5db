/**
 * What uWebSockets.js is told of TLS: the ciphers, and files, since it reads a certificate and its key from nothing else.
 *
 * The files are made for one call, in memory where the system has such a place, in a directory that only their owner can
 * enter. They are gone before anything else runs: a handed-over key never stays on a disk.
 */
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsMaterial } from './tls-material.ts';

/** Of TLS 1.2: forward secrecy and authenticated encryption only. Those of TLS 1.3 are all sound, and not for choice. */
export const TLS_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

const MEMORY_DIR = '/dev/shm';

/** Paths of files that hold the material; `use` must have read them when it returns. */
export function withTlsFiles<T>(material: TlsMaterial, use: (paths: TlsMaterial) => T): T {
  const dir = mkdtempSync(join(scratchDir(), 'mutt-tls-'));
  try {
    const write = (name: string, text: string): string => {
      const path = join(dir, name);
      writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
      return path;
    };
    return use({
      certificate: write('certificate', material.certificate),
      key: write('key', material.key),
      clientCa: material.clientCa === undefined ? undefined : write('client-ca', material.clientCa),
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function scratchDir(): string {
  try {
    accessSync(MEMORY_DIR, constants.W_OK);
    return MEMORY_DIR;
  } catch {
    return tmpdir();
  }
}
