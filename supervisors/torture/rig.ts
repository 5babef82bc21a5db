/**
 * What is tortured: two nodes, each with a private Redis, on one private PostgreSQL, and four destinations in this process,
 * which nobody harms. All of it lives in one directory and carries one mark, so that nothing of it can stay behind.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { unlessAborted } from '../unless-aborted.ts';
import { DestinationServer } from './destination-server.ts';
import { freePorts } from '../embedded/free-ports.ts';
import { ALERT_TEXT } from './known-event.ts';
import { RunDirectory, endLeftoverRuns } from './run-directory.ts';
import type { RunKind } from './run-directory.ts';
import { continueProcesses } from './signals.ts';
import { TorturedNode } from './tortured-node.ts';
import { TorturedPostgres } from './tortured-postgres.ts';

export interface RigOptions {
  random: () => number;
  signal: AbortSignal;
  say: (text: string) => void;
}

/** Alerts go to all of the first three; the last one takes only what MUTT says about itself. */
export const DESTINATIONS = ['strict', 'latest', 'calm', 'own'] as const;
export type DestinationName = (typeof DESTINATIONS)[number];

const KIND: RunKind = { prefix: 'mutt-torture-', variable: 'MUTT_TORTURE_RUN' };
const NODES = ['node-1', 'node-2'];
const TEAM = 'TORTURE';
const OWN_TEAM = 'MUTT';
export const INGEST_KEY_NAME = 'relay';
const PEPPER_BYTES = 32;
/** As long as a change may take while parts of the rig are away. */
const CHANGE_MS = 30_000;
const CHANGE_PAUSE_MS = 200;
const IN_FORCE_MS = 60_000;

/** Times short enough that a torture of minutes sees what else would take hours. */
export const SETTINGS: Readonly<Record<string, string | number | boolean>> = {
  'unmatched.threshold': 0,
  'forward.retry.baseMs': 100,
  'forward.retry.delayMaxMs': 2_000,
  'forward.breaker.baseMs': 200,
  'forward.breaker.delayMaxMs': 2_000,
  'remediation.rejected.isRetried': true,
  'remediation.retry.baseMs': 1_000,
  'remediation.retry.delayMaxMs': 5_000,
  'remediation.letter.replaysMax': 1_000,
  'remediation.rate.perSecondMin': 50,
  'remediation.rate.perSecondMax': 5_000,
  'alerts.own.team': OWN_TEAM,
};

/** What a test of the rules by hand would call the one that is looked for. */
export const KNOWN_RULE = {
  name: 'known',
  match_string: ALERT_TEXT,
  priority: 10,
  prod_handling: 'Page_and_ticket',
  dev_handling: 'Page_and_ticket',
  team_assignment: TEAM,
  signature: '{host}',
} as const;

export class Rig {
  readonly directory: RunDirectory;
  readonly postgres: TorturedPostgres;
  readonly nodes: readonly TorturedNode[];
  readonly destinations: Readonly<Record<DestinationName, DestinationServer>>;
  /** The ingest key that senders use now. */
  ingestKey = '';
  readonly #onExit: () => void;

  private constructor(
    directory: RunDirectory,
    postgres: TorturedPostgres,
    nodes: readonly TorturedNode[],
    destinations: Readonly<Record<DestinationName, DestinationServer>>,
    onExit: () => void,
  ) {
    this.directory = directory;
    this.postgres = postgres;
    this.nodes = nodes;
    this.destinations = destinations;
    this.#onExit = onExit;
  }

