/**
 * The dynamic settings for the API. What is set is read from PostgreSQL, so that whoever changes something sees it; what
 * holds on this node without that is asked of the supervisor once, since it cannot change while it runs.
 */
import { checkChange, checkSetting, findSetting } from '../../actors/settings.ts';
import type { NodeDefaults, Settings, SettingValue } from '../../actors/settings.ts';
import type { SettingGuard, SettingsPort } from '../../gateways/admin/admin-port.ts';
import type { SettingDocument } from '../../gateways/admin/documents.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresSettingsStore } from '../../gateways/postgres/settings-store.ts';
import type { StoredSetting } from '../../gateways/postgres/settings-store.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';
import type { EffectiveSettings } from '../node-status.ts';
import { authorOf, settingDocument, SETTINGS_BY_KEY } from './documents.ts';
import type { NodeDefault } from './documents.ts';

export interface SettingsPortOptions {
  database: Connection;
  clock: Clock;
  /** What the supervisor says is in effect. */
  effective: () => Promise<EffectiveSettings>;
  /** In effect in this process. */
  settings: () => Settings;
  onChange: () => void;
}

export function settingsPort(options: SettingsPortOptions): SettingsPort {
  const { effective, onChange, clock } = options;
  let nodeDefaults: NodeDefaults | undefined;
  const store = new PostgresSettingsStore(options.database, (values, key) =>
    checkChange(key, values, nodeDefaults),
  );

  const known = async (): Promise<NodeDefaults> => {
    nodeDefaults ??= (await effective()).defaults;
    return nodeDefaults;
  };
  const documentOf = async (key: string, stored: StoredSetting | undefined): Promise<SettingDocument> =>
    settingDocument(findSetting(key), stored, defaultOf(key, await known()));

  return {
    list: async () => {
      const [stored, defaults] = await Promise.all([store.list(), known()]);
      const byKey = new Map(stored.map((setting) => [setting.key, setting]));
      return SETTINGS_BY_KEY.map((setting) =>
        settingDocument(setting, byKey.get(setting.key), defaultOf(setting.key, defaults)),
      );
    },
    get: async (key) => {
      findSetting(key);
      return documentOf(key, await store.get(key));
    },
    effective: async () => {
      const { version, settings, workers } = await effective();
      return { snapshot_version: version, settings, workers };
    },
    set: async (key, value, guard, change) => {
      checkSetting(key, value);
      await known();
      const watch = guard === null ? null : watchOf(guard, options.settings(), clock.wallMs());
      const { expectedVersion } = change;
      const stored = await store.set(key, value, { expectedVersion, guard: watch }, authorOf(change));
      onChange();
      return documentOf(key, stored);
    },
    unset: async (key, change) => {
      findSetting(key);
      await known();
      const isUnset = await store.unset(key, change, authorOf(change));
      onChange();
      return isUnset ? documentOf(key, undefined) : undefined;
    },
    rollback: async (key, toVersion, change) => {
      findSetting(key);
      await known();
      const { expectedVersion } = change;
      const stored = await store.rollback(key, { expectedVersion, toVersion }, authorOf(change));
      onChange();
      return documentOf(key, stored);
    },
  };
}

function defaultOf(key: string, nodeDefaults: NodeDefaults): NodeDefault {
  const { default: fallback } = findSetting(key);
  const value = (nodeDefaults as Record<string, SettingValue | undefined>)[key] ?? fallback;
  return { value, source: value === fallback ? 'default' : 'environment' };
}

function watchOf(
  guard: SettingGuard,
  settings: Settings,
  nowMs: number,
): { untilMs: number; errorRateMax: number | null; latencyP99MsMax: number | null } {
  const { watchSeconds, errorRateMax, latencyP99MsMax } = guard;
  const longest = settings['guard.watch.maxSeconds'];
  if (watchSeconds > longest) {
    throw guardInvalid(
      'guard.watch_seconds',
      `is above guard.watch.maxSeconds, which is ${longest}`,
      'Watch it for less time.',
    );
  }
  if (errorRateMax === null && latencyP99MsMax === null) {
    throw guardInvalid('guard', 'has no limit to watch', 'Give error_rate_max, latency_p99_ms_max, or both.');
  }
  return { untilMs: nowMs + watchSeconds * 1_000, errorRateMax, latencyP99MsMax };
}

function guardInvalid(field: string, why: string, mend: string): CodedError {
  return new CodedError('E_SETTING_INVALID', `${field} ${why}`, {
    mend,
    details: { faults: [{ field, why, mend }] },
  });
}
