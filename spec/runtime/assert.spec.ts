import { expect } from 'chai';
import { describe, it } from 'mocha';
import { assert, assertNever } from '../../runtime/assert.ts';
import { thrownBy } from '../support/rejection.ts';

describe('assert', () => {
  it('lets a condition that holds pass', () => {
    assert(true, 'true is true');
  });

  it('throws a coded defect that says what must hold', () => {
    const error = thrownBy(() => assert(false, 'the sky is blue'));
    expect(error.code).to.equal('E_ASSERT');
    expect(error.kind).to.equal('defect');
    expect(error.message).to.contain('the sky is blue');
  });

  it('names the value that no case handled', () => {
    expect(thrownBy(() => assertNever('purple' as never)).message).to.contain('"purple"');
    expect(thrownBy(() => assertNever(undefined as never)).message).to.contain('undefined');
  });
});
