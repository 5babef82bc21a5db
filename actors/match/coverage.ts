/**
 * Which rules of a set can never decide, because an earlier one that ends the search matches whenever they do.
 *
 * Only what can be proved is said: each criterion of the earlier rule follows from one of the later rule. Earlier rules
 * are filed by the criterion that narrows them down most, so that a rule is compared with those it could follow from and
 * not with all; the number of comparisons is bounded all the same.
 */
import { canonicalHostname } from '../hostname.ts';
import { parseTimestamp } from '../ingest/timestamp.ts';
import type { RuleRow } from '../ports.ts';
import { oidOf } from './criteria.ts';
import { inOrder } from './explain.ts';
import { foldText } from './fold.ts';
import { compileGlob, isGlob } from './glob.ts';
import { isInNetwork, parseNetwork } from './ip-network.ts';
import type { IpNetwork } from './ip-network.ts';
import { isUnderOid, oidsAbove } from './oid.ts';

export interface Shadowing {
  row: RuleRow;
  /** The first one in order that does it. */
  by: RuleRow;
}

export interface ShadowReport {
  shadowed: Shadowing[];
  pairsCompared: number;
  /** False when the bound left some out: more rules may be shadowed. */
  isComplete: boolean;
}

export const SHADOW_PAIRS_MAX = 2_000_000;
/** Parts of texts that are looked up. */
const PARTS_MAX = 20_000_000;

/** What a rule asks of events, in one form. Null for what it does not ask. */
interface Demands {
  row: RuleRow;
  rank: number;
  fromMs: number;
  untilMs: number;
  severity: readonly [from: number, to: number] | null;
  facility: number | null;
  program: string | null;
  /** Canonical, or a folded pattern. */
  host: string | null;
  hostPattern: boolean;
  oid: string | null;
  isOidPrefix: boolean;
  network: IpNetwork | null;
  contains: string | null;
  regex: string | null;
}

/** `rows` in any order; those that are not active take no part. Pure. */
export function findShadowed(rows: readonly RuleRow[], pairsMax = SHADOW_PAIRS_MAX): ShadowReport {
  const demands = rows
    .filter((row) => row.is_active)
    .sort(inOrder)
    .flatMap((row, rank) => demandsOf(row, rank) ?? []);
  const files = new Files(demands);
  const shadowed: Shadowing[] = [];
  let pairsCompared = 0;
  let isComplete = true;
  for (const later of demands) {
    let by: Demands | undefined;
    for (const earlier of files.candidatesFor(later)) {
      if (pairsCompared >= pairsMax) {
        isComplete = false;
        break;
      }
      pairsCompared += 1;
      if ((by === undefined || earlier.rank < by.rank) && followsFrom(earlier, later)) by = earlier;
    }
    if (by !== undefined) shadowed.push({ row: later.row, by: by.row });
    // What is shadowed shadows nothing that its own shadow does not.
    else if (!later.row.continue) files.add(later);
  }
  return { shadowed, pairsCompared, isComplete: isComplete && files.isComplete };
}

/** Whether every event that fulfils `later` fulfils `earlier`. False where that cannot be proved. */
function followsFrom(earlier: Demands, later: Demands): boolean {
  return (
    earlier.fromMs <= later.fromMs &&
    earlier.untilMs >= later.untilMs &&
    follows(earlier.severity, later.severity, ([from, to], [low, high]) => low >= from && high <= to) &&
    follows(earlier.facility, later.facility, (a, b) => a === b) &&
    follows(earlier.program, later.program, (a, b) => a === b) &&
    followsHost(earlier, later) &&
    follows(earlier.oid, later.oid, (a, b) =>
      earlier.isOidPrefix ? isUnderOid(b, a) : a === b && !later.isOidPrefix,
    ) &&
    follows(
      earlier.network,
      later.network,
      (a, b) => b.prefixBits >= a.prefixBits && isInNetwork(b.groups, a),
    ) &&
    follows(earlier.contains, later.contains, () => containsText(earlier, later)) &&
    follows(earlier.regex, later.regex, (a, b) => a === b)
  );
}

function follows<T>(asked: T | null, given: T | null, test: (asked: T, given: T) => boolean): boolean {
  return asked === null || (given !== null && test(asked, given));
}

function followsHost(earlier: Demands, later: Demands): boolean {
  return follows(earlier.host, later.host, (pattern, host) => {
    if (pattern === host && earlier.hostPattern === later.hostPattern) return true;
    return earlier.hostPattern && !later.hostPattern && compileGlob(pattern)(host);
  });
}

/** Whether whatever holds the later rule's text holds the earlier one's. */
function containsText({ row: earlier }: Demands, { row: later }: Demands): boolean {
  const [text = '', whole = ''] = [earlier.match_string ?? '', later.match_string ?? ''];
  if (earlier.case_sensitive) return later.case_sensitive && whole.includes(text);
  return whole.includes(text) || foldText(whole).includes(foldText(text));
}

