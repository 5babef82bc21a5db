/**
 * That `fsynced` is true, proven by a system call trace of Redis: at every reply, everything written to the append-only
 * file before it has gone through fdatasync. SIGKILL proves nothing here, since the page cache outlives a process.
 *
 * The same checker finds the opposite under `appendfsync everysec`, so it can fail.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { createWriter } from '../../runtime/durable/writer.ts';
import { toolsDirectory } from '../../supervisors/data-directory.ts';
import { libraryPathOf, unpackPackages } from '../../supervisors/embedded/unpack-packages.ts';
import type { PrivateServer } from '../../supervisors/embedded/private-server.ts';
import { openStore } from '../../supervisors/threads/store.ts';
import { specDirectory, startOwnRedis } from '../support/servers.ts';

const APPENDS = 200;

interface Trace {
  replies: number;
  /** Replies that left while the append-only file held bytes that no fdatasync had covered. */
  early: number;
  syncs: number;
}

async function findStrace(): Promise<{ file: string; env: NodeJS.ProcessEnv }> {
  try {
    await promisify(execFile)('strace', ['-V']);
    return { file: 'strace', env: process.env };
  } catch {
    const toolsDir = toolsDirectory();
    await unpackPackages({
      toolsDir,
      name: 'strace',
      packages: ['strace'],
      program: 'strace',
      log: () => undefined,
    });
    const root = join(toolsDir, 'strace');
    return {
      file: join(root, 'usr/bin/strace'),
      env: { ...process.env, LD_LIBRARY_PATH: libraryPathOf(root) },
    };
  }
}

/** Numbers of the descriptors that are append-only files. */
function appendFiles(pid: number): Set<string> {
  const dir = `/proc/${pid}/fd`;
  return new Set(readdirSync(dir).filter((fd) => readlinkSync(join(dir, fd)).includes('.aof')));
}

/** Descriptors that are sockets. */
function sockets(pid: number): Set<string> {
  const dir = `/proc/${pid}/fd`;
  return new Set(readdirSync(dir).filter((fd) => readlinkSync(join(dir, fd)).startsWith('socket:')));
}

async function traceAppends(server: PrivateServer): Promise<Trace> {
  const { store, close } = await openStore({ redisUrl: server.url, keyPrefix: 'trace' }, 'trace');
  const writer = createWriter<Buffer, undefined>({
    store,
    bounds: () => ({ entriesMax: 1e6, bytesMax: 1e9 }),
    cut: (submissions) => ({ payload: Buffer.concat(submissions.map(({ part }) => part)), tag: undefined }),
    onStoreOlder: async () => undefined,
  });
  await writer.submit(0, 'lane', 1, Buffer.from('the first one makes the file'));
  const [files, clients] = [appendFiles(server.pid), sockets(server.pid)];
  expect(files.size, 'an append-only file is open').to.equal(1);

  const output = join(specDirectory('trace'), 'trace.txt');
  const { file, env } = await findStrace();
  const args = [
    '-f',
    '-p',
    String(server.pid),
    '-e',
    'trace=write,writev,sendto,fsync,fdatasync',
    '-s',
    '8',
    '-o',
    output,
  ];
  const strace = spawn(file, args, { env, stdio: 'ignore' });
  while (!existsSync(output)) await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (let index = 0; index < APPENDS; index++) {
    await writer.submit(index % 8, 'lane', 1, Buffer.from(`message ${index}`));
  }
  strace.kill('SIGINT');
  await new Promise((resolve) => strace.once('exit', resolve));
  await writer.close();
  await close();

  const trace: Trace = { replies: 0, early: 0, syncs: 0 };
  let isDirty = false;
  for (const line of readFileSync(output, 'utf8').split('\n')) {
    const [, call, fd] = /^\d+\s+(write|writev|sendto|fsync|fdatasync)\((\d+)/.exec(line) ?? [];
    if (call === undefined || fd === undefined) continue;
    if (files.has(fd)) {
      if (call === 'write' || call === 'writev') isDirty = true;
      else {
        isDirty = false;
        trace.syncs += 1;
      }
    } else if (clients.has(fd)) {
      trace.replies += 1;
      if (isDirty) trace.early += 1;
    }
  }
  return trace;
}

describe('the ack level fsynced', function () {
  this.timeout(120_000);

  it('replies only after fdatasync has covered every byte of the append-only file [S-74]', async () => {
    const server = await startOwnRedis({ appendFsync: 'always' });
    try {
      const trace = await traceAppends(server);
      console.log('      always  ', trace);
      expect(trace.replies).to.be.at.least(APPENDS);
      expect(trace.syncs).to.be.at.least(APPENDS / 2);
      expect(trace.early).to.equal(0);
    } finally {
      await server.stop();
    }
  });

  it('is not what everysec does: the same check finds replies that came too early', async () => {
    const server = await startOwnRedis({ appendFsync: 'everysec' });
    try {
      const trace = await traceAppends(server);
      console.log('      everysec', trace);
      expect(trace.early).to.be.above(0);
    } finally {
      await server.stop();
    }
  });
});
