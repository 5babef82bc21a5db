/**
 * Entries of the audit of changes, as lines of a table and as a whole.
 */
import type { ChangeDocument } from './admin-documents.ts';
import type { Column } from './table.ts';
import { printable } from './terminal-text.ts';

export const CHANGE_COLUMNS: readonly Column<ChangeDocument>[] = [
  { head: 'id', cell: ({ id }) => String(id), align: 'right' },
  { head: 'at', cell: ({ changed_at: at }) => seconds(at) },
  { head: 'by', cell: ({ changed_by: by }) => by, shrinks: true },
  { head: 'operation', cell: ({ operation }) => operation },
  { head: 'resource', cell: ({ resource }) => resource },
  { head: 'record', cell: ({ record_key: key }) => key, shrinks: true },
  { head: 'reason', cell: ({ reason }) => reason ?? '', shrinks: true },
  { head: 'change', cell: summary, shrinks: true },
];

/** RFC 3339 to the second. */
export function seconds(at: string): string {
  return at.replace(/\.\d+(?=Z|[+-]\d\d:\d\d$)/, '');
}

/** Fields that say no more than the entry itself does. */
const BOOKKEEPING: ReadonlySet<string> = new Set([
  'id',
  'key',
  'name',
  'hostname',
  'version',
  'created_at',
  'updated_at',
  'updated_by',
  'deleted_at',
]);
const SUMMARY_FIELDS_MAX = 3;

/** What has become different, in a few words: `mutt audit show` has all of it. */
function summary(change: ChangeDocument): string {
  const [old, now] = [record(change.old_values), record(change.new_values)];
  const fields = differingFields(change).filter((field) => !BOOKKEEPING.has(field));
  const isUpdate = change.operation === 'UPDATE';
  const told = isUpdate ? fields : fields.filter((field) => (old[field] ?? now[field] ?? null) !== null);
  const parts = told
    .slice(0, SUMMARY_FIELDS_MAX)
    .map((field) =>
      isUpdate
        ? `${field}: ${text(old[field])} -> ${text(now[field])}`
        : `${field}: ${text(old[field] ?? now[field])}`,
    );
  const more = told.length - parts.length;
  return [...parts, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

function differingFields({ old_values: before, new_values: after }: ChangeDocument): string[] {
  const [old, now] = [record(before), record(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].filter(
    (field) => JSON.stringify(old[field]) !== JSON.stringify(now[field]),
  );
}

/** `field: old -> new`, for each field that differs. */
function difference(change: ChangeDocument): string[] {
  const [old, now] = [record(change.old_values), record(change.new_values)];
  return differingFields(change).map((field) => `${field}: ${text(old[field])} -> ${text(now[field])}`);
}

/** All of an entry, for a person. */
export function changeLines(change: ChangeDocument): string[] {
  const rows: [name: string, value: string | null | undefined][] = [
    ['id', String(change.id)],
    ['at', change.changed_at],
    ['by', change.changed_by],
    ['operation', change.operation],
    ['resource', change.resource],
    ['record', change.record_key],
    ['reason', change.reason],
    ['correlation id', change.correlation_id],
    ['hash', change.hash],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.flatMap(([name, value]) =>
    (value ?? '') === '' ? [] : [`${name.padEnd(width)}  ${printable(value ?? '')}`],
  );
  return [...lines, ...difference(change).map((line) => `  ${printable(line)}`)];
}

function record(value: unknown): Record<string, unknown> {
  if (value === null || value === undefined) return {};
  return typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : { value };
}

function text(value: unknown): string {
  if (value === undefined) return 'nothing';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
