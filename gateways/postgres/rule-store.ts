/**
 * Rules as people configure them, one at a time; and whole sets of rules, development hosts, teams and destinations.
 *
 * Applying a set says how things are to be and changes only what differs; one call is one transaction with its audit and
 * its version. Invariant: either everything of a call is in force, at one new version, or nothing is.
 */
import type { Destination, RuleRow } from '../../actors/ports.ts';
import { CodedError } from '../../runtime/errors.ts';
import { checkedHostname, checkedId, checkedInteger, checkedText } from './checked-input.ts';
import { changeConfiguration } from './configuration-change.ts';
import type { ChangeAuthor, ChangedConfiguration, RecordChange } from './configuration-change.ts';
import type { Connection, Statements, Transaction } from './connection.ts';
import { putDestinations } from './destination-store.ts';
import { addDevelopmentHosts } from './development-host-store.ts';
import { alreadyExists, requireVersion } from './item-version.ts';
import type { Precondition } from './item-version.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';
import { removeRecords } from './remove-records.ts';
import { requireRoomForRules } from './rule-limit.ts';
import { RuleReader } from './rule-reader.ts';
import { invalidRule, refusedRule, ruleValues } from './rule-input.ts';
import type { RuleInput } from './rule-input.ts';
import { putTeams } from './team-store.ts';

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

/** Where a page of rules begins: after this rule. */
export interface RulePosition {
  priority: number;
  id: number;
}

export interface RuleFilter {
  /** Part of a name, pattern, OID, host, program or team, whatever its case. */
  q?: string | undefined;
  team?: string | undefined;
  isActive?: boolean | undefined;
}

/** A whole rule. What is left out has its default. */
export type WholeRule = Omit<RuleInput, 'id' | 'expected_version'>;

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
const INT4_MIN = -2_147_483_648;
const INT4_MAX = 2_147_483_647;
/** Of a new rule whose id is given: the next ones that are not go on from there, and there must be some left. */
const GIVEN_ID_MAX = 2_000_000_000;

export interface RuleStoreOptions {
  rulesMax?: number;
  /** Rejects when this set, as it would be, is too much for a node: then nothing changes. */
  judgeSet?: (rules: readonly RuleRow[]) => Promise<void>;
}

export class PostgresRuleStore {
  readonly #connection: Connection;
  readonly #options: RuleStoreOptions;
  readonly #reader = new RuleReader();

  constructor(connection: Connection, options: RuleStoreOptions = {}) {
    this.#connection = connection;
    this.#options = options;
  }

  /** All rules, active or not, in the order they are tried. Errors: those of Connection. */
  list(): Promise<StoredRule[]> {
    return this.#connection.rows<StoredRule>('list_rules');
  }

