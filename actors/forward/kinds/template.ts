/**
 * The body of a webhook from a template in Liquid, whose language has no code in it: it reads the alert's own fields,
 * and nothing else of the program.
 *
 * Invariants: no file is read, no prototype is seen, no function is called; what a rendering may take is bounded in
 * memory, time and length. Every value is written in the form of the content type, so that a quotation mark
 * in a message cannot end a text of a JSON document; a body that is no JSON where it should be is refused.
 */
import { Liquid } from 'liquidjs';
import type { Template } from 'liquidjs';
import { CodedError, messageOf } from '../../../runtime/errors.ts';
import type { Alert } from '../../event.ts';
import type { ContentType } from '../../ports.ts';
import { webhookPayload } from '../webhook-payload.ts';
import { TEMPLATE_SAMPLES } from './sample-alert.ts';

export const TEMPLATE_CHARS_MAX = 32_768;
const BODY_CHARS_MAX = 1_048_576;
const MEMORY_UNITS_MAX = 8_388_608;
/** Of one rendering, within which nothing else is sent. Wide, since a slow machine must not give an alert up. */
const RENDER_MS_MAX = 1_000;
/** Of a template that is to be saved: less, so that one which takes long is not. */
const SAVED_RENDER_MS_MAX = 250;
/** They read other templates, of which there are none. */
const TAGS_LEFT_OUT = ['include', 'render', 'layout', 'block'];
/** More than there may be destinations. */
const PARSED_MAX = 128;

/** Within a text of the content type. What is no text is written as it is there: a number, null, a list. */
const ESCAPES: Record<ContentType, (value: unknown) => string> = {
  'application/json': (value) =>
    typeof value === 'string' ? JSON.stringify(value).slice(1, -1) : (JSON.stringify(value) ?? 'null'),
  'text/plain': plainText,
  'application/x-www-form-urlencoded': (value) => encodeURIComponent(plainText(value).toWellFormed()),
};

function plainText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const engines = new Map<ContentType, Liquid>();
/** The latest used last. */
const parsed = new Map<string, Template[]>();

/** The body. Errors: E_TEMPLATE_FAILED, which names the line where there is one and nothing of the alert. */
export function renderTemplate(
  template: string,
  contentType: ContentType,
  alert: Alert,
  renderMsMax = RENDER_MS_MAX,
): string {
  const body = rendered(template, contentType, alert, renderMsMax);
  if (body.length > BODY_CHARS_MAX) throw failed(`makes more than ${BODY_CHARS_MAX} characters`);
  if (contentType === 'application/json') requireJson(body);
  return body;
}

/** What is wrong with a template, tried with samples; undefined when nothing is. */
export function templateFault(template: string, contentType: ContentType): string | undefined {
  try {
    for (const sample of TEMPLATE_SAMPLES) renderTemplate(template, contentType, sample, SAVED_RENDER_MS_MAX);
    return undefined;
  } catch (thrown) {
    return messageOf(thrown).replace(FAILED, '');
  }
}

function rendered(template: string, contentType: ContentType, alert: Alert, renderLimit: number): string {
  try {
    const engine = engineFor(contentType);
    const made = parse(engine, template, contentType);
    return engine.renderSync(made, webhookPayload(alert), { renderLimit }) as string;
  } catch (thrown) {
    throw failed(whyOf(thrown));
  }
}

function engineFor(contentType: ContentType): Liquid {
  let engine = engines.get(contentType);
  if (engine === undefined) {
    engine = new Liquid({
      // In place of the file system.
      templates: {},
      ownPropertyOnly: true,
      strictFilters: true,
      strictVariables: true,
      timezoneOffset: 0,
      outputEscape: ESCAPES[contentType],
      parseLimit: TEMPLATE_CHARS_MAX,
      memoryLimit: MEMORY_UNITS_MAX,
    });
    for (const tag of TAGS_LEFT_OUT) delete engine.tags[tag];
    engines.set(contentType, engine);
  }
  return engine;
}

function parse(engine: Liquid, template: string, contentType: ContentType): Template[] {
  const key = `${contentType} ${template}`;
  const known = parsed.get(key);
  if (known !== undefined) return known;
  const made = engine.parse(template);
  for (const oldest of parsed.keys()) {
    if (parsed.size < PARSED_MAX) break;
    parsed.delete(oldest);
  }
  parsed.set(key, made);
  return made;
}

function requireJson(body: string): void {
  try {
    JSON.parse(body);
  } catch (thrown) {
    // The parser's words quote what it read, which is the alert.
    const at = /position (\d+)/.exec(messageOf(thrown))?.[1];
    const line = at === undefined ? body.split('\n').length : body.slice(0, Number(at)).split('\n').length;
    throw failed(
      `makes no valid JSON: line ${line} of what it makes; texts need quotation marks around them`,
    );
  }
}

/** `undefined variable: x, line:3, col:5`, without the lines of the template that follow. */
function whyOf(thrown: unknown): string {
  return (messageOf(thrown).split('\n')[0] ?? '').slice(0, 200).replace(/, file:[^,]*/, '');
}

const FAILED = 'the template cannot be used: ';

function failed(why: string): CodedError {
  return new CodedError('E_TEMPLATE_FAILED', FAILED + why);
}
