/**
 * What decides, for the API: rules, development hosts, teams and destinations. Checked as the whole documents are that
 * an operator applies, so that one rule and a file of rules are judged alike.
 */
import {
  clearedElsewhere,
  parseConfiguration,
  writtenDestination,
} from '../../actors/match/configuration.ts';
import type { ConfigurationDocument, NamedRule } from '../../actors/match/configuration.ts';
import type { Destination } from '../../actors/ports.ts';
import type { AdminPort } from '../../gateways/admin/admin-port.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresDestinationStore } from '../../gateways/postgres/destination-store.ts';
import { PostgresDevelopmentHostStore } from '../../gateways/postgres/development-host-store.ts';
import { PostgresRuleStore } from '../../gateways/postgres/rule-store.ts';
import { PostgresSnapshotSource } from '../../gateways/postgres/snapshot-source.ts';
import { PostgresTeamStore } from '../../gateways/postgres/team-store.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { authorOf, destinationDocument, devHostDocument, listed, teamDocument } from './documents.ts';

/** Of a destination; not for people to set. */
const SHOWN_FIELDS: readonly string[] = ['version', 'updated_at'];

type RulePorts = Pick<AdminPort, 'rules' | 'hosts' | 'teams' | 'destinations'>;

/** `onChange` is called after every change. */
export function rulePorts(database: Connection, onChange: () => void): RulePorts {
  return {
    rules: rulesPort(database, onChange),
    hosts: hostsPort(database, onChange),
    teams: teamsPort(database, onChange),
    destinations: destinationsPort(database, onChange),
  };
}

function rulesPort(database: Connection, onChange: () => void): RulePorts['rules'] {
  const rules = new PostgresRuleStore(database);
  const snapshots = new PostgresSnapshotSource(database);
  /** With what only the stored rules tell: that there is a rule which one of these clears. */
  const judged = async (document: unknown): Promise<ConfigurationDocument> => {
    const cleared = clearedElsewhere(document);
    const known = await rules.known(cleared);
    return parseConfiguration(document, new Set(cleared.filter((id) => !known.has(id))));
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
      await judged(document);
    },
  };
}

function hostsPort(database: Connection, onChange: () => void): RulePorts['hosts'] {
  const hosts = new PostgresDevelopmentHostStore(database);
  return {
    page: async (page) => listed(await hosts.page(page), devHostDocument),
    add: async (hostname, change) => {
      const added = await hosts.add(hostname, authorOf(change));
      onChange();
      return devHostDocument(added);
    },
    remove: async (hostname, change) => {
      const isRemoved = await hosts.remove(hostname, authorOf(change));
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
      const found = await teams.get(hostname);
      return found === undefined ? undefined : teamDocument(found);
    },
    put: async (hostname, team, change) => {
      const put = await teams.put(hostname, team, change, authorOf(change));
      onChange();
      return teamDocument(put);
    },
    remove: async (hostname, change) => {
      const isRemoved = await teams.remove(hostname, change, authorOf(change));
      onChange();
      return isRemoved;
    },
  };
}

function destinationsPort(database: Connection, onChange: () => void): RulePorts['destinations'] {
  const destinations = new PostgresDestinationStore(database);
  return {
    page: async (page) => listed(await destinations.page(page), destinationDocument),
    get: async (name) => {
      const found = await destinations.get(name);
      return found === undefined ? undefined : destinationDocument(found);
    },
    put: async (name, input, change) => {
      const put = await destinations.put(parseDestination(input, name), change, authorOf(change));
      onChange();
      return destinationDocument(put);
    },
    remove: async (name, change) => {
      const isRemoved = await destinations.remove(name, change, authorOf(change));
      onChange();
      return isRemoved;
    },
  };
}

/** `id` is that of the path. Errors: E_RULE_INVALID with `details.faults`. */
function parseRule(input: unknown, id: number | undefined): NamedRule {
  const { rules } = parsed('rules', input, 'E_RULE_INVALID');
  const [rule] = rules as [NamedRule];
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
