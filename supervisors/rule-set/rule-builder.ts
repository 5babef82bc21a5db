/**
 * Builds rule sets in a thread of its own, so that neither the supervisor nor a match thread ever compiles a rule.
 */
import type { BuiltRuleSet, RuleCost } from '../../actors/match/rule-set/rule-set.ts';
import { CodedError, codeOf, fromWire, messageOf } from '../../runtime/errors.ts';
import { TaskThread } from '../../runtime/thread/task-thread.ts';
import type { BuildAnswer, BuildTask } from './build-rules.ts';

export interface RuleBuilderOptions {
  /** Of the thread's heap; the image itself is outside it. */
  heapMbMax?: number;
  /** Of one build. */
  buildMsMax?: number;
  /** Without work for so long, the thread goes. */
  idleMs?: number;
  /** What the thread runs; default build-rules.ts. */
  moduleUrl?: string;
}

const HEAP_MB_MAX = 1_024;
const BUILD_MS_MAX = 60_000;
const IDLE_MS = 10_000;
const buildUrl = new URL('./build-rules.ts', import.meta.url).href;

export class RuleBuilder {
  readonly #thread: TaskThread;

  constructor({
    heapMbMax = HEAP_MB_MAX,
    buildMsMax = BUILD_MS_MAX,
    idleMs = IDLE_MS,
    moduleUrl = buildUrl,
  }: RuleBuilderOptions = {}) {
    this.#thread = new TaskThread({ moduleUrl, heapMbMax, taskMsMax: buildMsMax, idleMs });
  }

  /** Whether its thread exists just now. */
  get hasThread(): boolean {
    return this.#thread.isThere;
  }

  /**
   * `rules`: JSON of the rows. Errors: E_RULE_SET_TOO_LARGE (permanent), E_RULE_SET_UNBUILT (transient: its thread died,
   * took too long or too much memory).
   */
  async build(rules: string, version: number): Promise<BuiltRuleSet> {
    const answer = await this.#answerTo({ rules, version });
    if ('built' in answer) return answer.built;
    throw unbuilt(answer);
  }

  /** What each of the rules costs in a set, in their order. Errors: E_RULE_SET_UNBUILT (transient). */
  async costs(rules: string): Promise<RuleCost[]> {
    const answer = await this.#answerTo({ rules, version: undefined });
    if ('costs' in answer) return answer.costs;
    throw unbuilt(answer);
  }

  /** Ends the thread, whatever it does. */
  close(): Promise<void> {
    return this.#thread.close();
  }

  async #answerTo(task: BuildTask): Promise<BuildAnswer> {
    const answer = (await this.#thread.run(task).catch((thrown: unknown) => {
      throw unbuilt(thrown);
    })) as BuildAnswer;
    if (!('refused' in answer)) return answer;
    const refused = fromWire(answer.refused);
    throw codeOf(refused) === 'E_RULE_SET_TOO_LARGE' ? refused : unbuilt(refused);
  }
}

function unbuilt(cause: unknown): CodedError {
  return new CodedError('E_RULE_SET_UNBUILT', `the rule set cannot be built: ${messageOf(cause)}`, {
    kind: 'transient',
    mend: 'It is tried again by itself. If it goes on, take back the last change of rules and look at the memory of the machine.',
    cause,
  });
}
