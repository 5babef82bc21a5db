/**
 * Rules, development hosts, teams and destinations as people configure them: list, apply, remove.
 *
 * Applying says how things are to be and changes only what differs; one call is one transaction with its audit and its
 * version. Invariant: either everything of a call is in force, at one new version, or nothing is.
 */
import type { Destination, RuleRow } from '../../actors/ports.ts';
import { CodedError } from '../../runtime/errors.ts';
import { textArray } from './array-literal.ts';
import { changeConfiguration } from './configuration-change.ts';
import type { ChangeAuthor, RecordChange } from './configuration-change.ts';
import type { Connection, Transaction } from './connection.ts';
import { invalidRule, refusedRule, ruleValues } from './rule-input.ts';
import type { RuleInput } from './rule-input.ts';
import { storableJson } from './storable-text.ts';

/** A rule with the name its file gives it. */
export type StoredRule = RuleRow & { name: string | null };

/** How things are to be. What is not named stays as it is. */
export interface ConfigurationInput {
  rules?: readonly RuleInput[];
  development_hosts?: readonly string[];
  /** Host to team. */
  teams?: Readonly<Record<string, string>>;
  destinations?: readonly Destination[];
  /** What is to go; what is not there is no error. Removed first. */
  remove?: {
    /** Ids. */
    rules?: readonly number[];
    development_hosts?: readonly string[];
    /** Hosts. */
    teams?: readonly string[];
    /** Names. */
    destinations?: readonly string[];
  };
}

export interface AppliedRule {
  id: number;
  name: string | null;
  version: number;
  outcome: 'created' | 'updated' | 'unchanged';
}

/** Counts over rules, hosts, teams and destinations together. */
export interface AppliedConfiguration {
  created: number;
  updated: number;
  unchanged: number;
  deleted: number;
  /** The version at which all of this is in force. */
  snapshotVersion: number;
  /** In the order given. */
  rules: AppliedRule[];
}

interface FoundRule {
  id: number;
  name: string | null;
  version: number;
  is_deleted: boolean;
  row_values: unknown;
}
interface ChangedRule {
  id: number;
  version: number;
  row_values: unknown;
}
interface RemovedRecord {
  record_key: string;
  old_values: unknown;
}

const INT4_MAX = 2_147_483_647;

export class PostgresRuleStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** All rules, active or not, in the order they are tried. Errors: those of Connection. */
  list(): Promise<StoredRule[]> {
    return this.#connection.rows<StoredRule>('list_rules');
  }

  /** Of these ids, those that a stored rule has or had: what may be cleared. Errors: those of Connection. */
  async known(ids: readonly number[]): Promise<Set<number>> {
    if (ids.length === 0) return new Set();
    const found = await this.#connection.rows<FoundRule>('find_rules', [[...ids], []]);
    return new Set(found.map(({ id }) => id));
  }

  /** See applyConfiguration. */
  applyRules(rules: readonly RuleInput[], author: ChangeAuthor): Promise<AppliedConfiguration> {
    return this.applyConfiguration({ rules }, author);
  }

  /**
   * Errors: E_RULE_INVALID (which rule, and the constraint it breaks), E_VERSION_CONFLICT, E_ROW_INVALID,
   * E_DESTINATION_INVALID, and those of Connection. After any of them nothing has changed.
   */
  async applyConfiguration(input: ConfigurationInput, author: ChangeAuthor): Promise<AppliedConfiguration> {
    const counts = { created: 0, updated: 0, deleted: 0 };
    const { result: rules, snapshotVersion } = await changeConfiguration(
      this.#connection,
      author,
      async (transaction, record) => {
        const count: RecordChange = (change) => {
          counts[COUNTED_AS[change.operation]]++;
          record(change);
        };
        await remove(transaction, input.remove ?? {}, count);
        const applied = await applyRules(transaction, input.rules ?? [], count);
        await applyDevelopmentHosts(transaction, input.development_hosts ?? [], count);
        await applyTeams(transaction, input.teams ?? {}, count);
        await applyDestinations(transaction, input.destinations ?? [], count);
        return applied;
      },
    );
    const unchanged = givenIn(input) - counts.created - counts.updated;
    return { ...counts, unchanged, snapshotVersion, rules };
  }
}

