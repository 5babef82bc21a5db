/**
 * What decides, for the API: rules, development hosts, teams and destinations. Checked as the whole documents are that
 * an operator applies, so that one rule and a file of rules are judged alike.
 */
import { canonicalHostname } from '../../actors/hostname.ts';
import { clearedElsewhere, parseConfiguration } from '../../actors/match/configuration.ts';
import type { ConfigurationDocument, NamedRule } from '../../actors/match/configuration.ts';
import { writtenDestination } from '../../actors/match/destination-document.ts';
import type { Destination } from '../../actors/ports.ts';
import type { AdminPort } from '../../gateways/admin/admin-port.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresDestinationStore } from '../../gateways/postgres/destination-store.ts';
import { PostgresDevelopmentHostStore } from '../../gateways/postgres/development-host-store.ts';
import { PostgresRuleStore } from '../../gateways/postgres/rule-store.ts';
import { PostgresSnapshotSource } from '../../gateways/postgres/snapshot-source.ts';
import { PostgresTeamStore } from '../../gateways/postgres/team-store.ts';
import { systemClock } from '../../runtime/clock.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { setJudge } from '../rule-set/judge-set.ts';
import type { RuleBuilder } from '../rule-set/rule-builder.ts';
import type { SecretPlaces } from '../../gateways/secrets/secret-source.ts';
import type { DestinationTester } from './destination-tests.ts';
import { ruleHistory } from './rule-history.ts';
import { requireSecretPlaces } from './secret-faults.ts';
import { authorOf, destinationDocument, devHostDocument, listed, teamDocument } from './documents.ts';

/** Of a destination; not for people to set. */
const SHOWN_FIELDS: readonly string[] = ['version', 'hold', 'updated_at'];

type RulePorts = Pick<AdminPort, 'rules' | 'hosts' | 'teams' | 'destinations'>;

export interface RulePortsOptions {
  database: Connection;
  /** Called after every change. */
  onChange: () => void;
  /** Judges whether a set could be built. */
  builder: RuleBuilder;
  secretPlaces: SecretPlaces;
  tester: DestinationTester;
}

export function rulePorts(options: RulePortsOptions): RulePorts {
  const { database, onChange } = options;
  return {
    rules: rulesPort(options),
    hosts: hostsPort(database, onChange),
    teams: teamsPort(database, onChange),
    destinations: destinationsPort(options),
  };
}

function rulesPort({ database, onChange, builder, secretPlaces }: RulePortsOptions): RulePorts['rules'] {
  const rules = new PostgresRuleStore(database, { judgeSet: setJudge(builder) });
  const history = ruleHistory(database);
  const snapshots = new PostgresSnapshotSource(database);
  /** With what only the stored rules tell: that there is a rule which one of these clears. */
  const judged = async (document: unknown): Promise<ConfigurationDocument> => {
    const cleared = clearedElsewhere(document);
    const known = await rules.known(cleared);
    const read = parseConfiguration(document, new Set(cleared.filter((id) => !known.has(id))));
    const fieldOf = (index: number): string => `destinations[${index}].secret_ref`;
    requireSecretPlaces(read.destinations, secretPlaces, 'E_CONFIG_INVALID', fieldOf);
    return read;
  };
  return {
    page: (page) => rules.page(page),
    get: (id) => rules.get(id),
    create: async (input, change) => {
      const created = await rules.create(parseRule(input, undefined), authorOf(change));
      onChange();
      return created;
    },
    replace: async (id, input, change) => {
      const replaced = await rules.replace(id, parseRule(input, id), change, authorOf(change));
      onChange();
      return replaced;
    },
    remove: async (id, change) => {
      const isRemoved = await rules.remove(id, change, authorOf(change));
      onChange();
      return isRemoved;
    },
    versions: (id, page) => history.versions(id, page),
    rollback: async (id, toVersion, change) => {
      const earlier = await history.earlier(id, toVersion);
      if (earlier === undefined) return undefined;
      const replaced = await rules.replace(id, parseRule(earlier, id), change, authorOf(change));
      onChange();
      return replaced;
    },
    set: async () => {
      const [stored, snapshot] = await Promise.all([rules.list(), snapshots.load()]);
      const { version, developmentHosts, teams, destinations } = snapshot;
      return {
        version,
        rules: stored,
        development_hosts: developmentHosts,
        teams,
        destinations: destinations.map(writtenDestination) as never,
      };
    },
    applySet: async (document, caller) => {
      const { reason, ...configuration } = await judged(document);
      const applied = await rules.applyConfiguration(configuration, authorOf({ caller, reason }));
      onChange();
      const { snapshotVersion, ...counts } = applied;
      return { ...counts, snapshot_version: snapshotVersion };
    },
    checkSet: async (document) => {
      const { rules: read } = await judged(document);
      return read;
    },
  };
}

function hostsPort(database: Connection, onChange: () => void): RulePorts['hosts'] {
  const hosts = new PostgresDevelopmentHostStore(database);
  return {
    page: async (page) => listed(await hosts.page(page), devHostDocument),
    add: async (hostname, change) => {
      const added = await hosts.add(canonicalHostname(hostname), authorOf(change));
      onChange();
      return devHostDocument(added);
    },
    remove: async (hostname, change) => {
      const isRemoved = await hosts.remove(canonicalHostname(hostname), authorOf(change));
      onChange();
      return isRemoved;
    },
  };
}

