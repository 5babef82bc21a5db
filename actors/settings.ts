/**
 * The dynamic settings (setting-table.ts): which values are allowed, alone and together, and which are in effect. No I/O.
 *
 * In effect on a node is the value that was set for the whole installation, else that of this node's environment, else
 * the default. Invariants: a key that is not in the table does not exist; a value that passed `checkSetting` is one that
 * every reader can use, and a set that passed `checkTogether` contradicts itself nowhere.
 */
import { CodedError } from '../runtime/errors.ts';
import { nearestWord } from '../runtime/nearest-word.ts';
import { INGEST_THREADS_MAX, SETTING_TABLE } from './setting-table.ts';
import type {
  Described,
  NodeDefaults,
  Setting,
  SettingKey,
  Settings,
  SettingValue,
  SettingValues,
} from './setting-table.ts';

export type {
  NodeDefaults,
  Setting,
  SettingKey,
  Settings,
  SettingValue,
  SettingValues,
} from './setting-table.ts';

/** Every setting there is. The documentation page is generated from this table. */
export const SETTINGS: readonly Setting[] = Object.entries<Described<SettingValue>>(SETTING_TABLE).map(
  ([key, described]) => ({ key, ...described }),
);

const BY_KEY: ReadonlyMap<string, Setting> = new Map(SETTINGS.map((setting) => [setting.key, setting]));

/** @throws CodedError E_SETTING_UNKNOWN, with the nearest known key. */
export function findSetting(key: string): Setting {
  const found = BY_KEY.get(key);
  if (found !== undefined) return found;
  const nearest = nearestWord(key, BY_KEY.keys());
  throw new CodedError('E_SETTING_UNKNOWN', `there is no setting ${JSON.stringify(key.slice(0, 80))}`, {
    mend: nearest === undefined ? 'List the settings to see their keys.' : `Did you mean ${nearest}?`,
    details: nearest === undefined ? {} : { nearest },
  });
}

/** @throws CodedError E_SETTING_UNKNOWN, or E_SETTING_INVALID with `details.faults`: field, why, mend. */
export function checkSetting(key: string, value: unknown): asserts value is SettingValue {
  const setting = findSetting(key);
  const allowed = allowedValues(setting);
  const why = faultOf(setting, value, allowed);
  if (why === undefined) return;
  throw new CodedError('E_SETTING_INVALID', `${key} ${why}`, {
    mend: `Give ${allowed}.`,
    details: { faults: [{ field: 'value', why, mend: `Give ${allowed}.` }] },
  });
}

/** What may be set, in words: `a whole number from 1 to 64`. */
export function allowedValues({ type, minimum, maximum, choices, charsMax }: Setting): string {
  if (type === 'boolean') return 'true or false';
  if (type === 'text') return `a text of 1 to ${charsMax} characters, not blank`;
  if (type === 'choice') return `one of ${(choices ?? []).join(', ')}`;
  return `a ${type === 'integer' ? 'whole ' : ''}number from ${minimum} to ${maximum}`;
}

function faultOf(
  { type, minimum = -Infinity, maximum = Infinity, choices, charsMax = Infinity }: Setting,
  value: unknown,
  allowed: string,
): string | undefined {
  const fault = `is not ${allowed}`;
  if (type === 'boolean') return typeof value === 'boolean' ? undefined : fault;
  if (type === 'choice') return choices?.includes(value as string) === true ? undefined : fault;
  if (type === 'text') return isText(value, charsMax) ? undefined : fault;
  const isNumber = type === 'integer' ? Number.isSafeInteger(value) : Number.isFinite(value);
  return isNumber && (value as number) >= minimum && (value as number) <= maximum ? undefined : fault;
}

/** Storable everywhere, and one line. */
function isText(value: unknown, charsMax: number): boolean {
  if (typeof value !== 'string' || value.length > charsMax || value.trim() === '') return false;
  return value.isWellFormed() && !/\p{Cc}/u.test(value);
}

interface Contradiction {
  field: SettingKey;
  why: string;
  mend: string;
}

/**
 * Checks a change of one key of `set`: its value, if it has one, and what all values mean together. What else is set and
 * cannot be used (stored by another version) counts as not set, or it would stand in the way of every other change.
 *
 * @throws CodedError as `checkTogether`.
 */
