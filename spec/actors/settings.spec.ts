import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  SETTINGS,
  allowedValues,
  checkChange,
  checkSetting,
  checkTogether,
  effectiveSettings,
  findSetting,
  settingSource,
} from '../../actors/settings.ts';
import type { SettingValues } from '../../actors/settings.ts';
import { codeOf } from '../../runtime/errors.ts';
import { thrownBy } from '../support/rejection.ts';

describe('The table of settings', () => {
  for (const setting of SETTINGS) {
    it(`describes ${setting.key} so that it can be used`, () => {
      expect(setting.key).to.match(/^[a-z]+(\.[a-z]+)*\.[a-z][A-Za-z0-9]*$/);
      expect(() => checkSetting(setting.key, setting.default)).not.to.throw();
      expect(setting.description).to.match(/^[A-Z].*\.$/s);
      expect(setting.reacts).to.match(/^[a-z]/);
      if (setting.type === 'choice') expect(setting.choices).to.include(setting.default);
      if (setting.type === 'integer') {
        expect(setting.unit).to.be.a('string');
        for (const bound of [setting.minimum, setting.maximum]) {
          expect(() => checkSetting(setting.key, bound)).not.to.throw();
        }
        for (const beyond of [(setting.minimum ?? 0) - 1, (setting.maximum ?? 0) + 1]) {
          expect(thrownBy(() => checkSetting(setting.key, beyond)).code).to.equal('E_SETTING_INVALID');
        }
      }
    });
  }

  it('agrees with itself', () => {
    expect(() => checkTogether({})).not.to.throw();
  });
});

describe('A setting', () => {
  it('that is not there is refused with the nearest one', () => {
    for (const use of [() => findSetting('pool.mach.size'), () => checkSetting('pool.mach.size', 1)]) {
      const error = thrownBy(use);
      expect(error.code).to.equal('E_SETTING_UNKNOWN');
      expect(error.mend).to.include('pool.match.size');
    }
    expect(thrownBy(() => findSetting('zzz')).details).to.deep.equal({});
    expect(thrownBy(() => findSetting('__proto__')).code).to.equal('E_SETTING_UNKNOWN');
  });

  for (const [key, value] of [
    ['pool.match.size', 0],
    ['pool.match.size', 65],
    ['pool.match.size', 1.5],
    ['pool.match.size', '2'],
    ['pool.match.size', NaN],
    ['pool.match.size', null],
    ['pool.match.size', [2]],
    ['log.level', 'loud'],
    ['log.level', 1],
    ['log.level', ['info']],
    ['audit.unmatched.policy', true],
  ] as const) {
    it(`${key} does not take ${JSON.stringify(value)}, and says what it takes`, () => {
      const error = thrownBy(() => checkSetting(key, value));
      expect(error.code).to.equal('E_SETTING_INVALID');
      expect(error.details.faults).to.deep.equal([
        { field: 'value', why: `is not ${allowedValues(findSetting(key))}`, mend: error.mend },
      ]);
    });
  }

  it('takes effect over the environment of a node, and that over the default', () => {
    const environment = { 'pool.match.size': 3, 'log.level': 'warn' } as const;
    const settings = effectiveSettings({ 'pool.match.size': 5 }, environment);
    expect(settings).to.include({ 'pool.match.size': 5, 'log.level': 'warn', 'pool.forward.size': 1 });
    const sources = ['pool.match.size', 'log.level', 'pool.forward.size'].map((key) =>
      settingSource(key, { 'pool.match.size': 5 }, environment),
    );
    expect(sources).to.deep.equal(['set', 'environment', 'default']);
  });

  it('that another version has kept on disk counts as not set', () => {
    const kept = { 'pool.match.size': 'many', 'pool.gone.size': 4 } as unknown as SettingValues;
    expect(effectiveSettings(kept)).to.deep.equal(effectiveSettings({}));
    expect(settingSource('pool.match.size', kept, {})).to.equal('default');
  });

  it('has a usable value in effect, whatever is kept', () => {
    const anything = fc.dictionary(
      fc.constantFrom(...SETTINGS.map(({ key }) => key), 'other'),
      fc.anything(),
    );
    fc.assert(
      fc.property(anything, (kept) => {
        const settings = effectiveSettings(kept as SettingValues);
        for (const [key, value] of Object.entries(settings)) checkSetting(key, value);
        expect(Object.keys(settings)).to.have.length(SETTINGS.length);
      }),
    );
  });
});

describe('Settings together', () => {
  const contradictions: [string, SettingValues, string][] = [
    ['a first wait longer than the longest', { 'forward.retry.baseMs': 70_000 }, 'forward.retry.baseMs'],
    [
      'a first pause longer than the longest',
      { 'forward.breaker.delayMaxMs': 100 },
      'forward.breaker.baseMs',
    ],
    [
      'frames larger than their mailbox',
      { 'ingest.frame.eventsMax': 2_000, 'mailbox.ingest.eventsMax': 1_999 },
      'ingest.frame.eventsMax',
    ],
    [
      'batches larger than the mailbox of their alerts',
      { 'mailbox.alert.alertsMax': 1_000 },
      'match.batch.eventsMax',
    ],
    [
      'shedding without the outbox that it goes by',
      { 'shed.mode': 'dlq', 'mailbox.outbox.alertsMax': 0 },
      'shed.mode',
    ],
    ['too many threads', { 'pool.gateway.size': 64, 'pool.ingest.size': 5 }, 'pool.ingest.size'],
  ];
  for (const [title, set, field] of contradictions) {
    it(`refuse ${title}, and say how to mend it`, () => {
      const error = thrownBy(() => checkTogether(set));
      expect(error.code).to.equal('E_SETTINGS_CONTRADICT');
      expect(error.details.faults).to.have.nested.property('[0].field', field);
      expect(error.mend).to.match(/\w/);
    });
  }

  it('count what the environment gives', () => {
    const set = { 'pool.ingest.size': 5 };
    expect(() => checkTogether(set)).not.to.throw();
    expect(thrownBy(() => checkTogether(set, { 'pool.gateway.size': 64 })).code).to.equal(
      'E_SETTINGS_CONTRADICT',
    );
  });

  it('name a value that is wrong alone first', () => {
    let code = '';
    try {
      checkTogether({ 'log.level': 'loud', 'forward.retry.baseMs': 70_000 });
    } catch (thrown) {
      code = codeOf(thrown);
    }
    expect(code).to.equal('E_SETTING_INVALID');
  });
});

describe('A change of a setting', () => {
  it('is refused when its own value cannot be used, or contradicts others', () => {
    expect(thrownBy(() => checkChange('log.level', { 'log.level': 'loud' })).code).to.equal(
      'E_SETTING_INVALID',
    );
    expect(thrownBy(() => checkChange('no.such', { 'no.such': 1 })).code).to.equal('E_SETTING_UNKNOWN');
    const set = { 'forward.retry.baseMs': 70_000 };
    for (const key of ['forward.retry.baseMs', 'forward.retry.delayMaxMs']) {
      expect(thrownBy(() => checkChange(key, set)).code, key).to.equal('E_SETTINGS_CONTRADICT');
    }
  });

  it('is not held up by what another version has stored', () => {
    const set = { 'pool.match.size': 500, 'gone.since': 1, 'log.level': 'debug' };
    for (const key of ['log.level', 'forward.retry.baseMs']) {
      expect(() => checkChange(key, set), key).not.to.throw();
    }
  });
});