  /** In the order they are tried. Errors: E_ROW_INVALID, those of Connection. */
  async page(
    options: RuleFilter & { after?: RulePosition | undefined; limit: number },
  ): Promise<Page<StoredRule, RulePosition>> {
    const { after, limit, q, team, isActive } = options;
    const rows = await this.#connection.rows<StoredRule>('page_rules', [
      after === undefined ? null : checkedInteger(after.priority, 'after', INT4_MIN, INT4_MAX),
      after === undefined ? null : checkedId(after.id, 'after'),
      q === undefined ? null : checkedText(q, 'q'),
      team === undefined ? null : checkedText(team, 'team'),
      isActive ?? null,
      rowsFor(limit),
    ]);
    return pageOf(rows, limit, ({ priority, id }) => ({ priority, id }));
  }

  /** Undefined when there is no such rule, or it was removed. Errors: E_ROW_INVALID, those of Connection. */
  async get(id: number): Promise<StoredRule | undefined> {
    return find(this.#connection, checkedId(id));
  }

  /** Errors: E_EXISTS (its name is taken), E_RULE_SET_TOO_LARGE, E_RULE_INVALID, E_ROW_INVALID, those of Connection. */
  async create(rule: WholeRule, author: ChangeAuthor): Promise<StoredRule> {
    const { result } = await this.#change(author, async (transaction, record) => {
      const { name } = rule;
      const [taken] = await findRules(transaction, [], typeof name === 'string' ? [name] : []);
      if (taken !== undefined) throw alreadyExists(`a rule with the name ${name}`, 'name');
      return putRule(transaction, record, undefined, rule);
    });
    return result;
  }

  /**
   * Undefined when there is no such rule. Lifts its suspension, also when nothing else changes. Errors: E_VERSION_STALE, E_EXISTS (its new name is another rule's),
   * E_RULE_INVALID, E_ROW_INVALID, those of Connection.
   */
  async replace(
    id: number,
    rule: WholeRule,
    precondition: Precondition,
    author: ChangeAuthor,
  ): Promise<StoredRule | undefined> {
    checkedId(id);
    const { result } = await this.#change(author, async (transaction, record) => {
      const { name } = rule;
      const found = await findRules(transaction, [id], typeof name === 'string' ? [name] : []);
      const current = found.find((known) => known.id === id && !known.is_deleted);
      requireVersion(`rule ${id}`, current?.version ?? null, precondition);
      if (current === undefined) return undefined;
      if (found.some((known) => known.id !== id)) throw alreadyExists(`a rule with the name ${name}`, 'name');
      return putRule(transaction, record, current, rule);
    });
    return result;
  }

  /** False when there is no such rule. Errors: E_VERSION_STALE, E_ROW_INVALID, those of Connection. */
  async remove(id: number, precondition: Precondition, author: ChangeAuthor): Promise<boolean> {
    checkedId(id);
    const { result } = await this.#change(author, async (transaction, record) => {
      const current = await find(transaction, id);
      requireVersion(`rule ${id}`, current?.version ?? null, precondition);
      return (await removeRecords(transaction, 'alert_rules', [id], record)) > 0;
    });
    return result;
  }

  /** Of these ids, those that a stored rule has or had: what may be cleared. Errors: those of Connection. */
  async known(ids: readonly number[]): Promise<Set<number>> {
    if (ids.length === 0) return new Set();
    const found = await this.#connection.rows<FoundRule>('find_rules', [[...ids], []]);
    return new Set(found.map(({ id }) => id));
  }

  /**
   * Errors: E_RULE_INVALID (which rule, and the constraint it breaks), E_VERSION_CONFLICT, E_RULE_SET_TOO_LARGE,
   * E_ROW_INVALID, E_DESTINATION_INVALID, and those of Connection. After any of them nothing has changed.
   */
  async applyConfiguration(input: ConfigurationInput, author: ChangeAuthor): Promise<AppliedConfiguration> {
    const counts = { created: 0, updated: 0, deleted: 0 };
    const { result: rules, snapshotVersion } = await this.#change(author, async (transaction, record) => {
      const count: RecordChange = (change) => {
        counts[COUNTED_AS[change.operation]]++;
        record(change);
      };
      await remove(transaction, input.remove ?? {}, count);
      const applied = await applyRules(transaction, input.rules ?? [], count);
      const hosts = input.development_hosts ?? [];
      await addDevelopmentHosts(transaction, hosts.map(checkedHostname), count);
      // Two spellings of one host: the last one given holds.
      const teams = Object.entries(input.teams ?? {});
      const byHost = teams.map(([host, team]): [string, string] => [
        checkedHostname(host),
        checkedText(team, 'team'),
      ]);
      await putTeams(transaction, new Map(byHost), count);
      await putDestinations(transaction, input.destinations ?? [], count);
      return applied;
    });
    const unchanged = givenIn(input) - counts.created - counts.updated;
    return { ...counts, unchanged, snapshotVersion, rules };
  }

  /** As changeConfiguration; a change that writes rules must leave a set that every node can have. */
  #change<T>(
    author: ChangeAuthor,
    work: (transaction: Transaction, record: RecordChange) => Promise<T>,
  ): Promise<ChangedConfiguration<T>> {
    const { rulesMax, judgeSet } = this.#options;
    return changeConfiguration(this.#connection, author, async (transaction, record) => {
      let areWritten = false;
      const result = await work(transaction, (change) => {
        areWritten ||= change.resource === 'alert_rules' && change.operation !== 'DELETE';
        record(change);
      });
      if (!areWritten) return result;
      await requireRoomForRules(transaction, rulesMax);
      await judgeSet?.(await this.#reader.read(transaction));
      return result;
    });
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
  await removeRecords(transaction, 'alert_rules', going.rules ?? [], record);
  const hosts = going.development_hosts ?? [];
  await removeRecords(transaction, 'development_hosts', hosts.map(caseFolded), record);
  await removeRecords(transaction, 'device_teams', (going.teams ?? []).map(caseFolded), record);
  await removeRecords(transaction, 'destinations', going.destinations ?? [], record);
}

async function applyRules(
  transaction: Transaction,
  rules: readonly RuleInput[],
  record: RecordChange,
): Promise<AppliedRule[]> {
  if (rules.length === 0) return [];
  const known = await findKnown(transaction, rules);
  const applied: AppliedRule[] = [];
  const written = new Set<number>();
  for (const [index, rule] of rules.entries()) {
    const found = known[index];
    const name = rule.name ?? null;
    const changed = await writeRule(transaction, record, found, rule, index);
    if (changed === undefined) {
      applied.push({ id: found?.id ?? 0, name, version: found?.version ?? 0, outcome: 'unchanged' });
      continue;
    }
    written.add(index);
    const { id, version, isNew } = changed;
    applied.push({ id, name, version, outcome: isNew ? 'created' : 'updated' });
  }
  requireExpectedVersions(rules, known, written);
  if (rules.some((rule) => rule.id !== undefined)) await transaction.rows('advance_rule_ids');
  return applied;
}

