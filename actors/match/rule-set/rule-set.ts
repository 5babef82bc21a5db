/**
 * One thread's view of the compiled rule set, which all threads of a process share without a copy. Immutable but for what
 * threads tell each other in it: how often each rule has matched, and which rules are suspended.
 *
 * One pass over the message finds every literal that it holds; with the tables of OIDs, hosts and programs, and the few
 * rules that nothing narrows, that gives the candidates. Only they are confirmed, in (priority, id) order. Invariant: the
 * result is what testing all criteria of every active rule in that order would give.
 *
 * What a hostile text can cost is bounded: two steps of the automaton a unit; each literal is taken up once in an event,
 * however often and in however many others it stands; each rule is a candidate at most once, and confirming one is bounded
 * by its criteria; what all expressions take together is bounded by event-budget.ts.
 */
import { codeOf } from '../../../runtime/errors.ts';
import type { CodedError } from '../../../runtime/errors.ts';
import type { NormalizedEvent } from '../../event.ts';
import type { RuleRow } from '../../ports.ts';
import { Subject, criteriaOf } from '../criteria.ts';
import type { Criterion } from '../criteria.ts';
import { foldName } from '../fold.ts';
import type { Matcher } from '../matcher.ts';
import { STEPS_MAX, stepMeter } from '../regex/step-meter.ts';
import { NO_EDGE, STATE_MASK, edgeOf } from './automaton.ts';
import { EventBudget, overEventBudget } from './event-budget.ts';
import { openImage } from './image.ts';
import type { Image } from './image.ts';
import { HASH_START, findKey, hashOf, hashOn } from './key-table.ts';
import { RuleCache } from './rule-cache.ts';
import { LITERAL_IS_ENOUGH, severityIndexOf, takesFacility, takesSeverity } from './traits.ts';

export { buildRuleSet, ruleSetCost } from './build.ts';
export { ruleCost, setCost } from './plan.ts';
export type { RuleCost } from './plan.ts';
export type { BuiltRuleSet, RuleSetStatistics } from './build.ts';
export type { RefusedRule } from './plan.ts';

/** How often a rule has matched since its image was built. */
export interface RuleHits {
  ruleId: number;
  /** Modulo 2^32. */
  hits: number;
  /** Receipt time of the newest event, ms since 1970 UTC. */
  lastReceivedAtMs: number;
}

/** A rule that took more than its budget on one event, or the most where all together did: it is suspended by then. */
export interface Offender {
  ruleId: number;
  ruleVersion: number;
  eventId: string;
  /** E_RULE_OVER_BUDGET. */
  error: CodedError;
}

export interface RuleSetHooks {
  /** A rule has thrown on an event. It counts as not matching; the others go on. */
  onFault?: (ruleId: number, error: unknown) => void;
  /** Once for each image and rule, in the thread that met it first. */
  onOffender?: (offender: Offender) => void;
}

const NONE: RuleRow[] = Object.freeze([]) as unknown as RuleRow[];
/** Fewer candidates than this are put in order one by one. */
const FEW = 24;
const DOT = 0x2e;
const NO_RANK = 0x7fff_ffff;

/** A rule as this thread has decoded it. */
interface Rule {
  row: RuleRow;
  /** What traits and the automaton leave to test. */
  criteria: readonly Criterion[];
}

export class RuleSet implements Matcher {
  readonly version: number;
  readonly #image: Image;
  readonly #hooks: RuleSetHooks;
  readonly #decoded: RuleCache<Rule>;
  /** The event that took a literal up last, and a rule. */
  readonly #literalSeenIn: Uint32Array;
  readonly #rankSeenIn: Uint32Array;
  #event = 0;
  /** The ranks of those rules that may match this event. */
  readonly #candidates: Int32Array;
  #count = 0;
  /** Ranks of the rules that this event has matched so far. */
  readonly #matched: number[] = [];
  readonly #budget = new EventBudget();

