/** What no text can do to an expression: take long, take much memory, or make it answer wrongly when its states are full. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { AutomatonPool } from '../../../../actors/match/regex/automaton-pool.ts';
import type { AutomatonHolder } from '../../../../actors/match/regex/automaton-pool.ts';
import { AUTOMATON_BYTES_MAX, Automaton } from '../../../../actors/match/regex/automaton.ts';
import { automataFigures, compileExpression } from '../../../../actors/match/regex/expression.ts';
import { Program } from '../../../../actors/match/regex/program.ts';
import { STEPS_MAX } from '../../../../actors/match/regex/step-meter.ts';
import { parseRegex } from '../../../../actors/match/regex/syntax.ts';
import { codeOf } from '../../../../runtime/errors.ts';
import type { CodedError } from '../../../../runtime/errors.ts';
import { randomOf } from './random-expressions.ts';

const TEXT_CHARS = 64 * 1024;
/** Some 20 times of what the slowest takes here; a backtracking engine takes from several seconds to for ever. */
const CPU_MS_MAX = 1_000;

function automatonOf(source: string): Automaton {
  return new Automaton(new Program(parseRegex(source, true), true));
}

function cpuMsOf(work: () => void): number {
  const startedAt = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(startedAt);
  return (user + system) / 1000;
}

/** Random a's and b's. */
function coinTosses(seed: number, length: number): string {
  const random = randomOf(seed);
  return Array.from({ length }, () => (random() < 0.5 ? 'a' : 'b')).join('');
}

// From the literature on denial of service by regular expressions (OWASP, CVEs, outages), with what they choke on.
const catastrophic: readonly [source: string, unit: string, end: string][] = [
  ['(a+)+$', 'a', '!'],
  ['^(a+)+$', 'a', '!'],
  ['(a|a)*b', 'a', '!'],
  ['(a|aa)+$', 'a', '!'],
  ['^([a-zA-Z]+)*$', 'a', '!'],
  ['(x+x+)+y', 'x', '!'],
  ['(.*a){20}$', 'a', '\n'],
  ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a', '\n'],
  ['^(\\w+\\s?)*$', 'a', '!'],
  ['(?:a?){30}a{30}$', 'a', '!'],
  ['\\s+$', ' ', '.'],
  ['(?:(?:"|\'|\\]|\\}|\\\\|\\d|(?:nan|infinity|true|false|null|undefined|symbol|math)|`|-|\\+)+[)]*;?((?:\\s|-|~|!|\\{\\}|\\|\\||\\+)*.*(?:.*=.*)))', 'x', '\n'],
  ['.*.*=.*', 'x', '\n'],
  ['^[\\s\\u200c]+$|[\\s\\u200c]+$', ' ', '.'],
  ['^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@)[a-z]+$', 'a', '!'],
  ['(.*)\\d+\\.\\d+', '1', '!'],
  ['a+b', 'a', '!'],
  ['.*a.*b.*c.*d.*e', 'abcd', '!'],
  ['(?:[ab]*)*c', 'ab', '!'],
  ['^(?:.*,){11}P', '1,', '!'],
  ['(\\p{L}+\\p{Lu}*)+$', 'é', '!'],
]; // prettier-ignore