export function checkChange(key: string, set: SettingValues, nodeDefaults: NodeDefaults = {}): void {
  if (Object.hasOwn(set, key)) checkSetting(key, set[key]);
  requireConsistent(effectiveSettings(set, nodeDefaults));
}

/**
 * Checks each value and what they mean together, with `nodeDefaults` where nothing was set.
 *
 * @throws CodedError as `checkSetting`, or E_SETTINGS_CONTRADICT with every contradiction in `details.faults`.
 */
export function checkTogether(set: SettingValues, nodeDefaults: NodeDefaults = {}): void {
  for (const [key, value] of Object.entries(set)) checkSetting(key, value);
  requireConsistent(effectiveSettings(set, nodeDefaults));
}

function requireConsistent(settings: Settings): void {
  const faults = contradictions(settings);
  if (faults.length === 0) return;
  const lines = faults.map(({ field, why }) => `${field} ${why}`);
  throw new CodedError('E_SETTINGS_CONTRADICT', `settings contradict each other: ${lines.join('; ')}`, {
    mend: faults.map(({ mend }) => mend).join(' '),
    details: { faults },
  });
}

function contradictions(settings: Settings): Contradiction[] {
  const found: Contradiction[] = [];
  const atMost = (lower: SettingKey, upper: SettingKey, because: string): void => {
    if (settings[lower] <= settings[upper]) return;
    found.push({
      field: lower,
      why: `is ${settings[lower]}, above ${upper}, which is ${settings[upper]}: ${because}`,
      mend: `Lower ${lower} or raise ${upper} first.`,
    });
  };
  const shortestWait = 'the first wait cannot be longer than the longest';
  atMost('forward.retry.baseMs', 'forward.retry.delayMaxMs', shortestWait);
  atMost('forward.breaker.baseMs', 'forward.breaker.delayMaxMs', shortestWait);
  atMost('remediation.retry.baseMs', 'remediation.retry.delayMaxMs', shortestWait);
  atMost(
    'remediation.rate.perSecondMin',
    'remediation.rate.perSecondMax',
    'the lowest rate cannot be above the highest',
  );
  atMost(
    'ingest.frame.eventsMax',
    'mailbox.ingest.eventsMax',
    'a full frame would have to wait for an empty mailbox',
  );
  atMost('match.batch.eventsMax', 'mailbox.alert.alertsMax', 'every event of a batch may become an alert');
  const keyIsPart = 'one API key cannot keep more than all together';
  atMost('rejects.key.rejectsMax', 'rejects.total.rejectsMax', keyIsPart);
  atMost('rejects.key.bytesMax', 'rejects.total.bytesMax', keyIsPart);
  if (settings['shed.mode'] !== 'off' && settings['mailbox.outbox.alertsMax'] === 0) {
    found.push({
      field: 'shed.mode',
      why: `is ${settings['shed.mode']}, and there is no outbox whose filling would shed anything`,
      mend: 'Set shed.mode to off, or raise mailbox.outbox.alertsMax first.',
    });
  }
  const gateways = settings['pool.gateway.size'];
  const threads = settings['pool.ingest.size'];
  if (gateways * threads > INGEST_THREADS_MAX) {
    found.push({
      field: 'pool.ingest.size',
      why: `is ${threads} in each of ${gateways} gateway processes: more than ${INGEST_THREADS_MAX} threads`,
      mend: 'Lower pool.ingest.size or pool.gateway.size.',
    });
  }
  return found;
}

/**
 * What is in effect on a node. Total: a key that this version does not know, or a value that it cannot use (kept on disk
 * by another version), counts as not set.
 */
export function effectiveSettings(set: SettingValues, nodeDefaults: NodeDefaults = {}): Settings {
  return Object.fromEntries(
    SETTINGS.map(({ key, default: fallback }) => [
      key,
      settingSource(key, set, nodeDefaults) === 'set'
        ? set[key]
        : (nodeDefaults[key as SettingKey] ?? fallback),
    ]),
  ) as Settings;
}

/** Where the value in effect comes from. */
export function settingSource(
  key: string,
  set: SettingValues,
  nodeDefaults: NodeDefaults,
): 'default' | 'environment' | 'set' {
  const setting = findSetting(key);
  const isSet = Object.hasOwn(set, key) && faultOf(setting, set[key], '') === undefined;
  if (isSet) return 'set';
  return nodeDefaults[key as SettingKey] === undefined ? 'default' : 'environment';
}
