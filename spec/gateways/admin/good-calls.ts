/**
 * One good call of every operation, in an order in which each finds what it needs. A new operation needs an entry here,
 * or it is not tested; the specs say so.
 */
import type { ApiReply, Asked } from './api-under-test.ts';

export interface GoodCall {
  operationId: string;
  status: number;
  /** `seen` holds the reply of each operation so far. */
  asked: (seen: ReadonlyMap<string, ApiReply>) => Asked;
}

export const RULE = {
  name: 'contract',
  match_string: 'contract says',
  prod_handling: 'Page_and_ticket',
  dev_handling: 'Ignore',
  team_assignment: 'NETOPS',
};
export const DESTINATION = { kind: 'webhook', url: 'http://127.0.0.1:9/hook', rate_per_second: 5 };

/** Three rejects, which the calls below find. */
export const REJECTED = '{"hostname":"contract"}\n'.repeat(3);
/** One event that no rule matches, whose template the calls below find. */
export const UNMATCHED =
  '{"hostname":"contract-1","message":"gadget 7 hums","timestamp":"2026-05-01T12:00:00Z"}';
/** Dead letters that the calls below find. */
export const LETTERS: readonly string[] = Array.from({ length: 100 }, (_, nth) =>
  nth.toString(16).padStart(32, '0'),
);
const CORRECTED = '{"hostname":"contract","message":"corrected","timestamp":"2026-05-01T12:00:00Z"}';

/** Each is taken for what it is: a text. */
export const HOSTILE = [
  "'; DROP TABLE alert_rules; --",
  "' OR '1'='1",
  '$1 $$ \\x00 %s %n ${1+1} {{7*7}}',
  '<script>alert(1)</script>',
  '\\u0000 \\ud800 (as text)',
  '"}],"is_admin":true,[{"',
  '../../../etc/passwd',
  '\r\nX-Injected: yes',
  '😀 ﷽ \u202Egnp.exe \u200B',
  '__proto__',
  'null',
  '-1e309',
];

const call = (operationId: string, status: number, asked: GoodCall['asked'] = () => ({})): GoodCall => ({
  operationId,
  status,
  asked,
});
const etagOf = (reply: ApiReply | undefined): Record<string, string> => ({
  'if-match': reply?.headers.get('etag') ?? '',
});

