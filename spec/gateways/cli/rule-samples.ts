/** A file of rules, and what the admin API says of rules, for specs of the commands. */
import { parse } from 'yaml';
import { RULE_DEFAULTS } from '../../../actors/ports.ts';
import { ContractServer } from './contract-server.ts';

export const LINK = { prod_handling: 'Page_only', dev_handling: 'Ignore', team_assignment: 'NETO' };
export const RULES = `rules:
  - name: link-down
    match_string: LINK-3-UPDOWN
    prod_handling: Page_only
    dev_handling: Ignore
    team_assignment: NETO
    tests:
      - name: a link that goes down
        event: {message: '%LINK-3-UPDOWN: down'}
      - {event: {message: quiet}, match: false}
  - name: disk
    match_string: I/O error
    prod_handling: Ticket_only
    dev_handling: Ignore
    team_assignment: SYSOPS
`;
/** A rule as the node shows it. */
export const STORED = {
  ...RULE_DEFAULTS,
  id: 7,
  version: 3,
  name: 'link-down',
  match_string: 'LINK-3-UPDOWN',
  match_type: 'contains',
  ...LINK,
  tests: [
    { name: 'a link that goes down', event: { message: '%LINK-3-UPDOWN: down' } },
    { event: { message: 'quiet' }, match: false },
  ],
};
export const AT = '2026-11-21T12:00:00.000Z';
export const SET = { base: 'in_force', snapshot_version: 5, rules: 12, added: 1, changed: 0, removed: 0 };
export const IN_FORCE = { rule_id: 7, rule_version: 3, name: 'link-down', candidate: null };
export const CANDIDATE = { rule_id: null, rule_version: null, name: 'disk', candidate: 1 };

export function problem(code: string, errors: object[], status = 400): { status: number; body: unknown } {
  return { status, body: { status, code, detail: 'No.', errors } };
}

/** Takes the rules of that file for sound. */
export async function serverOfRules(): Promise<ContractServer> {
  const server = await ContractServer.start();
  server.checkRules = {
    status: 200,
    body: { valid: true, rules: (parse(RULES) as { rules: object[] }).rules },
  };
  return server;
}
