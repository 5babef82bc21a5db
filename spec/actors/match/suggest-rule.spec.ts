import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { RuleSet, buildRuleSet } from '../../../actors/match/rule-set/rule-set.ts';
import { parseRule } from '../../../actors/match/rule.ts';
import { suggestRule } from '../../../actors/match/suggest-rule.ts';
import { TemplateMask } from '../../../actors/match/template.ts';
import { eventOf, ruleOf } from './fixtures.ts';

const mask = new TemplateMask();

function suggestedFor(sample: string, fields: { program?: string; trapOid?: string } = {}) {
  mask.mask(sample);
  const { program = null, trapOid = null } = fields;
  return suggestRule(
    { fingerprint: '0123456789abcdef', template: mask.text, program, trapOid, sample },
    'NETO',
  );
}

describe('The suggested rule', () => {
  it('has the longest fixed part of the template', () => {
    expect(suggestedFor('Interface Gi0/1, changed state to down', { program: 'ifmgr' })).to.deep.equal({
      name: 'unmatched 0123456789abcdef',
      match_type: 'contains',
      match_string: ', changed state to down',
      trap_oid: null,
      program: 'ifmgr',
      prod_handling: 'Ticket_only',
      dev_handling: 'Ignore',
      team_assignment: 'NETO',
    });
    expect(suggestedFor('fan   of psu  failed')?.match_string).to.equal('failed');
  });

  it('is none where nothing is fixed, but for a trap', () => {
    expect(suggestedFor('10.1.2.3 17')).to.equal(undefined);
    expect(suggestedFor('up 17', { trapOid: '1.3.6.1' })).to.include({
      match_string: null,
      trap_oid: '1.3.6.1',
    });
  });

  it('is a rule, and matches the sample, whatever the message is', () => {
    let suggested = 0;
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.array(fc.constantFrom('port', ' ', '  ', '7', ':', 'down', 'Gerät', '#', 'ffee', '.', '\t'), {
        maxLength: 20,
      }),
    );
    fc.assert(
      fc.property(text, (given) => {
        const message = (typeof given === 'string' ? given : given.join(''))
          .toWellFormed()
          .replaceAll('\0', ' ');
        const rule = suggestedFor(message);
        if (rule === undefined) return;
        suggested += 1;
        const { name: _, ...fields } = rule;
        const parsed = parseRule(fields);
        const { image, refused } = buildRuleSet([ruleOf({ ...parsed, id: 1 })], 1);
        expect(refused).to.deep.equal([]);
        expect(new RuleSet(image).match(eventOf({ message }))).to.have.length(1);
      }),
      { numRuns: 500 },
    );
    expect(suggested).to.be.greaterThan(50);
  });
});
