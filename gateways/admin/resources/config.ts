/** The dynamic settings. Their history is a filter of the configuration audit. */
import { Type } from 'typebox';
import type { SettingsPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { effectiveDocument, idNumber, listOf, orNull, settingDocument } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, itemChangeOf, reason, reasonBody, reasonQuery, wholeNumber } from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';

const KEY_CHARS_MAX = 200;
const WATCH_SECONDS_MAX = 86_400;

const params = closed({
  key: Type.String({ minLength: 1, maxLength: KEY_CHARS_MAX, description: 'the key of a setting' }),
});
const position = Type.String({ minLength: 1 });
const settingInput = Type.Object(
  {
    value: Type.Union([Type.Number(), Type.String({ maxLength: KEY_CHARS_MAX }), Type.Boolean()], {
      description: 'a number, a short text, or true or false',
    }),
    reason: Type.Optional(reason),
    guard: Type.Optional(
      orNull(
        Type.Object(
          {
            watch_seconds: wholeNumber(1, WATCH_SECONDS_MAX),
            error_rate_max: Type.Optional(
              orNull(Type.Number({ minimum: 0, maximum: 1, description: 'a number from 0 to 1' })),
            ),
            latency_p99_ms_max: Type.Optional(
              orNull(Type.Number({ exclusiveMinimum: 0, description: 'a number above 0' })),
            ),
          },
          {
            additionalProperties: false,
            description: 'an object with watch_seconds and the limits to watch',
          },
        ),
      ),
    ),
  },
  { title: 'SettingInput', additionalProperties: false },
);

export function configEndpoints(settings: SettingsPort): AnyEndpoint[] {
  const path = '/api/v2/config';
  const item = `${path}/:key`;
  return [
    endpoint({
      operationId: 'listSettings',
      method: 'get',
      path,
      scope: 'read',
      tag: 'config',
      summary: 'Every setting with its value, by key',
      query: closed(pageQuery),
      replies: { 200: { description: 'A page of settings', schema: listOf(settingDocument) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ query }) =>
        ok(
          await readPage(query, position, async ({ limit, after }) => {
            const all = await settings.list();
            const rest = all.filter(({ key }) => after === undefined || key > after);
            const items = rest.slice(0, limit);
            return { items, next: rest.length > limit ? (items.at(-1)?.key ?? null) : null };
          }),
        ),
    }),
    endpoint({
      operationId: 'getEffectiveSettings',
      method: 'get',
      path: `${path}/effective`,
      scope: 'read',
      tag: 'config',
      summary: 'The values in effect on this node, and the version that each worker runs',
      replies: { 200: { description: 'What is in effect', schema: effectiveDocument } },
      errors: ['E_CALL_TIMEOUT', ...STORE_ERRORS],
      answer: async () => ok(await settings.effective()),
    }),
    endpoint({
      operationId: 'getSetting',
      method: 'get',
      path: item,
      scope: 'read',
      tag: 'config',
      summary: 'One setting',
      params,
      isVersioned: true,
      replies: { 200: { description: 'The setting', schema: settingDocument } },
      errors: ['E_SETTING_UNKNOWN', ...STORE_ERRORS],
      answer: async (call) => {
        const setting = await settings.get(call.params.key);
        return ok(setting, setting.version);
      },
    }),
    endpoint({
      operationId: 'putSetting',
      method: 'put',
      path: item,
      scope: 'admin',
      tag: 'config',
      summary: 'Sets a value; with a guard it is undone by itself when a limit is passed',
      params,
      query: reasonQuery,
      body: { schema: settingInput },
      ifMatch: 'update',
      isVersioned: true,
      replies: { 200: { description: 'The setting as it is now', schema: settingDocument } },
      errors: ['E_SETTING_UNKNOWN', 'E_SETTING_INVALID', 'E_SETTINGS_CONTRADICT', ...STORE_ERRORS],
      answer: async (call) => {
        const { value, guard = null } = call.body;
        const watched =
          guard === null
            ? null
            : {
                watchSeconds: guard.watch_seconds,
                errorRateMax: guard.error_rate_max ?? null,
                latencyP99MsMax: guard.latency_p99_ms_max ?? null,
              };
        const setting = await settings.set(call.params.key, value, watched, itemChangeOf(call));
        return ok(setting, setting.version);
      },
    }),
    endpoint({
      operationId: 'unsetSetting',
      method: 'delete',
      path: item,
      scope: 'admin',
      tag: 'config',
      summary: 'Back to the default',
      params,
      query: reasonQuery,
      body: { schema: reasonBody, isOptional: true },
      ifMatch: 'required',
      isVersioned: true,
      replies: { 200: { description: 'The setting as it is now', schema: settingDocument } },
      errors: ['E_NOT_FOUND', 'E_SETTING_UNKNOWN', 'E_SETTINGS_CONTRADICT', ...STORE_ERRORS],
      answer: async (call) => {
        const setting = await settings.unset(call.params.key, itemChangeOf(call));
        if (setting === undefined) throw notFound('set value', 'It has its default already.');
        return ok(setting, setting.version);
      },
    }),
    endpoint({
      operationId: 'rollbackSetting',
      method: 'post',
      path: `${item}/rollback`,
      scope: 'admin',
      tag: 'config',
      summary: 'Back to the value of an earlier version; without one, to the value before the last change',
      params,
      query: reasonQuery,
      body: {
        schema: closed({ to_version: Type.Optional(idNumber), reason: Type.Optional(reason) }),
        isOptional: true,
      },
      ifMatch: 'optional',
      isVersioned: true,
      replies: { 200: { description: 'The setting as it is now', schema: settingDocument } },
      errors: [
        'E_NO_EARLIER_VALUE',
        'E_SETTING_UNKNOWN',
        'E_SETTING_INVALID',
        'E_SETTINGS_CONTRADICT',
        ...STORE_ERRORS,
      ],
      answer: async (call) => {
        const setting = await settings.rollback(call.params.key, call.body.to_version, itemChangeOf(call));
        return ok(setting, setting.version);
      },
    }),
  ];
}
