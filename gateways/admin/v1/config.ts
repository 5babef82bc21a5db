/** Settings of the old API. Keys and ranges are those of today; the old path to them is all that is kept. */
import { Type } from 'typebox';
import type { SettingsPort } from '../admin-port.ts';
import type { SettingDocument, SettingValue } from '../documents.ts';
import { ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, reason } from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';
import { onWhatIsThere, reasonBody, said, v1Endpoint } from './v1-endpoint.ts';

const KEY_CHARS_MAX = 100;
const VALUE_CHARS_MAX = 1_000;
const params = closed({ key: Type.String({ minLength: 1, maxLength: KEY_CHARS_MAX, description: 'a key' }) });
const value = Type.Union([Type.Number(), Type.String({ maxLength: VALUE_CHARS_MAX }), Type.Boolean()], {
  description: 'a number, a text, or true or false',
});
const NUMERAL = /^-?\d{1,15}(\.\d{1,15})?$/;

export function v1ConfigEndpoints(settings: SettingsPort): AnyEndpoint[] {
  const path = '/api/v1/config';
  const item = `${path}/:key`;
  const successor = '/api/v2/config/{key}';
  return [
    v1Endpoint({
      operationId: 'v1ListSettings',
      method: 'get',
      path,
      successor: '/api/v2/config',
      scope: 'read',
      tag: 'v1',
      summary: 'Every setting with its value',
      replies: {
        200: {
          description: 'Values by key',
          schema: Type.Object({ config: Type.Record(Type.String(), value), count: Type.Integer() }),
        },
      },
      errors: STORE_ERRORS,
      answer: async () => {
        const all = await settings.list();
        return ok({
          config: Object.fromEntries(all.map((setting) => [setting.key, setting.value])),
          count: all.length,
        });
      },
    }),
    v1Endpoint({
      operationId: 'v1GetSetting',
      method: 'get',
      path: item,
      successor,
      scope: 'read',
      tag: 'v1',
      summary: 'One setting',
      params,
      replies: { 200: { description: 'Its value', schema: Type.Object({ key: Type.String(), value }) } },
      errors: ['E_SETTING_UNKNOWN', ...STORE_ERRORS],
      answer: async (call) => {
        const setting = await settings.get(call.params.key);
        return ok({ key: setting.key, value: setting.value });
      },
    }),
    v1Endpoint({
      operationId: 'v1PutSetting',
      method: 'put',
      path: item,
      successor,
      scope: 'admin',
      tag: 'v1',
      summary: 'Sets a value',
      params,
      body: { schema: Type.Object({ value, reason: Type.Optional(reason) }) },
      replies: {
        200: {
          description: 'The value before and now',
          schema: Type.Object({ key: Type.String(), old_value: value, new_value: value }),
        },
      },
      errors: [
        'E_SETTING_UNKNOWN',
        'E_SETTING_INVALID',
        'E_SETTINGS_CONTRADICT',
        'E_VERSION_CONFLICT',
        ...STORE_ERRORS,
      ],
      answer: async (call) => {
        const { key } = call.params;
        const change = { caller: call.caller, reason: call.body.reason ?? null };
        const [before, now] = await onWhatIsThere(async () => {
          const present = await settings.get(key);
          const expectedVersion = present.source === 'set' ? present.version : null;
          const wanted = valueOf(present, call.body.value);
          return [present, await settings.set(key, wanted, null, { ...change, expectedVersion })] as const;
        });
        return ok({ key, old_value: before.value, new_value: now.value });
      },
    }),
    v1Endpoint({
      operationId: 'v1UnsetSetting',
      method: 'delete',
      path: item,
      successor,
      scope: 'admin',
      tag: 'v1',
      summary: 'Back to the default',
      params,
      body: reasonBody,
      replies: { 200: { description: 'It has its default', schema: said } },
      errors: ['E_NOT_FOUND', 'E_SETTING_UNKNOWN', 'E_SETTINGS_CONTRADICT', ...STORE_ERRORS],
      answer: async (call) => {
        const change = { caller: call.caller, reason: call.body.reason ?? null, expectedVersion: undefined };
        const unset = await settings.unset(call.params.key, change);
        if (unset === undefined) throw notFound('set value', 'It has its default already.');
        return ok({ message: `Configuration key '${unset.key}' deleted successfully` });
      },
    }),
  ];
}

/** Old clients send every value as text. */
function valueOf({ type }: SettingDocument, sent: SettingValue): SettingValue {
  if (typeof sent !== 'string') return sent;
  if ((type === 'integer' || type === 'number') && NUMERAL.test(sent.trim())) return Number(sent);
  if (type === 'boolean' && /^(true|false)$/i.test(sent)) return sent.toLowerCase() === 'true';
  return sent;
}