const COUNTED_AS = { CREATE: 'created', UPDATE: 'updated', DELETE: 'deleted' } as const;

/** How many different records were given. */
function givenIn(input: ConfigurationInput): number {
  return (
    (input.rules?.length ?? 0) +
    new Set((input.development_hosts ?? []).map(caseFolded)).size +
    new Set(Object.keys(input.teams ?? {}).map(caseFolded)).size +
    (input.destinations?.length ?? 0)
  );
}

async function remove(
  transaction: Transaction,
  going: NonNullable<ConfigurationInput['remove']>,
  record: RecordChange,
): Promise<void> {
  const steps = [
    { resource: 'alert_rules', statement: 'delete_rules', keys: going.rules ?? [] },
    {
      resource: 'development_hosts',
      statement: 'delete_development_hosts',
      keys: (going.development_hosts ?? []).map(caseFolded),
    },
    { resource: 'device_teams', statement: 'delete_device_teams', keys: (going.teams ?? []).map(caseFolded) },
    { resource: 'destinations', statement: 'delete_destinations', keys: going.destinations ?? [] },
  ];
  for (const { resource, statement, keys } of steps) {
    if (keys.length === 0) continue;
    const removed = await transaction.rows<RemovedRecord>(statement, [[...keys]]);
    for (const { record_key, old_values } of removed) {
      record({
        operation: 'DELETE',
        resource,
        recordKey: record_key,
        oldValues: old_values,
        newValues: null,
      });
    }
  }
}

async function applyRules(
  transaction: Transaction,
  rules: readonly RuleInput[],
  record: RecordChange,
): Promise<AppliedRule[]> {
  if (rules.length === 0) return [];
  const known = await findKnown(transaction, rules);
  const applied: AppliedRule[] = [];
  for (const [index, rule] of rules.entries()) {
    const found = known[index];
    requireExpectedVersion(rule, index, found);
    const name = rule.name ?? null;
    const values = ruleValues(rule, index);
    try {
      const changed = await (found === undefined
        ? transaction.row<ChangedRule>('insert_rule', [rule.id ?? null, ...values])
        : transaction.rows<ChangedRule>('update_rule', [found.id, ...values]).then((rows) => rows[0]));
      if (changed === undefined) {
        applied.push({ id: found?.id ?? 0, name, version: found?.version ?? 0, outcome: 'unchanged' });
        continue;
      }
      const { id, version } = changed;
      const isNew = found === undefined || found.is_deleted;
      record({
        operation: isNew ? 'CREATE' : 'UPDATE',
        resource: 'alert_rules',
        recordKey: String(id),
        oldValues: found?.row_values ?? null,
        newValues: changed.row_values,
      });
      applied.push({ id, name, version, outcome: isNew ? 'created' : 'updated' });
    } catch (error) {
      throw refusedRule(error, rule, index);
    }
  }
  if (rules.some((rule) => rule.id !== undefined)) await transaction.rows('advance_rule_ids');
  return applied;
}

/** The stored rule each given one is about, if there is one. Two that are about the same one are refused. */
async function findKnown(
  transaction: Transaction,
  rules: readonly RuleInput[],
): Promise<(FoundRule | undefined)[]> {
  const ids: number[] = [];
  const names: string[] = [];
  for (const [index, rule] of rules.entries()) {
    if (rule.id !== undefined && !(Number.isInteger(rule.id) && rule.id > 0 && rule.id <= INT4_MAX)) {
      throw invalidRule(rule, index, 'id is not a positive whole number');
    }
    if (rule.id !== undefined) ids.push(rule.id);
    if (typeof rule.name === 'string') names.push(rule.name);
  }
  const found = await transaction.rows<FoundRule>('find_rules', [ids, names]);
  const byId = new Map(found.map((rule) => [rule.id, rule]));
  const byName = new Map(found.filter((rule) => !rule.is_deleted).map((rule) => [rule.name, rule]));
  const seen = new Set<string>();
  return rules.map((rule, index) => {
    const known = findFor(rule, byId, byName);
    const keys = [
      ...(known === undefined ? [] : [`id ${known.id}`]),
      ...(rule.id === undefined ? [] : [`id ${rule.id}`]),
      ...(typeof rule.name === 'string' ? [`name ${rule.name}`] : []),
    ];
    if (keys.some((key) => seen.has(key))) throw invalidRule(rule, index, 'it is given twice');
    for (const key of keys) seen.add(key);
    return known;
  });
}

