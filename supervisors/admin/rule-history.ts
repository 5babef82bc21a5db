/** The versions of a rule, from the record of configuration changes: who made each, why, and what it was. */
import { RULE_DEFAULTS } from '../../actors/ports.ts';
import type { Listed, Page } from '../../gateways/admin/admin-port.ts';
import type { RuleDocument } from '../../gateways/admin/documents.ts';
import type { RuleVersionDocument } from '../../gateways/admin/rule-documents.ts';
import { PostgresConfigAudit } from '../../gateways/postgres/config-audit.ts';
import type { ConfigAuditEntry } from '../../gateways/postgres/config-audit.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresRuleStore } from '../../gateways/postgres/rule-store.ts';
import { PostgresRuleVersionStore } from '../../gateways/postgres/rule-version-store.ts';
import { CodedError } from '../../runtime/errors.ts';
import { listed } from './documents.ts';

type Values = Record<string, unknown>;

export interface RuleHistory {
  /** Newest first. Undefined when there is and was no such rule. */
  versions(id: number, page: Page<number>): Promise<Listed<RuleVersionDocument, number> | undefined>;
  /**
   * The rule as it was, in the form that people write; without a version, before the last change. Undefined when there
   * is no such rule. Errors: E_RULE_VERSION_UNKNOWN, those of Connection.
   */
  earlier(id: number, version: number | undefined): Promise<Values | undefined>;
}

/** The record has them as PostgreSQL writes times in JSON. */
const TIMES = ['active_from', 'active_until'] as const;

export function ruleHistory(database: Connection): RuleHistory {
  const audit = new PostgresConfigAudit(database);
  const rules = new PostgresRuleStore(database);
  const stored = new PostgresRuleVersionStore(database);
  return {
    versions: async (id, { after, limit }) => {
      const found = await audit.search({
        resource: 'alert_rules',
        recordKey: String(id),
        beforeId: after,
        limit,
      });
      if (found.items.length === 0 && after === undefined) return undefined;
      return listed(found, ruleVersion);
    },
    earlier: async (id, version) => {
      if ((await rules.get(id)) === undefined) return undefined;
      const found = await stored.find(id, version);
      if (found !== undefined) return writtenRule(found.values);
      const what =
        version === undefined ? 'has no earlier version' : `has no version ${version} that is kept`;
      throw new CodedError('E_RULE_VERSION_UNKNOWN', `rule ${id} ${what}`, {
        mend: 'GET /api/v2/rules/<id>/versions lists those that are kept.',
      });
    },
  };
}

function ruleVersion(entry: ConfigAuditEntry): RuleVersionDocument {
  const values = entry.newValues as Values | null;
  const isRemoved = values === null || (values['deleted_at'] ?? null) !== null;
  const latest = (values ?? entry.oldValues) as Values;
  return {
    // A removal is a version too, of which nothing is left to see.
    version: Number(latest['version']) + (values === null ? 1 : 0),
    changed_at: new Date(entry.changedAtMs).toISOString(),
    changed_by: entry.changedBy,
    operation: entry.operation,
    reason: entry.reason,
    correlation_id: entry.correlationId,
    audit_id: entry.id,
    rule: isRemoved
      ? null
      : ({ id: latest['id'], version: latest['version'], ...writtenRule(latest) } as RuleDocument),
  };
}

/** The fields of a rule, of all the columns that its table has; times as rules are shown. */
function writtenRule(values: Values): Values {
  const fields = Object.keys(RULE_DEFAULTS).map((field) => [field, values[field] ?? null]);
  const rule: Values = { name: values['name'] ?? null, ...(Object.fromEntries(fields) as Values) };
  for (const field of TIMES) {
    if (typeof rule[field] === 'string') rule[field] = new Date(rule[field]).toISOString();
  }
  return rule;
}
