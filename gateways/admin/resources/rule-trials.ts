/** Rules as software: tried on events, run over the audit log, searched for what never decides. Nothing is changed here. */
import { Type } from 'typebox';
import type { RuleTrialsPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { oneOf } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, given } from '../inputs.ts';
import { STORE_ERRORS } from '../problems.ts';
import {
  backtestReply,
  backtestRequest,
  COVERAGE_KINDS,
  coverageReply,
  ruleFileSchema,
  ruleTestReply,
  ruleTestRequest,
} from '../rule-documents.ts';

const position = closed({ version: Type.Integer(), at: Type.Integer({ minimum: 0 }) });
const TRIAL_ERRORS = ['E_TASK_TIMEOUT', 'E_TASK_MEMORY', 'E_TASK_FAILED', ...STORE_ERRORS];

export function ruleTrialEndpoints(trials: RuleTrialsPort): AnyEndpoint[] {
  const path = '/api/v2/rules';
  return [
    endpoint({
      operationId: 'testRules',
      method: 'post',
      path: `${path}/test`,
      scope: 'read',
      tag: 'rules',
      summary: 'What the rules, or changed ones, say of given or recent events, and why others do not match',
      body: { schema: ruleTestRequest, isLarge: true },
      replies: { 200: { description: 'The decision about each event', schema: ruleTestReply } },
      errors: ['E_CONFIG_INVALID', 'E_SEARCH_TOO_LONG', 'E_RULE_TRIALS_BUSY', ...TRIAL_ERRORS],
      answer: async ({ body, signal }) => ok(await trials.test(body, signal)),
    }),
    endpoint({
      operationId: 'backtestRules',
      method: 'post',
      path: `${path}/backtest`,
      scope: 'read',
      tag: 'rules',
      summary: 'What a changed set would have decided about the events of the audit log; one at a time',
      body: { schema: backtestRequest, isLarge: true },
      replies: {
        200: { description: 'What it gains, loses and changes', schema: backtestReply },
      },
      errors: ['E_CONFIG_INVALID', 'E_SEARCH_TOO_LONG', 'E_BACKTEST_RUNNING', ...TRIAL_ERRORS],
      answer: async ({ body, signal }) => ok(await trials.backtest(body, signal)),
    }),
    endpoint({
      operationId: 'getRuleCoverage',
      method: 'get',
      path: `${path}/coverage`,
      scope: 'read',
      tag: 'rules',
      summary: 'Rules that never fired, that an earlier rule shadows, and pairs that overlap',
      query: closed({ ...pageQuery, kind: Type.Optional(oneOf(COVERAGE_KINDS)) }),
      replies: { 200: { description: 'A page of findings, with their totals', schema: coverageReply } },
      errors: ['E_CURSOR_INVALID', 'E_SEARCH_TOO_LONG', 'E_RULE_TRIALS_BUSY', ...TRIAL_ERRORS],
      answer: async ({ query: { kind, ...page }, signal }) => {
        let summary: object = {};
        const found = await readPage(page, position, async (at) => {
          const reading = await trials.coverage({ ...at, ...given({ kind }) }, signal);
          ({ summary } = reading);
          return reading;
        });
        return ok({ ...found, ...summary });
      },
    }),
    endpoint({
      operationId: 'getRuleFileSchema',
      method: 'get',
      path: `${path}/schema`,
      scope: 'read',
      tag: 'rules',
      summary: 'JSON Schema of a file of rules, for editors',
      replies: { 200: { description: 'The schema', schema: ruleFileSchema } },
      errors: [],
      answer: async () => ok(trials.schema()),
    }),
  ];
}
