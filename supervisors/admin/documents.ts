/** What the stores hold as the documents that the API sends: the same facts under the names people see. */
import { writtenDestination } from '../../actors/match/destination-document.ts';
import { holdAt } from '../../actors/ports.ts';
import type { DestinationHold } from '../../actors/ports.ts';
import { SETTINGS } from '../../actors/settings.ts';
import type { Setting } from '../../actors/settings.ts';
import type { Change, Listed } from '../../gateways/admin/admin-port.ts';
import type {
  AuditLogEntryDocument,
  ConfigAuditEntryDocument,
  DevHostDocument,
  KeyDocument,
  SettingDocument,
  SettingValue,
  TeamDocument,
} from '../../gateways/admin/documents.ts';
import type { DestinationDocument } from '../../gateways/admin/rule-set-documents.ts';
import type { KeyRecord } from '../../gateways/http/key-ring.ts';
import type { AuditLogEntry } from '../../gateways/postgres/audit-log.ts';
import type { ConfigAuditEntry } from '../../gateways/postgres/config-audit.ts';
import type { ChangeAuthor } from '../../gateways/postgres/configuration-change.ts';
import type { StoredDestination } from '../../gateways/postgres/destination-store.ts';
import type { StoredDevelopmentHost } from '../../gateways/postgres/development-host-store.ts';
import type { StoredApiKey } from '../../gateways/postgres/key-store.ts';
import type { StoredSetting } from '../../gateways/postgres/settings-store.ts';
import type { StoredTeam } from '../../gateways/postgres/team-store.ts';
import { systemClock } from '../../runtime/clock.ts';

export function authorOf({ caller, reason }: Change): ChangeAuthor {
  return { changedBy: caller.keyName, correlationId: caller.correlationId, reason };
}

/** The same page with its items as documents. */
export function listed<From, To, Position>(
  { items, next }: Listed<From, Position>,
  toDocument: (item: From) => To,
): Listed<To, Position> {
  return { items: items.map(toDocument), next };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : time(ms);
}

export function devHostDocument({ hostname, createdAtMs }: StoredDevelopmentHost): DevHostDocument {
  return { hostname, created_at: time(createdAtMs) };
}

export function teamDocument({ hostname, team, version, updatedAtMs }: StoredTeam): TeamDocument {
  return { hostname, team, version, updated_at: time(updatedAtMs) };
}

export function destinationDocument({
  version,
  updatedAtMs,
  ...destination
}: StoredDestination): DestinationDocument {
  const written = writtenDestination(destination) as Omit<
    DestinationDocument,
    'version' | 'hold' | 'updated_at'
  >;
  const hold = holdAt(destination, systemClock.wallMs());
  return {
    ...written,
    version,
    hold: hold === undefined ? null : holdDocument(hold),
    updated_at: time(updatedAtMs),
  };
}

function holdDocument({ kind, sinceMs, untilMs, reason, by }: DestinationHold): DestinationDocument['hold'] {
  return { kind, since: time(sinceMs), until: untilMs === null ? null : time(untilMs), reason, by };
}

/** What holds on a node when nothing is set, and where that comes from. */
export interface NodeDefault {
  value: SettingValue;
  source: 'default' | 'environment';
}

/** `stored` is undefined when it is not set; its version is then 0. */
export function settingDocument(
  { key, type, unit, default: fallback, minimum, maximum, choices, description, reacts }: Setting,
  stored: StoredSetting | undefined,
  nodeDefault: NodeDefault,
): SettingDocument {
  const guard = stored?.guard ?? null;
  return {
    key,
    value: stored?.value ?? nodeDefault.value,
    default: fallback,
    source: stored === undefined ? nodeDefault.source : 'set',
    type,
    unit,
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
    ...(choices === undefined ? {} : { choices: [...choices] }),
    description,
    reacts,
    version: stored?.version ?? 0,
    updated_at: timeOrNull(stored?.updatedAtMs ?? null),
    updated_by: stored?.updatedBy ?? null,
    guard:
      guard === null
        ? null
        : {
            until: time(guard.untilMs),
            error_rate_max: guard.errorRateMax,
            latency_p99_ms_max: guard.latencyP99MsMax,
            previous_value: guard.previousValue,
          },
  };
}

/** Every setting there is, by key. */
export const SETTINGS_BY_KEY: readonly Setting[] = [...SETTINGS].sort((a, b) => (a.key < b.key ? -1 : 1));

export function nodeKeyDocument({ name, scopes, expiresAt }: KeyRecord): KeyDocument {
  return {
    name,
    scopes: [...scopes],
    source: 'node',
    state: 'active',
    event_ids: false,
    created_at: null,
    expires_at: timeOrNull(expiresAt),
    revoked_at: null,
    previous_expires_at: null,
  };
}

/** `fingerprint`: of this node's pepper; a key that another one made opens nothing here. */
export function keyDocument(key: StoredApiKey, fingerprint: string, nowMs: number): KeyDocument {
  const { name, scopes, eventIds, createdAtMs, expiresAtMs, revokedAtMs, previousExpiresAtMs } = key;
  const isForeign = key.pepperFingerprint !== '' && key.pepperFingerprint !== fingerprint;
  return {
    name,
    scopes,
    source: 'database',
    state:
      revokedAtMs !== null
        ? 'revoked'
        : expiresAtMs !== null && expiresAtMs <= nowMs
          ? 'expired'
          : isForeign
            ? 'foreign'
            : 'active',
    event_ids: eventIds,
    created_at: time(createdAtMs),
    expires_at: timeOrNull(expiresAtMs),
    revoked_at: timeOrNull(revokedAtMs),
    previous_expires_at: timeOrNull(previousExpiresAtMs),
  };
}

export function configAuditDocument(entry: ConfigAuditEntry): ConfigAuditEntryDocument {
  return {
    id: entry.id,
    changed_at: time(entry.changedAtMs),
    changed_by: entry.changedBy,
    operation: entry.operation,
    resource: entry.resource,
    record_key: entry.recordKey,
    old_values: entry.oldValues,
    new_values: entry.newValues,
    reason: entry.reason,
    correlation_id: entry.correlationId,
    hash: entry.hash,
  };
}

export function auditLogDocument(row: AuditLogEntry): AuditLogEntryDocument {
  return {
    event_id: row.eventId,
    received_at: time(row.receivedAtMs),
    event_time: time(row.eventTimeMs),
    clock_skewed: row.clockSkewed,
    hostname: row.hostname,
    severity: row.severity,
    environment: row.environment,
    team: row.team,
    matched_rule_id: row.ruleId,
    rule_version: row.ruleVersion,
    rule_set_version: row.ruleSetVersion,
    handling_decision: row.decision,
    forwarded: row.forwarded,
    matches: row.matches,
    alerts: row.alerts,
    correlation_id: row.correlationId,
    raw_message: row.raw,
    text_repaired: row.textRepaired,
    raw_base64: row.rawBytes === null ? null : Buffer.from(row.rawBytes).toString('base64'),
  };
}
