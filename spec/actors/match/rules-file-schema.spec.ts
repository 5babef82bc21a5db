/**
 * The schema of a rules file against the parser: a document has the right shape for the one when it has for the other.
 * What a value means (an OID that is none) only the parser judges; no sample here is wrong in that way alone.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Compile } from 'typebox/schema';
import { parseConfiguration } from '../../../actors/match/configuration.ts';
import { rulesFileSchema } from '../../../actors/match/rules-file-schema.ts';
import type { CodedError } from '../../../runtime/errors.ts';
import { SCHEMA_PATH, rulesSchemaText } from '../../docs/generate-rules-schema.ts';

const RULE = {
  host: 'core-1',
  prod_handling: 'Page_only',
  dev_handling: 'Ignore',
  team_assignment: 'NETO',
};
const DESTINATION = { name: 'hook', kind: 'webhook', url: 'https://hook.example.net/x' };
const LINE = '<13>Oct 11 22:14:15 core-1 su: x';

/** Values for every field of a rule; what is right for one is wrong for others. */
const VALUES = [
  undefined,
  null,
  '',
  ' ',
  'x',
  'x'.repeat(256),
  'err',
  'regex',
  'contains',
  '<=',
  'Page_only',
  'page_only',
  -1,
  0,
  7,
  8,
  1.5,
  1_000_001,
  true,
  [],
  [1],
  {},
];
const MEANING =
  /is no |has no |compares with nothing|is not after|cannot clear|stands for nothing|needs at least/;

const schema = Compile(rulesFileSchema as never) as unknown as { Check(value: unknown): boolean };

/** Faults of shape; those of meaning are none of the schema's. */
function faultsOf(document: unknown): string[] {
  try {
    parseConfiguration(document);
    return [];
  } catch (thrown) {
    const { faults } = (thrown as CodedError).details as {
      faults: { field: string; why: string; code?: string }[];
    };
    return faults
      .filter(({ why, code }) => code !== 'E_RULE_TEST_FAILED' && !(MEANING.test(why) && code !== undefined))
      .map(({ field, why }) => `${field} ${why}`);
  }
}

function agree(document: unknown): void {
  const faults = faultsOf(document);
  expect(schema.Check(document), `${JSON.stringify(document)?.slice(0, 300)}: ${faults.join('; ')}`).to.equal(
    faults.length === 0,
  );
}

describe('The schema of a rules file', () => {
  it('is the one that is published', async () => {
    expect(readFileSync(SCHEMA_PATH, 'utf8')).to.equal(await rulesSchemaText());
  });

  it('says of every field what it means', () => {
    const visit = (node: unknown, path: string): void => {
      const { properties, items, anyOf } = (node ?? {}) as Record<string, unknown>;
      for (const option of (anyOf ?? []) as unknown[]) visit(option, path);
      if (items !== undefined) visit(items, `${path}[]`);
      for (const [name, property] of Object.entries(
        (properties ?? {}) as Record<string, Record<string, unknown>>,
      )) {
        expect(property['description'], `${path}.${name}`).to.be.a('string');
        visit(property, `${path}.${name}`);
      }
    };
    visit(rulesFileSchema, '');
  });

  it('takes the values for each field of a rule that the parser takes', () => {
    const rule = (rulesFileSchema['properties'] as never)['rules']['anyOf'][0]['items'] as {
      properties: object;
    };
    for (const field of Object.keys(rule.properties)) {
      if (field === 'tests') continue;
      for (const value of VALUES) agree({ rules: [{ ...RULE, [field]: value }] });
    }
    agree({ rules: [{ ...RULE, hots: 'x' }] });
    agree({ rules: ['x'] });
  });

  it('takes the tests that the parser takes', () => {
    for (const test of [
      { line: LINE },
      { event: { message: 'x' } },
      { event: { message: 'x' }, line: LINE },
      {},
      'x',
      { event: 'x' },
      { line: 1 },
      { line: LINE, match: 'yes' },
      { line: LINE, match: false },
      { line: LINE, match: false, handling: 'Ignore' },
      { line: LINE, match: true, handling: 'Page_only' },
      { line: LINE, handling: 'page' },
      { line: LINE, environment: 'dev' },
      { line: LINE, environment: 'dev', handling: 'Ignore' },
      { line: LINE, environment: 'test', handling: 'Ignore' },
      { line: LINE, name: '' },
      { line: LINE, name: 'x' },
      { line: LINE, name: 'x'.repeat(201) },
      { line: LINE, received_at: 5 },
      { line: LINE, extra: 1 },
    ]) {
      agreeOnTest(test);
    }
    agreeOnTest(...Array.from({ length: 101 }, () => ({ line: LINE })));
  });

  it('takes the other sections that the parser takes', () => {
    for (const document of [
      {},
      { rules: null, teams: null, development_hosts: null, destinations: null, reason: null },
      { rule: [] },
      { rules: {} },
      { reason: 'why' },
      { reason: ' ' },
      { development_hosts: ['a', 'b'] },
      { development_hosts: [1] },
      { development_hosts: ['x'.repeat(256)] },
      { teams: { 'core-1': 'NETO' } },
      { teams: { 'core-1': 1 } },
      { teams: [] },
      { destinations: [DESTINATION] },
      { destinations: [{ ...DESTINATION, kind: 'mail' }] },
      { destinations: [{ ...DESTINATION, name: 'a b' }] },
      { destinations: [{ ...DESTINATION, url: 'ftp://x' }] },
      { destinations: [{ ...DESTINATION, secret_ref: 'hunter2' }] },
      { destinations: [{ ...DESTINATION, secret_ref: 'env:HOOK' }] },
      { destinations: [{ ...DESTINATION, concurrency: 0 }] },
      { destinations: [{ ...DESTINATION, concurrency: 1.5 }] },
      { destinations: [{ ...DESTINATION, rate_per_second: 0.5, timeout_ms: 100 }] },
      {
        destinations: [{ ...DESTINATION, routes: [{ team: 'A', severity_at_most: 3, environment: 'dev' }] }],
      },
      { destinations: [{ ...DESTINATION, routes: [{ severity_at_most: 9 }] }] },
      { destinations: [{ ...DESTINATION, routes: [{ handling: 'Ignored' }] }] },
      { destinations: [{ ...DESTINATION, port: 1 }] },
      'x',
      null,
    ]) {
      agreeOnShape(document);
    }
  });
});

/** Faults of tests have codes of their own. */
function agreeOnTest(...tests: unknown[]): void {
  const document = { rules: [{ ...RULE, tests }] };
  let faults: { field: string; code: string; why: string }[] = [];
  try {
    parseConfiguration(document);
  } catch (thrown) {
    faults = (thrown as CodedError).details['faults'] as typeof faults;
  }
  const ofShape = faults.filter(({ code }) => code === 'E_RULE_INVALID');
  expect(
    schema.Check(document),
    `${JSON.stringify(tests).slice(0, 300)}: ${JSON.stringify(ofShape)}`,
  ).to.equal(ofShape.length === 0);
}

/** Outside of rules every fault is one of shape. */
function agreeOnShape(document: unknown): void {
  let isTaken = true;
  try {
    parseConfiguration(document);
  } catch {
    isTaken = false;
  }
  expect(schema.Check(document), JSON.stringify(document)).to.equal(isTaken);
}