  /** Costs no more for many rules than for few. @throws CodedError E_RULE_SET_DAMAGED (defect) when `image` is none. */
  constructor(image: SharedArrayBuffer, hooks: RuleSetHooks = {}) {
    this.#image = openImage(image);
    this.version = this.#image.version;
    this.#hooks = hooks;
    this.#decoded = new RuleCache(this.#image.rules);
    this.#literalSeenIn = new Uint32Array(this.#image.nextLiterals.length);
    this.#rankSeenIn = new Uint32Array(this.#image.rules);
    this.#candidates = new Int32Array(this.#image.rules);
  }

  /**
   * See Matcher. Counts a hit for each rule given back; a suspended rule matches nothing.
   * @throws CodedError E_EVENT_OVER_BUDGET (permanent) when thousands of cheap candidates take too long together.
   */
  match(event: NormalizedEvent): RuleRow[] {
    const severity = severityIndexOf(event.severity);
    const { alwaysStarts } = this.#image;
    this.#findCandidates(event);
    const always = alwaysStarts[severity]!;
    const alwaysEnd = alwaysStarts[severity + 1]!;
    if (this.#count === 0 && always === alwaysEnd) return NONE;
    return this.#confirm(event, severity, always, alwaysEnd);
  }

  /** The rule, active or not; undefined when the set does not hold it. */
  rule(id: number): RuleRow | undefined {
    const number = this.#rowNumberOf(id);
    if (number === undefined) return undefined;
    return this.#decoded.get(number)?.row ?? this.#row(number);
  }

  /** From now on, in every thread. False when it was so already, or the rule is not in force. */
  suspend(ruleId: number): boolean {
    const rank = this.#rankOf(ruleId);
    return rank !== undefined && Atomics.exchange(this.#image.suspended, rank, 1) === 0;
  }

  isSuspended(ruleId: number): boolean {
    const rank = this.#rankOf(ruleId);
    return rank !== undefined && Atomics.load(this.#image.suspended, rank) === 1;
  }

  /** Of all threads, those that have matched. */
  hits(): RuleHits[] {
    const { ids, hits, lastReceivedAtMs, rules } = this.#image;
    const rows = ids.length / 2;
    const all: RuleHits[] = [];
    for (let at = 0; at < rows; at++) {
      const rank = ids[rows + at]!;
      const count = rank < rules ? Atomics.load(hits, rank) >>> 0 : 0;
      if (count > 0) all.push({ ruleId: ids[at]!, hits: count, lastReceivedAtMs: lastReceivedAtMs[rank]! });
    }
    return all;
  }

  /** How many rules this thread has decoded and keeps. */
  get decodedRules(): number {
    return this.#decoded.size;
  }

  #findCandidates(event: NormalizedEvent): void {
    this.#count = 0;
    this.#event = (this.#event + 1) >>> 0;
    if (this.#event === 0) {
      // After 2^32 events the numbers begin anew: what is left of the first round would look like this one.
      this.#literalSeenIn.fill(0);
      this.#rankSeenIn.fill(0);
      this.#event = 1;
    }
    const { oids, hosts, programs } = this.#image;
    this.#scan(event.message);
    if (hosts.length > 0) this.#takeKey(hosts, hashOf(foldName(event.hostname)));
    if (programs.length > 0 && event.program !== undefined) {
      this.#takeKey(programs, hashOf(foldName(event.program)));
    }
    if (oids.length > 0 && event.trapOid !== undefined) this.#takeOids(event.trapOid);
  }

  /** Takes up every literal that the message holds. */
  #scan(message: string): void {
    const { classOf, cells, sparseFrom, classes } = this.#image;
    const { length } = message;
    let state = 0;
    for (let at = 0; at < length; at++) {
      const unitClass = classOf[message.charCodeAt(at)]!;
      if (state >= sparseFrom) {
        if (unitClass === 0) {
          state = 0;
          continue;
        }
        let target = edgeOf(cells, state, unitClass);
        while (target === NO_EDGE) {
          state = cells[state + 1]!;
          if (state < sparseFrom) {
            target = cells[state + unitClass]!;
            break;
          }
          target = edgeOf(cells, state, unitClass);
        }
        state = target;
      } else state = cells[state + unitClass]!;
      if (state < 0) {
        state &= STATE_MASK;
        this.#takeLiterals(cells[state < sparseFrom ? state + classes : state]!);
      }
    }
  }

  /** Takes up the literal and those that it ends with. Where one was met before in this event, so were the rest. */
  #takeLiterals(longest: number): void {
    const { nextLiterals, literalStarts, literalRanks } = this.#image;
    for (let literal = longest; literal !== -1; literal = nextLiterals[literal]!) {
      if (this.#literalSeenIn[literal] === this.#event) return;
      this.#literalSeenIn[literal] = this.#event;
      this.#take(literalRanks, literalStarts[literal]!, literalStarts[literal + 1]!);
    }
  }

  #take(ranks: Int32Array, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      const rank = ranks[at]!;
      if (this.#rankSeenIn[rank] === this.#event) continue;
      this.#rankSeenIn[rank] = this.#event;
      this.#candidates[this.#count++] = rank;
    }
  }