function teamsPort(database: Connection, onChange: () => void): RulePorts['teams'] {
  const teams = new PostgresTeamStore(database);
  return {
    page: async (page) => listed(await teams.page(page), teamDocument),
    get: async (hostname) => {
      const found = await teams.get(canonicalHostname(hostname));
      return found === undefined ? undefined : teamDocument(found);
    },
    put: async (hostname, team, change) => {
      const put = await teams.put(canonicalHostname(hostname), team, change, authorOf(change));
      onChange();
      return teamDocument(put);
    },
    remove: async (hostname, change) => {
      const isRemoved = await teams.remove(canonicalHostname(hostname), change, authorOf(change));
      onChange();
      return isRemoved;
    },
  };
}

function destinationsPort({
  database,
  onChange,
  secretPlaces,
  tester,
}: RulePortsOptions): RulePorts['destinations'] {
  const destinations = new PostgresDestinationStore(database);
  const parse = (input: unknown, name: string): Destination => {
    const parsed = parseDestination(input, name);
    requireSecretPlaces([parsed], secretPlaces, 'E_DESTINATION_INVALID', () => 'secret_ref');
    return parsed;
  };
  return {
    page: async (page) => listed(await destinations.page(page), destinationDocument),
    get: async (name) => {
      const found = await destinations.get(name);
      return found === undefined ? undefined : destinationDocument(found);
    },
    put: async (name, input, change) => {
      const put = await destinations.put(parse(input, name), change, authorOf(change));
      onChange();
      return destinationDocument(put);
    },
    hold: async (name, wish, change) => {
      const nowMs = systemClock.wallMs();
      if (wish?.untilMs !== undefined && wish.untilMs !== null && wish.untilMs <= nowMs) throw untilIsPast();
      const hold = wish === null ? null : { ...wish, sinceMs: nowMs, by: change.caller.keyName };
      const held = await destinations.hold(name, hold, authorOf(change));
      onChange();
      return held === undefined ? undefined : destinationDocument(held);
    },
    remove: async (name, change) => {
      const isRemoved = await destinations.remove(name, change, authorOf(change));
      onChange();
      return isRemoved;
    },
    test: async (name, input, status) => {
      const destination = input === undefined ? await destinations.get(name) : parse(input, name);
      if (destination === undefined) return undefined;
      return tester.test(destination, status, input === undefined);
    },
  };
}

function untilIsPast(): CodedError {
  const mend = 'Give a time that is still to come, or none.';
  return new CodedError('E_PARAMETER_INVALID', 'until has passed already', {
    mend,
    details: { faults: [{ field: 'until', why: 'has passed already', mend }] },
  });
}

/** `id` is that of the path. Errors: E_RULE_INVALID with `details.faults`. */
function parseRule(input: unknown, id: number | undefined): NamedRule {
  const { rules } = parsed('rules', input, 'E_RULE_INVALID');
  const [rule] = rules as [NamedRule];
  if (rule.expected_version !== undefined) {
    throw otherItem('E_RULE_INVALID', 'expected_version', 'is of documents; here it is If-Match');
  }
  if (id !== undefined && rule.id !== undefined && rule.id !== id) {
    throw otherItem('E_RULE_INVALID', 'id', `is not ${id}, the rule of this address`);
  }
  return rule;
}

/** `name` is that of the path. Errors: E_DESTINATION_INVALID with `details.faults`. */
function parseDestination(input: unknown, name: string): Destination {
  const isObject = typeof input === 'object' && input !== null && !Array.isArray(input);
  // What the server adds when it shows one may come back with it.
  const given = Object.entries(isObject ? input : {}).filter(([field]) => !SHOWN_FIELDS.includes(field));
  const document = isObject ? { name, ...Object.fromEntries(given) } : input;
  const { destinations } = parsed('destinations', document, 'E_DESTINATION_INVALID');
  const [destination] = destinations as [Destination];
  if (destination.name !== name) {
    throw otherItem('E_DESTINATION_INVALID', 'name', 'is not the one of this address');
  }
  return destination;
}

/** One item, judged as the only one of a document, with faults that name its own fields. */
function parsed(section: 'rules' | 'destinations', input: unknown, code: string): ConfigurationDocument {
  try {
    return parseConfiguration({ [section]: [input] });
  } catch (thrown) {
    if (codeOf(thrown) !== 'E_CONFIG_INVALID') throw thrown;
    const { faults } = (thrown as CodedError).details as { faults: { field: string }[] };
    const prefix = new RegExp(`^${section}\\[0\\]\\.?`);
    const own = faults.map((fault) => ({ ...fault, field: fault.field.replace(prefix, '') }));
    const message = (thrown as CodedError).message.replaceAll(new RegExp(`${section}\\[0\\]\\.?`, 'g'), '');
    throw new CodedError(code, message.trim(), { details: { faults: own } });
  }
}

function otherItem(code: string, field: string, why: string): CodedError {
  const mend = 'Leave it out, or give the one of the address.';
  return new CodedError(code, `${field} ${why}`, { mend, details: { faults: [{ field, why, mend }] } });
}
