/**
 * What a node says of itself when the admin process asks: whether it is ready, what runs, what is in effect. Reads only.
 */
import { SETTINGS, effectiveSettings, settingSource } from '../actors/settings.ts';
import type { Settings, SettingValue } from '../actors/settings.ts';
import type { CallHandlers } from '../runtime/calls.ts';
import { systemClock } from '../runtime/clock.ts';
import type { CounterCollector } from '../runtime/shared/counters.ts';
import type { Supervisor } from '../runtime/supervision/supervisor.ts';
import type { LatencyHistory } from './latency-history.ts';
import { heldDestinations, pausesOf } from './held-destinations.ts';
import type { HeldDestination } from './held-destinations.ts';
import type { NodeWorkers, WorkerVersion } from './node-workers.ts';
import type { OwnAlertKeeper } from './own-alerts/own-alert-keeper.ts';
import { partitionOwners } from './partition-owners.ts';
import type { PoolView } from './pools/pool-size.ts';
import type { SloHistory } from './slo-history.ts';
import { portUrl } from './static-config.ts';
import type { StaticConfig } from './static-config.ts';
import { treeDocument } from './tree-document.ts';

export interface NodeStatusOptions {
  config: StaticConfig;
  version: string;
  tree: Supervisor;
  workers: NodeWorkers;
  collector: CounterCollector;
  latency: LatencyHistory;
  slo: SloHistory;
  ownAlerts: Pick<OwnAlertKeeper, 'open'>;
  startedAtMs: number;
  nowMs: () => number;
  /** Why not, as far as only the node knows; empty when nothing is in the way. */
  reasonsNotReady: () => string[];
}

/** What is in effect on this node, and who runs it. */
export interface EffectiveSettings {
  /** Of the snapshot; 0 before there is one. */
  version: number;
  settings: Settings;
  /** What holds on this node when nothing is set. */
  defaults: Settings;
  sources: Record<string, 'default' | 'environment' | 'set'>;
  workers: WorkerVersion[];
  pools: PoolView[];
}

/** What the admin process may ask of it. */
export function nodeStatus(options: NodeStatusOptions): CallHandlers {
  const { tree, collector, workers } = options;
  return {
    readiness: () => readiness(options),
    status: () => status(options),
    tree: () => treeDocument(tree),
    samples: () => collector.collect(),
    latency: () => options.latency.document(),
    slo: () => options.slo.document(),
    effective: () => effective(options),
    partitions: () =>
      partitionOwners(treeDocument(tree), workers.pools, workers.reports, pausesOf(heldHere(options))),
  };
}

function heldHere({ workers }: NodeStatusOptions): HeldDestination[] {
  return heldDestinations(workers.snapshot?.destinations ?? [], systemClock.wallMs());
}

/** Whether it takes events now. */
export function readiness({
  tree,
  workers,
  reasonsNotReady,
}: Pick<NodeStatusOptions, 'tree' | 'workers' | 'reasonsNotReady'>): { ready: boolean; reasons: string[] } {
  const reasons = reasonsNotReady();
  if (!workers.gateways.slots.some(({ pid }) => pid !== undefined)) reasons.push('no gateway is running');
  const gateways = treeDocument(tree).children?.find(({ id }) => id === 'gateways')?.children ?? [];
  if (!gateways.some(({ status }) => status === 'running')) reasons.push('no gateway takes events');
  return { ready: reasons.length === 0, reasons };
}

function status(options: NodeStatusOptions): Record<string, unknown> {
  const { config, version, workers, tree, startedAtMs, nowMs } = options;
  return {
    ...readiness(options),
    version,
    pid: process.pid,
    uptime_seconds: Math.round((nowMs() - startedAtMs) / 1_000),
    addresses: {
      ingest: portUrl(config, 'ingest'),
      health: portUrl(config, 'health'),
      admin: portUrl(config, 'admin'),
    },
    snapshot: { version: workers.snapshot?.version ?? 0, applied: workers.applied },
    rules: workers.inForce.rules.view,
    pools: workers.sizes,
    destinations: [...heldHere(options), ...workers.reports.destinations],
    latency: options.latency.document(),
    own_alerts: options.ownAlerts.open,
    actors: treeDocument(tree),
  };
}

function effective({ config, workers }: NodeStatusOptions): EffectiveSettings {
  const set: Record<string, SettingValue> = workers.snapshot?.settings ?? {};
  return {
    version: workers.snapshot?.version ?? 0,
    settings: effectiveSettings(set, config.settings),
    defaults: effectiveSettings({}, config.settings),
    sources: Object.fromEntries(SETTINGS.map(({ key }) => [key, settingSource(key, set, config.settings)])),
    workers: workers.applied,
    pools: workers.sizes,
  };
}
