/** What no rule matched, for the API: from PostgreSQL, where match threads keep it. */
import { canonicalHostname } from '../../actors/hostname.ts';
import { suggestRule } from '../../actors/match/suggest-rule.ts';
import type { UnmatchedPort } from '../../gateways/admin/admin-port.ts';
import type { UnmatchedDocument, UnmatchedHostDocument } from '../../gateways/admin/unmatched-documents.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresUnmatchedLog } from '../../gateways/postgres/unmatched-log.ts';
import type { UnmatchedHost, UnmatchedTemplate } from '../../gateways/postgres/unmatched-log.ts';
import { authorOf, listed } from './documents.ts';

export interface UnmatchedPortOptions {
  database: Connection;
  /** That a host is assigned to. */
  teamOf: (host: string) => Promise<string | undefined>;
  /** Of hosts that no team claims. */
  fallbackTeam: () => string;
}

/** Of each template. */
const HOSTS_LISTED_MAX = 5;
const HOSTS_SHOWN_MAX = 20;

export function unmatchedPort({ database, teamOf, fallbackTeam }: UnmatchedPortOptions): UnmatchedPort {
  const log = new PostgresUnmatchedLog(database);
  return {
    search: async ({ host, ...question }) => {
      const asked = { ...question, host: host === undefined ? undefined : canonicalHostname(host) };
      return listed(await log.search({ ...asked, hostsMax: HOSTS_LISTED_MAX }), documentOf);
    },
    get: async (fingerprint) => {
      const found = await log.get(fingerprint, HOSTS_SHOWN_MAX);
      if (found === undefined) return undefined;
      const team = (await teamOfAny(found.hosts, teamOf)) ?? fallbackTeam();
      return { ...documentOf(found), suggested_rule: suggestRule(found, team) ?? null };
    },
    hosts: async (fingerprint, page) => listed(await log.hosts(fingerprint, page), hostDocument),
    forget: async (fingerprint, host, change) => {
      const name = host === undefined ? undefined : canonicalHostname(host);
      return (await log.forget(fingerprint, name, authorOf(change))) > 0;
    },
  };
}

/** Of the first host that a team claims. */
async function teamOfAny(
  hosts: readonly string[],
  teamOf: UnmatchedPortOptions['teamOf'],
): Promise<string | undefined> {
  for (const host of hosts) {
    const team = await teamOf(host);
    if (team !== undefined) return team;
  }
  return undefined;
}

function documentOf(template: UnmatchedTemplate): UnmatchedDocument {
  return {
    fingerprint: template.fingerprint,
    template: template.template,
    program: template.program,
    trap_oid: template.trapOid,
    count: template.count,
    host_count: template.hostCount,
    hosts: template.hosts,
    first_seen: time(template.firstSeenMs),
    last_seen: time(template.lastSeenMs),
    sample: template.sample,
    sample_event_id: template.sampleEventId,
    alerted_at: timeOrNull(template.alertedAtMs),
    latched_host_count: template.latchedCount,
  };
}

function hostDocument(host: UnmatchedHost): UnmatchedHostDocument {
  return {
    hostname: host.host,
    count: host.count,
    first_seen: time(host.firstSeenMs),
    last_seen: time(host.lastSeenMs),
    sample: host.sample,
    sample_event_id: host.sampleEventId,
    alerted_at: timeOrNull(host.alertedAtMs),
    is_latched: host.isLatched,
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : time(ms);
}
