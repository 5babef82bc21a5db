/**
 * The configuration page is what its generator makes of the tables that a node reads its environment and settings by.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SETTINGS } from '../../actors/settings.ts';
import { SETTING_VARIABLES, STATIC_VARIABLES } from '../../supervisors/static-config.ts';
import { configurationPage } from './generate-configuration.ts';

const page = readFileSync(new URL('../../docs/reference/configuration.md', import.meta.url), 'utf8');

describe('The configuration page', () => {
  it('is the one that its generator writes', async () => {
    expect(page).to.equal(await configurationPage());
  }).timeout(60_000);

  it('says on its first line that it is generated, and how', () => {
    expect(page.split('\n')[0]).to.match(/^<!-- Generated from .+ by: .+ -->$/);
  });

  it('has a row for every variable', () => {
    const rows = [...page.matchAll(/^\| `([A-Z_]+)` +\|/gm)].map(([, name]) => name);
    expect(rows).to.deep.equal(Object.values(STATIC_VARIABLES).map(({ name }) => name));
  });

  it('has a row for every setting, with its variable', () => {
    const rows = [...page.matchAll(/^\| `([a-z]\S+)` .*$/gm)];
    expect(rows.map(([, key]) => key)).to.deep.equal(SETTINGS.map(({ key }) => key));
    for (const [key, variable] of Object.entries(SETTING_VARIABLES)) {
      expect(rows.find(([, name]) => name === key)?.[0]).to.include(`\`${variable}\``);
    }
  });
});