/** Undefined when the rule is so already. Errors: E_RULE_INVALID, those of Connection. */
async function writeRule(
  transaction: Transaction,
  record: RecordChange,
  found: FoundRule | undefined,
  rule: RuleInput,
  index: number,
  isLifting = false,
): Promise<{ id: number; version: number; isNew: boolean } | undefined> {
  const values = ruleValues(rule, index);
  try {
    const [changed] = await (found === undefined
      ? transaction.rows<ChangedRule>('insert_rule', [rule.id ?? null, ...values])
      : transaction.rows<ChangedRule>('update_rule', [found.id, ...values, isLifting]));
    if (changed === undefined) return undefined;
    const { id, version } = changed;
    const isNew = found === undefined || found.is_deleted;
    record({
      operation: isNew ? 'CREATE' : 'UPDATE',
      resource: 'alert_rules',
      recordKey: String(id),
      oldValues: found?.row_values ?? null,
      newValues: changed.row_values,
    });
    return { id, version, isNew };
  } catch (error) {
    throw refusedRule(error, rule, index);
  }
}

/** One rule, whole, as it is stored afterwards. */
async function putRule(
  transaction: Transaction,
  record: RecordChange,
  current: FoundRule | undefined,
  { ...rule }: WholeRule,
): Promise<StoredRule> {
  // Which rule it is has been decided; what the document says of it is not asked.
  delete (rule as RuleInput).id;
  const clears: unknown = rule.clears ?? null;
  if (Number.isSafeInteger(clears) && (await findRules(transaction, [Number(clears)], [])).length === 0) {
    // The table would say so only at the end of the transaction, without naming the rule.
    throw invalidRule(rule, 0, `clears: there is no rule ${String(clears)}`, { field: 'clears' });
  }
  const changed = await writeRule(transaction, record, current, rule, 0, true);
  const id = changed?.id ?? current?.id ?? 0;
  const stored = await find(transaction, id);
  if (stored !== undefined) return stored;
  throw new CodedError('E_STATEMENT_FAILED', `rule ${id} was stored and not found`, { kind: 'defect' });
}

async function find(statements: Statements, id: number): Promise<StoredRule | undefined> {
  return (await statements.rows<StoredRule>('get_rule', [id]))[0];
}

function findRules(statements: Statements, ids: number[], names: string[]): Promise<FoundRule[]> {
  return statements.rows<FoundRule>('find_rules', [ids, names]);
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
  const found = await findRules(transaction, ids, names);
  const byId = new Map(found.map((rule) => [rule.id, rule]));
  const byName = new Map(found.filter((rule) => !rule.is_deleted).map((rule) => [rule.name, rule]));
  const seen = new Set<string>();
  return rules.map((rule, index) => {
    const known = findFor(rule, byId, byName);
    if (known === undefined && (rule.id ?? 0) > GIVEN_ID_MAX) {
      throw invalidRule(
        rule,
        index,
        `there is no rule ${rule.id}, and a new one has an id of at most ${GIVEN_ID_MAX}`,
        {
          field: 'id',
        },
      );
    }
    const namesake = typeof rule.name === 'string' ? byName.get(rule.name) : undefined;
    if (namesake !== undefined && namesake.id !== (known?.id ?? namesake.id)) {
      throw invalidRule(
        rule,
        index,
        `its name is that of rule ${namesake.id}, which must get another one before`,
        {
          field: 'name',
        },
      );
    }
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

/**
 * Of the rules that were written: who wants what is there already is in nobody's way, so that a document can be applied
 * twice. Errors: E_VERSION_CONFLICT, with `details.faults` for every rule that was changed meanwhile.
 */
function requireExpectedVersions(
  rules: readonly RuleInput[],
  known: readonly (FoundRule | undefined)[],
  written: ReadonlySet<number>,
): void {
  const faults = rules.flatMap(({ name, id, expected_version: expected }, index) => {
    const found = known[index];
    const version = found === undefined || found.is_deleted ? null : found.version;
    if (expected === undefined || version === expected || !written.has(index)) return [];
    const called = name ?? found?.name ?? id ?? '';
    const why =
      version === null
        ? `of rule ${called} is ${expected}, and the rule is gone`
        : `of rule ${called} is ${expected}, and the rule is at version ${version} by now`;
    const mend = 'Read it again and repeat the change.';
    return [{ field: `rules[${index}].expected_version`, value: String(expected), why, mend }];
  });
  if (faults.length === 0) return;
  throw new CodedError('E_VERSION_CONFLICT', faults.map(({ field, why }) => `${field} ${why}`).join('\n'), {
    mend: 'Read these rules again and repeat the change; nothing was changed.',
    details: { faults },
  });
}

function caseFolded(hostname: string): string {
  return hostname.toLowerCase();
}
