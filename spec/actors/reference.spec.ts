/** The reference pages of events and rules say what the code does: every field, code, limit and example. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import { RECORD_BYTES_MAX, RECORD_DEPTH_MAX, RECORDS_PER_REQUEST_MAX } from '../../actors/ingest/limits.ts';
import { parseRule, ruleSchema } from '../../actors/match/rule.ts';
import { PLACEHOLDERS } from '../../actors/match/signature.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const events = read('docs/reference/events.md');
const rules = read('docs/reference/rules.md');

describe('docs/reference/events.md', () => {
  it('names exactly the codes that records and bodies are refused with', () => {
    const sources = ['split-records.ts', 'decode-record.ts']
      .map((name) => read(`actors/ingest/${name}`))
      .join('\n');
    const codesIn = (text: string): string[] => [...new Set(text.match(/\bE_[A-Z0-9_]+\b/g))].sort();
    expect(codesIn(events)).to.deep.equal(codesIn(sources));
  });

  it('gives the limits that hold', () => {
    for (const limit of [RECORD_BYTES_MAX, RECORDS_PER_REQUEST_MAX])
      expect(events).to.include(limit.toLocaleString('en'));
    expect(events).to.match(
      new RegExp(`nesting of one record, itself included\\s*\\|\\s*${RECORD_DEPTH_MAX} `),
    );
  });
});

describe('docs/reference/rules.md', () => {
  it('names every field and every placeholder', () => {
    for (const field of Object.keys(ruleSchema.properties)) expect(rules).to.include(`\`${field}\``);
    for (const placeholder of PLACEHOLDERS) expect(rules).to.include(`{${placeholder}}`);
  });

  it('shows examples that are taken', () => {
    const yaml = /```yaml\n([^]*?)```/.exec(rules)?.[1] ?? '';
    const { rules: examples } = parse(yaml) as { rules: unknown[] };
    expect(examples).to.have.length.above(3);
    for (const example of examples) expect(() => parseRule(example)).to.not.throw();
  });
});