  #takeKey(table: Int32Array, hash: number): void {
    const at = findKey(table, hash);
    if (at !== -1) this.#take(this.#image.keyRanks, table[at]!, table[at + 1]!);
  }

  /** The OID and all above it, in one pass. */
  #takeOids(oid: string): void {
    const { oids } = this.#image;
    let hash = HASH_START;
    for (let at = 0; at < oid.length; at++) {
      const unit = oid.charCodeAt(at);
      if (unit === DOT) this.#takeKey(oids, hash);
      hash = hashOn(hash, unit);
    }
    this.#takeKey(oids, hash);
  }

  /** Tests the candidates and the rules that nothing narrows, both in order of rank, side by side. */
  #confirm(event: NormalizedEvent, severity: number, always: number, alwaysEnd: number): RuleRow[] {
    const { alwaysRanks, traits } = this.#image;
    const candidates = this.#candidates;
    const count = this.#count;
    sortFirst(candidates, count);
    const { facility } = event;
    const subject = new Subject(event);
    const matched = this.#matched;
    matched.length = 0;
    let matches = NONE;
    this.#budget.begin();
    stepMeter.limit(STEPS_MAX);
    let alwaysAt = always;
    for (let at = 0; at < count || alwaysAt < alwaysEnd;) {
      const candidate = at < count ? candidates[at]! : NO_RANK;
      const other = alwaysAt < alwaysEnd ? alwaysRanks[alwaysAt]! : NO_RANK;
      const rank = candidate < other ? candidate : other;
      if (rank === candidate) at++;
      else alwaysAt++;
      const trait = traits[rank]!;
      if (!takesSeverity(trait, severity) || !takesFacility(trait, facility)) continue;
      const spentBefore = stepMeter.spent;
      const rule = this.#holding(rank, subject);
      if (rule !== undefined) {
        matched.push(rank);
        if (matches === NONE) matches = [rule.row];
        else matches.push(rule.row);
      }
      const steps = stepMeter.spent - spentBefore;
      if (steps > 0) this.#charge(rank, steps, event, matches);
      // Where it was the dearest of all, it does not match any more.
      if (rule !== undefined && !rule.row.continue && matched.at(-1) === rank) break;
    }
    stepMeter.limit(STEPS_MAX);
    for (const rank of matched) this.#countHit(rank, event.receivedAtMs);
    return matches.length === 0 ? NONE : matches;
  }

  /** The rule when it matches. */
  #holding(rank: number, subject: Subject): Rule | undefined {
    if (Atomics.load(this.#image.suspended, rank) === 1) return undefined;
    try {
      const rule = this.#decoded.get(rank) ?? this.#decode(rank);
      for (const criterion of rule.criteria) if (!criterion.holds(subject)) return undefined;
      return rule;
    } catch (error) {
      const { stepsMax } = stepMeter;
      // Where it had less than usual, other rules had left no more of the event's budget.
      const isShort = stepsMax < STEPS_MAX && codeOf(error) === 'E_RULE_OVER_BUDGET';
      this.#blame(rank, subject.event, isShort ? overEventBudget(stepsMax) : error);
      return undefined;
    }
  }

  /** Takes what a rule took off the event's budget. Where that is passed, the dearest rules go, also out of `matches`. */
  #charge(rank: number, steps: number, event: NormalizedEvent, matches: RuleRow[]): void {
    const budget = this.#budget;
    // What a rule took that is out already does not count.
    const isOut = Atomics.load(this.#image.suspended, rank) === 1;
    if (isOut) budget.noteGone();
    let dearest = budget.charge(rank, isOut ? 0 : steps);
    for (; dearest !== undefined; dearest = budget.charge(rank, 0)) {
      const { rank: going } = dearest;
      this.#blame(going, event, overEventBudget(dearest.steps));
      const at = this.#matched.indexOf(going);
      if (at === -1) continue;
      this.#matched.splice(at, 1);
      matches.splice(at, 1);
    }
    if (budget.isPassed) stepMeter.limit(budget.ruleStepsMax);
  }

  #blame(rank: number, event: NormalizedEvent, error: unknown): void {
    const { id, version } = this.#row(rank);
    if (codeOf(error) !== 'E_RULE_OVER_BUDGET') this.#hooks.onFault?.(id, error);
    else if (this.suspend(id)) {
      this.#hooks.onOffender?.({
        ruleId: id,
        ruleVersion: version,
        eventId: event.id,
        error: error as CodedError,
      });
    }
  }

  #countHit(rank: number, receivedAtMs: number): void {
    const { hits, lastReceivedAtMs } = this.#image;
    Atomics.add(hits, rank, 1);
    // Two threads may meet here and the older time stay: by as much as their events are apart, until the next match.
    if (receivedAtMs > lastReceivedAtMs[rank]!) lastReceivedAtMs[rank] = receivedAtMs;
  }

  #decode(rank: number): Rule {
    const row = this.#row(rank);
    const isFound = (this.#image.traits[rank]! & LITERAL_IS_ENOUGH) !== 0;
    const criteria = criteriaOf(row).filter(
      ({ field }) =>
        field !== 'syslog_severity' && field !== 'facility' && !(isFound && field === 'match_string'),
    );
    return this.#decoded.keep(rank, { row, criteria });
  }

  #row(number: number): RuleRow {
    const { rows, rowStarts } = this.#image;
    const [start, end] = [rowStarts[number]!, rowStarts[number + 1]!];
    const text = Buffer.from(rows.buffer, rows.byteOffset + start, end - start).toString();
    return JSON.parse(text) as RuleRow;
  }

  /** Rows of rules come first: the number of a rule's row is its rank. */
  #rankOf(ruleId: number): number | undefined {
    const number = this.#rowNumberOf(ruleId);
    return number === undefined || number >= this.#image.rules ? undefined : number;
  }

  #rowNumberOf(id: number): number | undefined {
    const { ids } = this.#image;
    const rows = ids.length / 2;
    let [low, high] = [0, rows];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ids[middle]! < id) low = middle + 1;
      else high = middle;
    }
    return low < rows && ids[low] === id ? ids[rows + low] : undefined;
  }
}

/** Puts the first `count` numbers in order. */
function sortFirst(numbers: Int32Array, count: number): void {
  if (count > FEW) {
    numbers.subarray(0, count).sort();
    return;
  }
  for (let at = 1; at < count; at++) {
    const number = numbers[at]!;
    let to = at;
    for (; to > 0 && numbers[to - 1]! > number; to--) numbers[to] = numbers[to - 1]!;
    numbers[to] = number;
  }
}
