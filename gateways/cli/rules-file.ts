/**
 * A rules file: YAML read safely, its shape checked, every fault told with its place in the file.
 *
 * Only the shape is judged here (sections, names of fields, what is given twice); what a rule may say is judged by the
 * node, which alone knows it whole. Nothing is applied of a file with a fault.
 */
import { readFile, stat } from 'node:fs/promises';
import { isMap, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { RULE_DEFAULTS } from '../../actors/ports.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { nearestWord } from '../../runtime/nearest-word.ts';
import type { FieldFault } from './admin-documents.ts';
import { counted, printable } from './terminal-text.ts';

/** Some ten thousand rules. The admin API takes 4 MiB of JSON. */
export const RULES_FILE_BYTES_MAX = 32 * 1024 * 1024;
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
  expected_version: undefined,
};

export interface RulesDocument {
  rules: Record<string, unknown>[];
  development_hosts?: unknown[];
  teams?: Record<string, unknown>;
  destinations?: unknown[];
}

/** A fault with its place in the file, as far as it has one there; both from 1. */
export interface LocatedFault extends FieldFault {
  line?: number;
  column?: number;
}

/** A file as it was read, sound or not. */
export interface OpenedRulesFile {
  path: string;
  /** Undefined when it is no YAML. */
  value: unknown;
  /** Of its shape: all of them, in no order. */
  faults: LocatedFault[];
  locate: (fault: FieldFault) => LocatedFault;
}

export interface RulesFile {
  path: string;
  document: RulesDocument;
  locate: (fault: FieldFault) => LocatedFault;
  /** The faults that the node found, with their places. */
  refused(faults: readonly FieldFault[]): CodedError;
}

/** Reads a file and judges its shape. Errors: `E_FILE_UNREADABLE`, `E_FILE_TOO_LARGE`. */
export async function openRulesFile(path: string): Promise<OpenedRulesFile> {
  const text = await readText(path);
  const lineCounter = new LineCounter();
  const yaml = parseDocument(text, { schema: 'core', uniqueKeys: true, lineCounter, prettyErrors: false });
  // A tag that is not known is a warning there, and the text would be taken without it.
  const broken = [...yaml.errors, ...yaml.warnings];
  if (broken.length > 0) {
    const faults = broken.map(({ message, pos }) => {
      const { line, col } = lineCounter.linePos(pos[0]);
      return { field: '', why: message, line, column: col };
    });
    return { path, value: undefined, faults, locate: (fault) => fault };
  }
  const locate = (fault: FieldFault): LocatedFault => ({
    ...fault,
    ...placeOf(yaml, lineCounter, fault.field),
  });
  let value: unknown;
  try {
    value = yaml.toJS({ maxAliasCount: ALIASES_MAX });
  } catch {
    return {
      path,
      value,
      faults: [{ field: '', why: 'uses its anchors (&name, *name) too often' }],
      locate,
    };
  }
  return { path, value, faults: shapeFaults(value).map(locate), locate };
}

/**
 * `judge` gives what the node finds in a file that has faults already, so that all of them are told at once.
 * Errors: `E_FILE_UNREADABLE`, `E_FILE_TOO_LARGE`, `E_RULES_INVALID` with one line for each fault.
 */
export async function readRulesFile(
  path: string,
  judge: (document: unknown) => Promise<FieldFault[]>,
): Promise<RulesFile> {
  const { value, faults, locate } = await openRulesFile(path);
  if (faults.length > 0) {
    const further = isRecord(value) ? await judge(value) : [];
    throw invalid(path, withoutRepeats(faults, further.map(locate)));
  }
  return {
    path,
    document: { rules: [], ...(value as object) },
    locate,
    refused: (found) => invalid(path, found.map(locate)),
  };
}

/** The node names what is wrong with the shape too: each fault is told once. */
export function withoutRepeats(own: LocatedFault[], further: readonly LocatedFault[]): LocatedFault[] {
  const fields = new Set(own.map(({ field }) => field));
  return [...own, ...further.filter(({ field }) => !fields.has(field))];
}

/** The rules to be tried: what versions they expect is of no matter, since nothing is changed. */
export function triedRules({ document }: RulesFile): Record<string, unknown>[] {
  return document.rules.map((rule) =>
    Object.fromEntries(Object.entries(rule).filter(([field]) => field !== 'expected_version')),
  );
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
  for (const key of ['name', 'id'] as const) {
    const value = rule[key];
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    const seenAs = `${key} ${value}`;
    const earlier = seen.get(seenAs);
    if (earlier === undefined) seen.set(seenAs, index);
    else {
      faults.push({
        field: `${field}.${key}`,
        why: `is the ${key} of rules[${earlier}] too`,
        mend: `Each ${key} is of one rule.`,
      });
    }
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

/** As compilers do, so that editors find the place: `FILE:LINE:COLUMN: FIELD: why. What to do.` */
export function faultLine(path: string, { field, why, mend, line, column }: LocatedFault): string {
  const place = line === undefined ? path : `${path}:${line}:${column ?? 1}`;
  const of = field === '' ? '' : ` ${printable(field)}:`;
  const sentence = mend === undefined ? '' : `. ${printable(mend)}`;
  return `${place}:${of} ${printable(why)}${sentence}`;
}

/** The place of `rules[3].match_string`, or of the nearest thing around it that is in the file. */
function placeOf(
  yaml: Document,
  lineCounter: LineCounter,
  field: string,
): Pick<LocatedFault, 'line' | 'column'> {
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
  if (offset === undefined) return {};
  const { line, col } = lineCounter.linePos(offset);
  return { line, column: col };
}

function offsetOf(node: unknown): number | undefined {
  const range = (node as { range?: readonly number[] | null } | null | undefined)?.range;
  return range?.[0];
}

function invalid(path: string, faults: readonly LocatedFault[]): CodedError {
  const lines = faults.slice(0, FAULTS_SHOWN_MAX).map((fault) => faultLine(path, fault));
  if (faults.length > lines.length) {
    lines.push(`and ${faults.length - lines.length} more: \`mutt rules lint\` shows all`);
  }
  return new CodedError(
    'E_RULES_INVALID',
    `${path} has ${counted(faults.length, 'fault')}\n${lines.join('\n')}`,
    {
      mend: 'Correct these places and try again; nothing was changed.',
    },
  );
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
