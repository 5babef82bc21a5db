/** The published conformance vectors: the product and the plain loop do what they say, and they say all that the page does. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { NormalizedEvent } from '../../../actors/event.ts';
import { RECORD_JSON } from '../../../actors/ingest/split-records.ts';
import { normalizeEvent } from '../../../actors/match/normalize.ts';
import { parseRule } from '../../../actors/match/rule.ts';
import type { RuleFault } from '../../../actors/match/rule.ts';
import { RuleSet, buildRuleSet } from '../../../actors/match/rule-set/rule-set.ts';
import type { RuleRow } from '../../../actors/ports.ts';
import type { CodedError } from '../../../runtime/errors.ts';
import { inOrder, plainCriteria, plainLoop } from './plain-loop.ts';

interface Vectors {
  defaults: { rule: object; event: object; received_at: string };
  cases: Vector[];
}

interface Vector {
  name: string;
  cites: string;
  rules: ({ id: number } & Record<string, unknown>)[];
  event?: object;
  received_at?: string;
  expect?: number[];
  refused?: string;
}

const JUDGED_CHARS_MAX = 100;

const { defaults, cases } = JSON.parse(
  readFileSync(new URL('../../../docs/reference/rule-vectors.json', import.meta.url), 'utf8'),
) as Vectors;
const page = readFileSync(new URL('../../../docs/reference/rules.md', import.meta.url), 'utf8');

describe('The conformance vectors of rules', function () {
  this.timeout(60_000);

  const matching = cases.filter((vector) => vector.expect !== undefined);
  const refused = cases.filter((vector) => vector.refused !== undefined);

  it('hold for the product', () => {
    const wrong = matching.filter((vector) => {
      const { image } = buildRuleSet(rowsOf(vector), 1);
      const found = new RuleSet(image).match(eventOf(vector)).map(({ id }) => id);
      return String(found) !== String(vector.expect);
    });
    expect(wrong).to.deep.equal([]);
  });

  it('hold for the plain loop', () => {
    const wrong = matching.filter((vector) => {
      const event = eventOf(vector);
      const found = plainLoop(inOrder(rowsOf(vector)), (row) => plainCriteria(row)(event));
      return String(found) !== String(vector.expect);
    });
    expect(wrong).to.deep.equal([]);
  });

  it('hold in one set of all their rules, too', () => {
    // Each case's rules by themselves, one behind the other: what matches an event among them is not what others say.
    const sets = matching.map((vector) => ({ vector, rows: rowsOf(vector) }));
    const rows = sets.flatMap(({ rows: own }, at) =>
      own.map((row) => ({ ...row, id: row.id + 100 * at, priority: 100, continue: true })),
    );
    const ruleSet = new RuleSet(buildRuleSet(rows, 1).image);
    const ordered = inOrder(rows).map((row) => ({ row, holds: plainCriteria(row) }));
    for (const { vector } of sets) {
      const event = eventOf(vector);
      // On long ones some expressions would keep the judge for minutes.
      if (event.message.length > JUDGED_CHARS_MAX) continue;
      const expected = ordered.filter(({ holds }) => holds(event)).map(({ row }) => row.id);
      expect(
        ruleSet.match(event).map(({ id }) => id),
        vector.name,
      ).to.deep.equal(expected);
    }
  });

  it('are refused where they say so', () => {
    const wrong = refused.filter(({ rules, refused: code }) => !codesOf(rules).includes(code!));
    expect(wrong).to.deep.equal([]);
  });

  it('are each either matched or refused, under a name of their own', () => {
    expect(matching.length + refused.length).to.equal(cases.length);
    expect(new Set(cases.map(({ name }) => name)).size).to.equal(cases.length);
    expect(matching.filter((vector) => vector.expect!.length === 0).length).to.be.above(matching.length / 5);
  });

  it('cite the page, and leave out no sentence of it about matching', () => {
    const text = oneLine(page);
    const cited = [...new Set(cases.map(({ cites }) => oneLine(cites)))];
    expect(cited.filter((words) => !text.includes(words))).to.deep.equal([]);
    const sentences = ['## Matching', '## Regular expressions'].flatMap((heading) =>
      sentencesOf(page, heading),
    );
    expect(sentences).to.have.length.above(12);
    const isCited = (sentence: string): boolean =>
      cited.some((words) => words.includes(sentence) || sentence.includes(words));
    expect(sentences.filter((sentence) => !isCited(sentence))).to.deep.equal([]);
  });
});

/** What is wrong with the one rule. */
function codesOf([rule, ...others]: Vector['rules']): string[] {
  if (others.length > 0) return [];
  try {
    parseRule({ ...defaults.rule, ...rule });
    return [];
  } catch (error) {
    return ((error as CodedError).details?.['faults'] as RuleFault[]).map(({ code }) => code);
  }
}

function rowsOf({ rules }: Vector): RuleRow[] {
  return rules.map((rule) => ({ ...parseRule({ ...defaults.rule, ...rule }), id: rule.id, version: 1 }));
}

function eventOf(vector: Vector): NormalizedEvent {
  const sent = { ...defaults.event, ...vector.event };
  return normalizeEvent({
    id: '017f22e2-79b0-7cc3-98c4-dc0c0c07398f-0',
    receivedAtMs: Date.parse(vector.received_at ?? defaults.received_at),
    correlationId: 'c-1',
    kind: RECORD_JSON,
    bytes: Buffer.from(JSON.stringify(sent)),
  }).event;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** The sentences and list items of a section. */
function sentencesOf(text: string, heading: string): string[] {
  const section = text.slice(text.indexOf(`${heading}\n`) + heading.length).split('\n## ')[0]!;
  return section
    .split(/\n\n|\n- /)
    .map((item) => oneLine(item).replace(/^- /, '').replace(/[;.]$/, ''))
    .flatMap((item) => item.split(/(?<=\.|:) (?=[A-Z`])/).map((sentence) => sentence.replace(/\.$/, '')))
    .filter((sentence) => sentence !== '');
}