describe('The time an expression takes', () => {
  for (const [source, unit, end] of catastrophic) {
    it(`is short for ${source} on 64 KiB of ${unit}`, () => {
      const text = unit.repeat((TEXT_CHARS - 1) / unit.length) + end;
      const expression = compileExpression(source, false);
      expect(cpuMsOf(() => expect(expression.test(text)).to.equal(false))).to.be.below(CPU_MS_MAX);
    });
  }

  it('is bounded where the states are more than can be kept, and the answer is right all the same', () => {
    const text = coinTosses(7, TEXT_CHARS);
    for (const [source, tail] of [
      ['(a|b)*a(a|b){20}c', 'c'],
      ['a.{300}c', 'c'],
      ['a[ab]{40}\\b.c', ' c'],
    ] as const) {
      const automaton = automatonOf(source);
      const oracle = new RegExp(`${source.replace('(a|b)*', '')}`, 'iu');
      expect(cpuMsOf(() => expect(automaton.run(text), source).to.equal(false))).to.be.below(CPU_MS_MAX);
      expect(automaton.run(text + tail), source).to.equal(oracle.test(text + tail));
      for (let at = 0; at < 400; at++) {
        const part = text.slice(at * 50, at * 50 + 320 + (at % 7)) + (at % 3 === 0 ? tail : ' ');
        expect(automaton.run(part), `${source} on ${part}`).to.equal(oracle.test(part));
      }
      expect(automaton.bytes).to.be.below(3 * AUTOMATON_BYTES_MAX);
    }
  }).timeout(30_000);

  it('ends in E_RULE_OVER_BUDGET for an expression that is too much for a text, and in time', () => {
    const text = coinTosses(11, TEXT_CHARS);
    const expression = compileExpression('.*a.{900}b.*a.{900}c.{90}', false);
    let thrown: CodedError | undefined;
    const cpuMs = cpuMsOf(() => {
      try {
        expression.test(text);
      } catch (error) {
        thrown = error as CodedError;
      }
    });
    expect(codeOf(thrown)).to.equal('E_RULE_OVER_BUDGET');
    expect(thrown?.kind).to.equal('permanent');
    expect(thrown?.details).to.include({ stepsMax: STEPS_MAX, textChars: TEXT_CHARS });
    expect(thrown?.details['charsRead']).to.be.within(1, TEXT_CHARS);
    expect(cpuMs).to.be.below(CPU_MS_MAX);
    // A text of a usual length is no matter.
    expect(expression.test('a'.repeat(200))).to.equal(false);
  }).timeout(10_000);

  it('makes states anew once their texts have changed', () => {
    const automaton = automatonOf('a[ab]{14}c');
    for (let seed = 1; automaton.refills === 0 && seed < 100; seed++)
      automaton.run(coinTosses(seed, TEXT_CHARS));
    expect(automaton.refills).to.equal(1);
    expect(automaton.run(`${'ab'.repeat(20)}c`)).to.equal(/a[ab]{14}c/.test(`${'ab'.repeat(20)}c`));
    expect(automaton.run('b'.repeat(60) + 'c')).to.equal(false);
  }).timeout(30_000);
});

describe('AutomatonPool', () => {
  const held = (source: string): AutomatonHolder & { automaton: Automaton } => ({
    automaton: automatonOf(source),
    isUsed: true,
    countedBytes: 0,
  });

  it('drops what was not used since the last time first, and stays within its bound', () => {
    const size = held('word').automaton.bytes;
    const pool = new AutomatonPool(size * 10);
    const holders: AutomatonHolder[] = [];
    for (let at = 0; at < 10; at++) {
      const holder = held('word');
      holder.isUsed = at < 3;
      holders.push(holder);
      pool.count(holder);
    }
    expect(pool.figures).to.deep.equal({ automata: 10, bytes: size * 10, dropped: 0 });
    const late = held('word');
    pool.count(late);
    expect(holders.map(({ automaton }) => automaton !== undefined)).to.deep.equal(
      holders.map((_, at) => at < 3),
    );
    expect(late.automaton).to.not.equal(undefined);
    expect(pool.figures).to.deep.equal({ automata: 4, bytes: size * 4, dropped: 7 });
  });

  it('drops all but the one at hand when all were used', () => {
    const size = held('word').automaton.bytes;
    const pool = new AutomatonPool(size * 10);
    const holders = Array.from({ length: 11 }, () => held('word'));
    for (const holder of holders) pool.count(holder);
    expect(holders.filter(({ automaton }) => automaton !== undefined)).to.deep.equal([holders[10]]);
    expect(pool.figures).to.deep.equal({ automata: 1, bytes: size, dropped: 10 });
  });

  it('counts what the expressions of this thread take', () => {
    const before = automataFigures();
    const expression = compileExpression('counted \\w+ once', false);
    expect(automataFigures().automata).to.equal(before.automata);
    expression.test('counted é once');
    expect(automataFigures().automata).to.equal(before.automata + 1);
    expect(automataFigures().bytes).to.be.within(before.bytes + 1000, before.bytes + 50_000);
  });
});