function demandsOf(row: RuleRow, rank: number): Demands | undefined {
  const { match_string: text, match_type: type, host, program, network } = row;
  const parsed = network === null ? null : parseNetwork(network);
  const fromMs = row.active_from === null ? -Infinity : parseTimestamp(row.active_from);
  const untilMs = row.active_until === null ? Infinity : parseTimestamp(row.active_until);
  const oid = oidOf(row) ?? null;
  const asksForOid = row.trap_oid !== null || type === 'oid_prefix';
  const isBoth = type === 'oid_prefix' && row.trap_oid !== null && text !== null;
  // Whatever does not compile, or asks for two OIDs at once, is left out: nothing can be proved about it.
  if (parsed === undefined || fromMs === undefined || untilMs === undefined || isBoth) return undefined;
  if (asksForOid && oid === null) return undefined;
  const isPattern = host !== null && isGlob(host);
  return {
    row,
    rank,
    fromMs,
    untilMs,
    severity: severitiesOf(row),
    facility: row.facility,
    program: program?.toLowerCase() ?? null,
    // Every event has a host: a pattern of stars asks for nothing.
    host:
      host === null || /^\*+$/.test(host) ? null : isPattern ? host.toLowerCase() : canonicalHostname(host),
    hostPattern: isPattern,
    oid,
    isOidPrefix: type === 'oid_prefix',
    network: parsed,
    contains: type === 'contains' && text !== null ? foldText(text) : null,
    regex: type === 'regex' && text !== null ? `${row.case_sensitive ? 's' : 'i'}${text}` : null,
  };
}

function severitiesOf({ syslog_severity: severity, severity_op: operator }: RuleRow): Demands['severity'] {
  if (severity === null) return null;
  return [operator === '<=' ? 0 : severity, operator === '>=' ? 7 : severity];
}

/** Rules by what a rule that follows from them must have. */
class Files {
  isComplete = true;
  readonly #frequency = new Map<string, number>();
  readonly #byKey = new Map<string, Demands[]>();
  readonly #textLengths = new Set<number>();
  readonly #others: Demands[] = [];
  #partsLeft = PARTS_MAX;

  constructor(demands: readonly Demands[]) {
    for (const key of demands.flatMap(keysOf)) this.#frequency.set(key, (this.#frequency.get(key) ?? 0) + 1);
  }

  /** Under the rarest of its keys: of ten thousand rules about one host, each is found by its text. */
  add(demands: Demands): void {
    const [first, ...others] = keysOf(demands);
    if (first === undefined) {
      this.#others.push(demands);
      return;
    }
    const frequency = (key: string): number => this.#frequency.get(key) ?? 0;
    const rarest = others.reduce((key, other) => (frequency(other) < frequency(key) ? other : key), first);
    if (demands.contains !== null && rarest === textKey(demands.contains)) {
      this.#textLengths.add(demands.contains.length);
    }
    const filed = this.#byKey.get(rarest);
    if (filed === undefined) this.#byKey.set(rarest, [demands]);
    else filed.push(demands);
  }

  /** Every rule that `later` could follow from, some that it does not. */
  *candidatesFor({ host, oid, program, contains, regex }: Demands): Generator<Demands> {
    if (host !== null) yield* this.#filed(`host ${host}`);
    if (oid !== null) for (const above of oidsAbove(oid)) yield* this.#filed(`oid ${above}`);
    if (regex !== null) yield* this.#filed(`regex ${regex}`);
    if (contains !== null) {
      for (const key of this.#partsOf(contains)) yield* this.#filed(key);
    }
    if (program !== null) yield* this.#filed(`program ${program}`);
    yield* this.#others;
  }

  #partsOf(text: string): Set<string> {
    const parts = new Set<string>();
    for (const length of this.#textLengths) {
      for (let start = 0; start + length <= text.length; start++) {
        if (this.#partsLeft-- <= 0) {
          this.isComplete = false;
          return parts;
        }
        const key = textKey(text.slice(start, start + length));
        if (this.#byKey.has(key)) parts.add(key);
      }
    }
    return parts;
  }

  #filed(key: string): readonly Demands[] {
    return this.#byKey.get(key) ?? [];
  }
}

/** Under which a rule may be filed: one that follows from it has at least one of the same kind that leads there. */
function keysOf({ host, hostPattern, oid, regex, contains, program }: Demands): string[] {
  return [
    ...(host === null || hostPattern ? [] : [`host ${host}`]),
    ...(oid === null ? [] : [`oid ${oid}`]),
    ...(regex === null ? [] : [`regex ${regex}`]),
    ...(contains === null ? [] : [textKey(contains)]),
    ...(program === null ? [] : [`program ${program}`]),
  ];
}

function textKey(text: string): string {
  return `text ${text}`;
}

export interface Overlap {
  a: RuleRow;
  b: RuleRow;
  events: number;
  /** One of them. */
  eventId: string;
}

/** Past so many pairs, further ones are not counted. */
const OVERLAPS_MAX = 10_000;
/** Rules of one event of which pairs are made. */
const RULES_PER_EVENT_MAX = 12;

/** Counts which rules match the same events and decide otherwise. Fed with all that match, not only the first. */
export class OverlapCount {
  readonly #pairs = new Map<string, Overlap>();

  look(eventId: string, matches: readonly RuleRow[]): void {
    const rows = matches.slice(0, RULES_PER_EVENT_MAX);
    for (const [at, a] of rows.entries()) {
      for (const b of rows.slice(at + 1)) {
        if (!decidesOtherwise(a, b)) continue;
        const key = `${a.id} ${b.id}`;
        const known = this.#pairs.get(key);
        if (known !== undefined) known.events += 1;
        else if (this.#pairs.size < OVERLAPS_MAX) this.#pairs.set(key, { a, b, events: 1, eventId });
      }
    }
  }

  /** The most frequent first. */
  found(): Overlap[] {
    return [...this.#pairs.values()].sort(
      (x, y) => y.events - x.events || inOrder(x.a, y.a) || inOrder(x.b, y.b),
    );
  }
}

function decidesOtherwise(a: RuleRow, b: RuleRow): boolean {
  return (
    a.prod_handling !== b.prod_handling ||
    a.dev_handling !== b.dev_handling ||
    a.team_assignment !== b.team_assignment
  );
}
