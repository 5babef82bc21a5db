import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Registry } from '../../runtime/registry.ts';

describe('Registry', () => {
  it('lets only the holder of a name release it [S-25]', () => {
    const registry = new Registry<object>();
    const holder = {};
    registry.register('name', holder);
    registry.release('name', {});
    expect(registry.whereis('name')).to.equal(holder);
    registry.release('name', holder);
    expect(registry.whereis('name')).to.equal(undefined);
  });
});
