/**
 * Who a process is, beyond its number: pids are used again, so a pid alone proves nothing.
 *
 * Plain JavaScript with node: imports only, because the bootstrap uses it on whatever Node there is.
 * Invariant: two different processes never have the same pid and the same identity, not even across a reboot.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

let bootId;

/** The identity of a running process, or undefined when there is none (a zombie counts as none). */
export function identityOf(pid) {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (process.platform !== 'linux') return identityFromPs(pid);
  const stat = statOf(pid);
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${bootId}:${stat.startTicks}`;
}

/** Whether the process that once had this pid and identity still runs. */
export function isSameProcess(pid, identity) {
  return identity !== undefined && identityOf(pid) === identity;
}

/** Pids of the children and their children, parents first. Linux only; elsewhere empty. */
export function descendantsOf(pid) {
  const childrenByParent = new Map();
  for (const candidate of allPids()) {
    const parent = statOf(candidate)?.parent;
    if (parent === undefined) continue;
    childrenByParent.set(parent, [...(childrenByParent.get(parent) ?? []), candidate]);
  }
  const found = [];
  const visit = (parent) => {
    for (const child of childrenByParent.get(parent) ?? []) {
      found.push(child);
      visit(child);
    }
  };
  visit(pid);
  return found;
}

/** Pids of every process whose start environment holds exactly `name=value`. Linux only; sees what this user may see. */
export function pidsWithEnvironment(name, value) {
  return allPids().filter((pid) => environmentOf(pid).includes(`${name}=${value}`));
}

/** The environment a process was started with, as `NAME=value` strings; empty when it may not be read. */
export function environmentOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function allPids() {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function statOf(pid) {
  let text;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0], parent: Number(fields[1]), startTicks: fields[19] };
}

function identityFromPs(pid) {
  try {
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return started === '' ? undefined : started;
  } catch {
    return undefined;
  }
}