  /** Everything runs and is in force when it settles; when it rejects, nothing is left. Errors: E_INTERRUPTED, those of a start. */
  static async start({ random, signal, say }: RigOptions): Promise<Rig> {
    endLeftoverRuns(KIND);
    const directory = new RunDirectory(KIND);
    // Left at once, by a second Ctrl-C: there is no time for more.
    const onExit = (): void => directory.clear();
    process.once('exit', onExit);
    const opened: (() => Promise<unknown>)[] = [];
    try {
      say(`in ${directory.path('')}`);
      say('starting PostgreSQL');
      const starting = TorturedPostgres.start(directory.path('postgres'));
      const postgres = await unlessAborted(starting, signal, (late) => late.stop());
      opened.push(() => postgres.stop());
      const destinations: Partial<Record<DestinationName, DestinationServer>> = {};
      for (const name of DESTINATIONS) {
        const collapses = name === 'latest';
        const server = await DestinationServer.start({ name, kind: 'moogsoft', collapses, random });
        destinations[name] = server;
        opened.push(() => server.close());
      }
      const nodes = await prepareNodes(directory, postgres.url);
      opened.push(...nodes.map((node) => () => node.unkeep()));
      const rig = new Rig(
        directory,
        postgres,
        nodes,
        destinations as Record<DestinationName, DestinationServer>,
        onExit,
      );
      say('starting two nodes');
      await unlessAborted(Promise.all(nodes.map((node) => node.run())), signal);
      await unlessAborted(rig.#configure(), signal);
      return rig;
    } catch (thrown) {
      process.off('exit', onExit);
      directory.clear();
      await Promise.allSettled(opened.map((close) => close()));
      directory.clear();
      throw thrown;
    }
  }

  node(name: string): TorturedNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  /**
   * A change through the API of whichever node takes it, tried again while that cannot be. Rejects when it is refused, and
   * when no node takes it in time.
   */
  async change<T>(
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
    { mayBeAbsent = false } = {},
  ): Promise<T> {
    const deadlineMs = performance.now() + CHANGE_MS;
    for (let attempt = 0; ; attempt++) {
      const asked = this.nodes[attempt % this.nodes.length];
      const reply = await asked
        ?.admin<T>(path, {
          method,
          ...(body === undefined ? {} : { body }),
          headers: method === 'POST' || path.endsWith('/rule-set') ? {} : { 'if-match': '*' },
        })
        .catch(() => undefined);
      if (reply !== undefined && (reply.status < 300 || (mayBeAbsent && reply.status === 404)))
        return reply.body;
      // A 412 says that it is not there yet; a 409, that somebody else is at it.
      const isPassing =
        reply === undefined || reply.status >= 500 || reply.status === 429 || reply.status === 409;
      if (!isPassing) {
        const said = JSON.stringify(reply.body).slice(0, 400);
        throw new Error(`${method} ${path} is refused: ${reply.status} ${said}`);
      }
      if (performance.now() > deadlineMs)
        throw new Error(`no node took ${method} ${path} within ${CHANGE_MS} ms`);
      await sleep(CHANGE_PAUSE_MS);
    }
  }

  set(key: string, value: string | number | boolean): Promise<unknown> {
    return this.change('PUT', `/api/v2/config/${key}`, { value });
  }

  /** Back to what it had at the start. */
  unset(key: string): Promise<unknown> {
    const value = SETTINGS[key];
    // One that is not set is no matter.
    return value === undefined
      ? this.change('DELETE', `/api/v2/config/${key}`, undefined, { mayBeAbsent: true })
      : this.set(key, value);
  }

  destinationDocument(name: DestinationName): Record<string, unknown> {
    return {
      name,
      kind: 'moogsoft',
      url: this.destinations[name].url,
      rate_per_second: 5_000,
      concurrency: 8,
      timeout_ms: 2_000,
      collapse: name === 'latest',
      routes: [{ team: name === 'own' ? OWN_TEAM : TEAM }],
    };
  }

  /** Whether a node takes events with this key. */
  async takesKey(node: TorturedNode, key: string): Promise<boolean> {
    try {
      const reply = await fetch(`http://127.0.0.1:${node.ports.ingest}/api/v2/ingest`, {
        method: 'POST',
        headers: { 'x-api-key': key, 'content-type': 'application/json' },
        body: '[]',
        signal: AbortSignal.timeout(2_000),
      });
      await reply.arrayBuffer();
      return reply.status === 200 || reply.status === 400;
    } catch {
      return false;
    }
  }

  /** Settles when all nodes take events with it; false when that is not in time. */
  async whenKeyTaken(key: string): Promise<boolean> {
    const deadlineMs = performance.now() + CHANGE_MS;
    while (performance.now() < deadlineMs) {
      const taken = await Promise.all(this.nodes.map((node) => this.takesKey(node, key)));
      if (taken.every(Boolean)) return true;
      await sleep(CHANGE_PAUSE_MS);
    }
    return false;
  }

  /** Ports of the nodes that somebody listens on, whoever that is: after everything was stopped, nobody may. */
  async openPorts(): Promise<string[]> {
    const ports = this.nodes.flatMap((node) =>
      Object.entries(node.ports).map(([what, port]: [string, number]) => ({
        name: `${node.name} ${what} ${port}`,
        port,
      })),
    );
    const open = await Promise.all(ports.map(({ port }) => isListenedOn(port)));
    return ports.filter((_, at) => open[at]).map(({ name }) => name);
  }

  /** Ends everything. What is kept is left where it is; else nothing stays. Gives what still ran. */
  async close({ isKept }: { isKept: boolean }): Promise<string[]> {
    continueProcesses();
    await Promise.all(this.nodes.map((node) => node.end().catch(() => node.unkeep())));
    await this.postgres.stop().catch(() => undefined);
    await Promise.all(Object.values(this.destinations).map((server) => server.close()));
    process.off('exit', this.#onExit);
    if (!isKept) return this.directory.remove();
    this.directory.leave();
    return [];
  }

  /** As `close`, for somebody who waits: nothing is asked to stop, everything is ended. */
  async breakOff({ isKept }: { isKept: boolean }): Promise<void> {
    const over = [...this.nodes.map((node) => node.unkeep()), this.postgres.stop().catch(() => undefined)];
    this.#endProcesses(isKept);
    await Promise.all(over);
    await Promise.all(Object.values(this.destinations).map((server) => server.close()));
    process.off('exit', this.#onExit);
    // Once more: what was being started when the others were ended.
    this.#endProcesses(isKept);
  }

  #endProcesses(isKept: boolean): void {
    if (isKept) this.directory.leave();
    else this.directory.clear();
  }

  async #configure(): Promise<void> {
    await this.change('PUT', '/api/v2/rule-set', {
      rules: [KNOWN_RULE],
      destinations: DESTINATIONS.map((name) => this.destinationDocument(name)),
    });
    for (const [key, value] of Object.entries(SETTINGS)) await this.set(key, value);
    const { key } = await this.change<{ key: string }>('POST', '/api/v2/keys', {
      name: INGEST_KEY_NAME,
      scopes: ['ingest'],
    });
    this.ingestKey = key;
    if (!(await this.whenKeyTaken(key))) throw new Error('the nodes do not take the key that they made');
    const { version } = await this.change<{ version: number }>('GET', '/api/v2/rule-set');
    await Promise.all(this.nodes.map((node) => node.whenApplied(version, IN_FORCE_MS)));
  }
}

function isListenedOn(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function prepareNodes(directory: RunDirectory, databaseUrl: string): Promise<TorturedNode[]> {
  const ports = await freePorts(NODES.length * 3);
  // Keys that one node makes are taken by the other.
  const pepper = randomBytes(PEPPER_BYTES).toString('hex');
  const preload = new URL('./skewed-clock.ts', import.meta.url).href;
  return NODES.map((name, at) => {
    const [ingest = 0, health = 0, admin = 0] = ports.slice(at * 3);
    const dir = directory.path(`${name}/data`);
    // As root the private servers run as another user, who must be able to pass through.
    mkdirSync(directory.path(name), { mode: 0o755 });
    mkdirSync(dir, { mode: 0o711 });
    mkdirSync(`${dir}/keys`, { mode: 0o700 });
    writeFileSync(`${dir}/keys/pepper`, pepper, { mode: 0o600 });
    const clockFile = directory.path(`${name}/clock`);
    return new TorturedNode({
      name,
      clockFile,
      dir,
      ports: { ingest, health, admin },
      isTied: true,
      env: {
        ...withoutSettings(),
        ...directory.environment,
        NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import=${preload}`.trim(),
        MUTT_TORTURE_CLOCK_FILE: clockFile,
        DATABASE_URL: databaseUrl,
        MUTT_AUDIT_UNMATCHED: 'all',
      },
    });
  });
}

/** What the environment says of another node is not for these; undefined takes it out. */
function withoutSettings(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter(
    (name) => (name.startsWith('MUTT_') && !name.startsWith('MUTT_SPEC_')) || name === 'REDIS_URL',
  );
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
