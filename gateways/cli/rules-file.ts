/**
 * A rules file: YAML read safely, its shape checked, every fault told with its place in the file.
 *
 * Only the shape is judged here (sections, names of fields); what a rule may say is judged by the node, which alone knows
 * it whole. Nothing is applied of a file with a fault.
 */
import { readFile, stat } from 'node:fs/promises';
import { isMap, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { RULE_DEFAULTS } from '../../actors/ports.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { nearestWord } from '../../runtime/nearest-word.ts';
import type { FieldFault } from './admin-documents.ts';
import { printable } from './terminal-text.ts';

/** Some ten thousand rules. The admin API takes 4 MiB of JSON. */
export const RULES_FILE_BYTES_MAX = 2 * 1024 * 1024;
/** Anchors that are used more often are an attack ("billion laughs"), not a rules file. */
const ALIASES_MAX = 100;
/** More would not be read. */
const FAULTS_SHOWN_MAX = 20;

/** The sections of a file, with the form each must have. */
const SECTIONS: Readonly<Record<string, 'list' | 'mapping'>> = {
  rules: 'list',
  development_hosts: 'list',
  teams: 'mapping',
  destinations: 'list',
};

/** Fields of a rule in a file and their defaults; undefined where there is none. */
export const RULE_FIELDS: Readonly<Record<string, unknown>> = {
  id: undefined,
  name: undefined,
  ...RULE_DEFAULTS,
  version: undefined,
};

export interface RulesDocument {
  rules: Record<string, unknown>[];
  development_hosts?: unknown[];
  teams?: Record<string, unknown>;
  destinations?: unknown[];
}

export interface RulesFile {
  document: RulesDocument;
  /** The faults that the node found, as `FILE: field: why`, with their lines. */
  refused(faults: readonly FieldFault[]): CodedError;
}

/**
 * `judge` gives what the node finds in a file that has faults already, so that all of them are told at once.
 * Errors: `E_FILE_UNREADABLE`, `E_FILE_TOO_LARGE`, `E_RULES_INVALID` with one line for each fault.
 */
export async function readRulesFile(
  path: string,
  judge: (document: unknown) => Promise<FieldFault[]>,
): Promise<RulesFile> {
  const text = await readText(path);
  const lineCounter = new LineCounter();
  const yaml = parseDocument(text, { schema: 'core', uniqueKeys: true, lineCounter, prettyErrors: false });
  if (yaml.errors.length > 0) {
    const lines = yaml.errors.map(({ message, pos }) => {
      const { line, col } = lineCounter.linePos(pos[0]);
      return `${path}:${line}:${col}: ${printable(message)}`;
    });
    throw invalid(path, lines);
  }
  const value = toValue(yaml, path);
  const refused = (faults: readonly FieldFault[]): CodedError =>
    invalid(
      path,
      faults.map((fault) => describeFault(path, fault, lineOf(yaml, lineCounter, fault.field))),
    );
  const faults = shapeFaults(value);
  if (faults.length > 0) {
    const own = new Set(faults.map(({ field }) => field));
    const further = isRecord(value) ? await judge(value) : [];
    throw refused([...faults, ...further.filter(({ field }) => !own.has(field))]);
  }
  return { document: { rules: [], ...(value as object) }, refused };
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size <= RULES_FILE_BYTES_MAX) return await readFile(path, 'utf8');
    throw new CodedError(
      'E_FILE_TOO_LARGE',
      `${path} has ${size} bytes; at most ${RULES_FILE_BYTES_MAX} are taken`,
      {
        mend: 'Split it into several files and apply them one after the other.',
      },
    );
  } catch (thrown) {
    if (codeOf(thrown) === 'E_FILE_TOO_LARGE') throw thrown;
    throw new CodedError('E_FILE_UNREADABLE', `${path} cannot be read: ${codeOf(thrown)}`, {
      mend: 'Name a YAML file of rules; `mutt rules export` writes one.',
      cause: thrown,
    });
  }
}