function findFor(
  rule: RuleInput,
  byId: ReadonlyMap<number, FoundRule>,
  byName: ReadonlyMap<string | null, FoundRule>,
): FoundRule | undefined {
  if (rule.id !== undefined) return byId.get(rule.id);
  return typeof rule.name === 'string' ? byName.get(rule.name) : undefined;
}

function requireExpectedVersion(rule: RuleInput, index: number, found: FoundRule | undefined): void {
  if (rule.expected_version === undefined) return;
  const version = found === undefined || found.is_deleted ? null : found.version;
  if (version === rule.expected_version) return;
  throw new CodedError(
    'E_VERSION_CONFLICT',
    version === null ? `rule ${index + 1} is gone` : `rule ${index + 1} is at version ${version} by now`,
    {
      mend: 'Read it again and repeat the change; nothing was changed.',
      details: { index, id: found?.id ?? null, expected: rule.expected_version, found: version },
    },
  );
}

async function applyDevelopmentHosts(
  transaction: Transaction,
  hosts: readonly string[],
  record: RecordChange,
): Promise<void> {
  if (hosts.length === 0) return;
  const added = await transaction.rows<{ hostname: string }>('insert_development_hosts', [
    textArray(hosts.map(caseFolded)),
  ]);
  for (const { hostname } of added) {
    record({
      operation: 'CREATE',
      resource: 'development_hosts',
      recordKey: hostname,
      oldValues: null,
      newValues: { hostname },
    });
  }
}

async function applyTeams(
  transaction: Transaction,
  teams: Readonly<Record<string, string>>,
  record: RecordChange,
): Promise<void> {
  // Two spellings of one host: the last one given holds.
  const byHost = new Map(Object.entries(teams).map(([host, team]) => [caseFolded(host), team]));
  if (byHost.size === 0) return;
  const changed = await transaction.rows<{ hostname: string; team: string; old_team: string | null }>(
    'upsert_device_teams',
    [textArray([...byHost.keys()]), textArray([...byHost.values()])],
  );
  for (const { hostname, team, old_team } of changed) {
    record({
      operation: old_team === null ? 'CREATE' : 'UPDATE',
      resource: 'device_teams',
      recordKey: hostname,
      oldValues: old_team === null ? null : { hostname, team: old_team },
      newValues: { hostname, team },
    });
  }
}

async function applyDestinations(
  transaction: Transaction,
  destinations: readonly Destination[],
  record: RecordChange,
): Promise<void> {
  const names = new Set<string>();
  for (const [index, destination] of destinations.entries()) {
    const { name } = destination;
    if (names.has(name)) throw invalidDestination(index, name, 'it is given twice');
    names.add(name);
    let changed: { old_values: unknown; new_values: unknown } | undefined;
    try {
      [changed] = await transaction.rows<{ old_values: unknown; new_values: unknown }>('upsert_destination', [
        name,
        destination.kind,
        destination.url,
        destination.secretRef,
        storableJson(destination.routes),
        destination.ratePerSecond,
        destination.concurrency,
        destination.timeoutMs,
      ]);
    } catch (error) {
      if (!(error instanceof CodedError) || error.code !== 'E_ROW_INVALID') throw error;
      const { constraint } = error.details;
      throw invalidDestination(index, name, typeof constraint === 'string' ? constraint : error.message);
    }
    if (changed === undefined) continue;
    record({
      operation: changed.old_values === null ? 'CREATE' : 'UPDATE',
      resource: 'destinations',
      recordKey: name,
      oldValues: changed.old_values,
      newValues: changed.new_values,
    });
  }
}

function invalidDestination(index: number, name: string, why: string): CodedError {
  return new CodedError('E_DESTINATION_INVALID', `destination ${index + 1} (${name}): ${why}`, {
    mend: 'Correct this destination and apply again; nothing was changed.',
    details: { index, name, why },
  });
}

function caseFolded(hostname: string): string {
  return hostname.toLowerCase();
}