export const GOOD_CALLS: readonly GoodCall[] = [
  call('getMetrics', 200),
  call('getHealth', 200),
  call('getStatus', 200),
  call('getVersion', 200),
  call('getLedger', 200),
  call('getRates', 200),
  call('getSlo', 200),
  call('getRuleSet', 200),
  call('applyRuleSet', 200, () => ({
    body: { development_hosts: ['contract-dev'], teams: { 'contract-host': 'NETOPS' }, reason: 'contract' },
  })),
  call('checkRuleSet', 200, () => ({ body: { development_hosts: ['contract-dev'] } })),
  call('listRules', 200, () => ({ query: { limit: 2, q: 'link', is_active: true } })),
  call('createRule', 201, () => ({ body: RULE, query: { reason: 'contract' } })),
  call('getRule', 200, (seen) => ({ params: { id: idOf(seen.get('createRule')) } })),
  call('replaceRule', 200, (seen) => ({
    params: { id: idOf(seen.get('createRule')) },
    // What was shown can be sent back.
    body: { ...seen.get('getRule')?.body, priority: 7 },
    headers: etagOf(seen.get('getRule')),
  })),
  call('listRuleVersions', 200, (seen) => ({
    params: { id: idOf(seen.get('createRule')) },
    query: { limit: 1 },
  })),
  call('rollbackRule', 200, (seen) => ({
    params: { id: idOf(seen.get('createRule')) },
    headers: etagOf(seen.get('replaceRule')),
    body: { reason: 'contract' },
  })),
  call('testRules', 200, () => ({
    body: {
      rules: [
        { ...RULE, tests: [{ event: { message: 'the contract says no' }, handling: 'Page_and_ticket' }] },
      ],
      lines: ['<13>Oct 11 22:14:15 contract-host su: the contract says no', 'unreadable'],
    },
  })),
  call('backtestRules', 200, () => ({
    body: { rules: [RULE], from: '2020-01-01T00:00:00Z', events_max: 100, samples: 1 },
  })),
  call('getRuleCoverage', 200, () => ({ query: { limit: 1, kind: 'never_fired' } })),
  call('getRuleFileSchema', 200),
  call('deleteRule', 204, (seen) => ({
    params: { id: idOf(seen.get('createRule')) },
    headers: etagOf(seen.get('rollbackRule')),
    body: { reason: 'contract' },
  })),
  call('addDevHost', 201, () => ({ body: { hostname: 'Contract-Dev-2', reason: 'contract' } })),
  call('listDevHosts', 200, () => ({ query: { limit: 1 } })),
  call('removeDevHost', 204, () => ({
    params: { hostname: 'contract-dev-2' },
    query: { reason: 'contract' },
  })),
  call('putTeam', 201, () => ({ params: { hostname: 'Contract-Host-2' }, body: { team: 'SECOPS' } })),
  call('getTeam', 200, () => ({ params: { hostname: 'contract-host-2' } })),
  call('listTeams', 200, () => ({ query: { limit: 1 } })),
  call('deleteTeam', 204, (seen) => ({
    params: { hostname: 'contract-host-2' },
    headers: etagOf(seen.get('getTeam')),
  })),
  call('putDestination', 201, () => ({ params: { name: 'contract' }, body: DESTINATION })),
  call('getDestination', 200, () => ({ params: { name: 'contract' } })),
  call('listDestinations', 200),
  call('testDestination', 200, () => ({ params: { name: 'contract' }, query: { status: 'resolved' } })),
  call('pauseDestination', 200, () => ({
    params: { name: 'contract' },
    body: { reason: 'contract', until: '2099-01-01T00:00:00Z' },
  })),
  call('muteDestination', 200, () => ({ params: { name: 'contract' }, body: { reason: 'contract' } })),
  call('resumeDestination', 200, () => ({ params: { name: 'contract' } })),
  call('deleteDestination', 204, (seen) => ({
    params: { name: 'contract' },
    headers: etagOf(seen.get('resumeDestination')),
  })),
  call('listSettings', 200, () => ({ query: { limit: 3 } })),
  call('getEffectiveSettings', 200),
  call('getSetting', 200, () => ({ params: { key: 'match.batch.eventsMax' } })),
  call('putSetting', 200, () => ({
    params: { key: 'match.batch.eventsMax' },
    body: { value: 1_500, reason: 'contract', guard: { watch_seconds: 60, error_rate_max: 0.5 } },
  })),
  call('rollbackSetting', 200, () => ({ params: { key: 'match.batch.eventsMax' }, body: {} })),
  call('putSetting', 200, () => ({ params: { key: 'forward.retry.baseMs' }, body: { value: 900 } })),
  call('unsetSetting', 200, (seen) => ({
    params: { key: 'forward.retry.baseMs' },
    headers: etagOf(seen.get('putSetting')),
    query: { reason: 'contract' },
  })),
  call('listConfigAudit', 200, () => ({
    query: { resource: 'settings', operation: 'CREATE', changed_by: 'admin' },
  })),
  call('getConfigAuditEntry', 200, () => ({ params: { id: 1 } })),
  call('verifyConfigAudit', 200),
  call('createKey', 201, () => ({
    body: { name: 'contract', scopes: ['read'], expires_at: '2099-01-01T00:00:00Z', reason: 'contract' },
  })),
  call('listKeys', 200),
  call('getKey', 200, () => ({ params: { name: 'contract' } })),
  call('rotateKey', 200, () => ({ params: { name: 'contract' }, body: { overlap_seconds: 60 } })),
  call('revokeKey', 200, () => ({ params: { name: 'contract' } })),
  call('listAuditLogs', 200, () => ({ query: { decision: 'Unmatched', from: '2020-01-01T00:00:00Z' } })),
  call('getEvent', 200, () => ({ params: { id: '018f3e2a-7b1c-7d5e-9f00-1234567890ab-3' } })),
  call('listFailures', 200, () => ({
    query: { kind: 'reject', key: 'ingest', code: 'E_FIELD_MISSING', since: '2020-01-01T00:00:00Z' },
  })),
  call('listRejectTotals', 200),
  call('getFailure', 200, (seen) => ({ params: { id: failureId(seen, 0) }, query: { bytes: 100 } })),
  call('resubmitFailure', 200, (seen) => ({
    params: { id: failureId(seen, 0) },
    body: { body: CORRECTED, reason: 'contract' },
  })),
  call('resubmitFailures', 200, (seen) => ({
    body: { ids: [failureId(seen, 0), failureId(seen, 1), 'nothing-there'] },
  })),
  call('discardFailures', 200, (seen) => ({
    body: { ids: [failureId(seen, 1), 'nothing-there'], reason: 'contract' },
  })),
  call('discardFailure', 204, (seen) => ({ params: { id: failureId(seen, 2) } })),
  call('replayDeadLetters', 200, () => ({ body: { destination: 'local', dry_run: true } })),
  call('replayDeadLetters', 202, () => ({ body: { ids: [...LETTERS], per_second: 1, reason: 'contract' } })),
  call('listStores', 200),
  call('adoptFailures', 200, () => ({ body: { store: 'a-store-that-is-gone', dry_run: true } })),
  call('listReplays', 200, () => ({ query: { limit: 1 } })),
  call('getReplay', 200, (seen) => ({ params: { id: String(seen.get('replayDeadLetters')?.body['id']) } })),
  call('cancelReplay', 200, (seen) => ({
    params: { id: String(seen.get('replayDeadLetters')?.body['id']) },
    query: { reason: 'contract' },
  })),
  call('listUnmatched', 200, () => ({ query: { hostname: 'contract-1', since: '2020-01-01T00:00:00Z' } })),
  call('getUnmatched', 200, (seen) => ({ params: { fingerprint: fingerprintIn(seen) } })),
  call('listUnmatchedHosts', 200, (seen) => ({
    params: { fingerprint: fingerprintIn(seen) },
    query: { limit: 1 },
  })),
  call('forgetUnmatched', 204, (seen) => ({
    params: { fingerprint: fingerprintIn(seen) },
    body: { hostname: 'contract-1', reason: 'contract' },
  })),
  call('getActors', 200),
  call('getActor', 200, () => ({ params: { id: 'match-0' } })),
  call('suspendActor', 200, () => ({ params: { id: 'match-0/match' } })),
  call('inspectActor', 200, () => ({ params: { id: 'match/match-0/match' } })),
  call('resumeActor', 200, () => ({ params: { id: 'match-0/match' } })),
  call('restartActor', 200, () => ({ params: { id: 'remediation-0' }, body: { how: 'kill' } })),
  call('listPartitions', 200),
  call('getPartition', 200, () => ({ params: { n: 0 } })),
  call('sendToSink', 200, () => ({ body: { signature: 'contract' } })),
  call('listRecentAlerts', 200, () => ({ query: { after: 0 } })),
  call('getOpenApi', 200),
];

function idOf(reply: ApiReply | undefined): number {
  return Number(reply?.body['id'] ?? 0);
}

function failureId(seen: ReadonlyMap<string, ApiReply>, nth: number): string {
  const failures = seen.get('listFailures')?.body['items'] as { id: string }[] | undefined;
  return failures?.[nth]?.id ?? 'none-was-listed';
}

function fingerprintIn(seen: ReadonlyMap<string, ApiReply>): string {
  const templates = seen.get('listUnmatched')?.body['items'] as { fingerprint: string }[] | undefined;
  return templates?.[0]?.fingerprint ?? 'none-was-listed';
}