function toValue(yaml: Document, path: string): unknown {
  try {
    return yaml.toJS({ maxAliasCount: ALIASES_MAX });
  } catch {
    throw invalid(path, [`${path}: uses its anchors (&name, *name) too often`]);
  }
}

function shapeFaults(value: unknown): FieldFault[] {
  if (!isRecord(value)) {
    return [
      { field: '', why: 'is not a mapping with the section rules', mend: 'Begin with "rules:" and a list.' },
    ];
  }
  const faults: FieldFault[] = [];
  for (const [name, content] of Object.entries(value)) {
    const form = SECTIONS[name];
    if (form === undefined) faults.push(unknownName(name, name, 'section', Object.keys(SECTIONS)));
    else if (form === 'list' && !Array.isArray(content)) faults.push({ field: name, why: 'is not a list' });
    else if (form === 'mapping' && !isRecord(content)) faults.push({ field: name, why: 'is not a mapping' });
  }
  const seen = new Map<string, number>();
  for (const [index, rule] of (Array.isArray(value['rules'])
    ? (value['rules'] as unknown[])
    : []
  ).entries()) {
    faults.push(...ruleFaults(rule, index, seen));
  }
  return faults;
}

function ruleFaults(rule: unknown, index: number, seen: Map<string, number>): FieldFault[] {
  const field = `rules[${index}]`;
  if (!isRecord(rule)) return [{ field, why: 'is not a mapping of fields' }];
  const faults = Object.keys(rule)
    .filter((name) => !Object.hasOwn(RULE_FIELDS, name))
    .map((name) => unknownName(`${field}.${name}`, name, 'field', Object.keys(RULE_FIELDS)));
  const { name } = rule;
  if (typeof name === 'string') {
    const earlier = seen.get(name);
    if (earlier !== undefined) {
      faults.push({
        field: `${field}.name`,
        why: `is the name of rules[${earlier}] too`,
        mend: 'Names are unique.',
      });
    }
    seen.set(name, index);
  }
  return faults;
}

function unknownName(field: string, name: string, kind: string, known: string[]): FieldFault {
  const nearest = nearestWord(name, known);
  return {
    field,
    why: `there is no such ${kind}`,
    mend: nearest === undefined ? `Known: ${known.join(', ')}.` : `Did you mean ${nearest}?`,
  };
}

function describeFault(path: string, fault: FieldFault, line: number | undefined): string {
  const field = fault.field === '' ? '' : ` ${printable(fault.field)}:`;
  const mend = fault.mend === undefined ? '' : `. ${printable(fault.mend)}`;
  return `${path}:${field} ${printable(fault.why)}${line === undefined ? '' : ` (line ${line})`}${mend}`;
}

/** The line of `rules[3].match_string`, or of the nearest thing around it that is in the file. */
function lineOf(yaml: Document, lineCounter: LineCounter, field: string): number | undefined {
  const steps = [...field.matchAll(/[^.[\]]+/g)].map(([step]) => (/^\d+$/.test(step) ? Number(step) : step));
  let node: unknown = yaml.contents;
  let offset: number | undefined;
  for (const step of steps) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(key) === String(step));
      if (pair === undefined) break;
      offset = offsetOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step];
      offset = offsetOf(node) ?? offset;
    } else {
      break;
    }
  }
  return offset === undefined ? undefined : lineCounter.linePos(offset).line;
}

function offsetOf(node: unknown): number | undefined {
  const range = (node as { range?: readonly number[] | null } | null | undefined)?.range;
  return range?.[0];
}

function invalid(path: string, lines: string[]): CodedError {
  const shown = lines.slice(0, FAULTS_SHOWN_MAX);
  if (lines.length > shown.length) shown.push(`and ${lines.length - shown.length} more`);
  return new CodedError('E_RULES_INVALID', `${path} is not applied\n${shown.join('\n')}`, {
    mend: 'Correct these places and apply again; nothing was changed.',
  });
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
