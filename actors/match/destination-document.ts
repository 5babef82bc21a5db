/**
 * A destination as people write it: read, with everything that is wrong named by its place, and written again. What only
 * its kind knows is asked of the table of kinds (../forward/kinds/). Nothing is connected to here: whether anybody
 * answers at the address is for its test to say.
 */
import type { Environment, Handling } from '../event.ts';
import { HANDLINGS } from '../event.ts';
import { KINDS } from '../forward/kinds/kinds.ts';
import type { Kind, KindField } from '../forward/kinds/kind.ts';
import { TEMPLATE_CHARS_MAX, templateFault } from '../forward/kinds/template.ts';
import { AUTH_FORMS, CONTENT_TYPES, KIND_NAMES } from '../ports.ts';
import type { Destination, DestinationRoute, KindName } from '../ports.ts';
import {
  asObject,
  flag,
  integer,
  list,
  number,
  optionalInteger,
  shown,
  text,
  unknownField,
} from './document-fields.ts';
import type { Fault } from './document-fields.ts';

const KIND_FIELDS = ['auth', 'template', 'content_type', 'resolve_after_ms'] as const satisfies KindField[];
const FIELDS = [
  'name',
  'kind',
  'url',
  'secret_ref',
  ...KIND_FIELDS,
  'routes',
  'rate_per_second',
  'concurrency',
  'timeout_ms',
  'stale_after_ms',
  'collapse',
] as const;
/** Of destinations. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
export const URL_CHARS_MAX = 2_048;
/** Between a minute, below which alerts would end while somebody reads them, and thirty days. */
export const RESOLVE_AFTER_MS: readonly [min: number, max: number] = [60_000, 2_592_000_000];
/** Query parameters by which services take credentials. An address ends in logs, a credential must not. */
const CREDENTIAL_PARAMETER =
  /^(.*[-_.])?(api|app|auth|access|secret)?[-_.]?(key|token|secret|password|passwd|pwd|signature|sig)$/i;
const DEFAULT_RATE_PER_SECOND = 50;
const DEFAULT_CONCURRENCY = 4;
const DEFAULT_TIMEOUT_MS = 10_000;
/** Some 24 days: what PostgreSQL holds as integer. */
export const STALE_AFTER_MS_MAX = 2_147_483_647;

/** Gives the destination, or none and at least one fault more. */
export function parseDestination(input: unknown, prefix: string, faults: Fault[]): Destination[] {
  const given = asObject(input);
  if (given === undefined) {
    // Its value is not shown: it may be an address with a password in it.
    faults.push({ field: prefix, why: 'is not an object', mend: 'Write name, kind and url.' });
    return [];
  }
  const before = faults.length;
  for (const key of Object.keys(given)) unknownField(prefix, key, FIELDS, faults);
  const { name, secret_ref: secretRef, routes } = given;
  if (typeof name !== 'string' || !NAME.test(name)) {
    const mend = 'Use 1 to 63 letters, digits, dots, hyphens and underscores.';
    faults.push({ field: `${prefix}.name`, value: shown(name), why: 'is not a usable name', mend });
  }
  const kind = parseKind(given.kind, prefix, faults);
  const url = given.url ?? (kind === undefined ? undefined : KINDS[kind].defaultUrl);
  const urlFault = addressFault(url);
  if (urlFault !== undefined) faults.push({ field: `${prefix}.url`, ...urlFault });
  const secretFault = isAbsent(secretRef) ? undefined : referenceFault(secretRef);
  if (secretFault !== undefined) faults.push({ field: `${prefix}.secret_ref`, ...secretFault });
  const destination: Destination = {
    // Only a sound one is given back; of the others not even a text can be made safely.
    name: typeof name === 'string' ? name : '',
    kind: kind ?? 'webhook',
    url: typeof url === 'string' ? url : '',
    secretRef: typeof secretRef === 'string' ? secretRef : null,
    ...(kind === undefined ? {} : parseKindFields(given, kind, prefix, faults)),
    routes: list(routes, `${prefix}.routes`, 100, faults).flatMap((route, at) =>
      parseRoute(route, `${prefix}.routes[${at}]`, faults),
    ),
    ratePerSecond: number(
      given,
      prefix,
      'rate_per_second',
      [0.01, 1_000_000],
      DEFAULT_RATE_PER_SECOND,
      faults,
    ),
    concurrency: integer(given, prefix, 'concurrency', [1, 256], DEFAULT_CONCURRENCY, faults),
    timeoutMs: integer(given, prefix, 'timeout_ms', [100, 120_000], DEFAULT_TIMEOUT_MS, faults),
    staleAfterMs: optionalInteger(given, prefix, 'stale_after_ms', [1_000, STALE_AFTER_MS_MAX], faults),
    collapse: flag(given, prefix, 'collapse', true, faults),
  };
  return faults.length === before ? [destination] : [];
}

/** A destination in the form that `parseDestination` takes: what is shown can be applied again. */
export function writtenDestination(destination: Destination): Record<string, unknown> {
  const { name, kind, url, secretRef, routes, ratePerSecond, concurrency, timeoutMs } = destination;
  const { auth, template, contentType, resolveAfterMs } = destination;
  const { staleAfterMs = null, collapse = true } = destination;
  return {
    name,
    kind,
    url,
    secret_ref: secretRef,
    ...(auth === undefined ? {} : { auth }),
    ...(template === undefined ? {} : { template }),
    ...(contentType === undefined ? {} : { content_type: contentType }),
    ...(resolveAfterMs === undefined ? {} : { resolve_after_ms: resolveAfterMs }),
    routes: routes.map(({ severityAtMost, ...route }) => ({
      ...route,
      ...(severityAtMost === undefined ? {} : { severity_at_most: severityAtMost }),
    })),
    rate_per_second: ratePerSecond,
    concurrency,
    timeout_ms: timeoutMs,
    stale_after_ms: staleAfterMs,
    collapse,
  };
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

function parseKind(given: unknown, prefix: string, faults: Fault[]): KindName | undefined {
  const kind = KIND_NAMES.find((known) => known === given);
  if (kind !== undefined) return kind;
  const mend = `Use one of ${KIND_NAMES.join(', ')}.`;
  faults.push({ field: `${prefix}.kind`, value: shown(given), why: 'is no kind of destination', mend });
  return undefined;
}

type KindPart = Pick<Destination, 'auth' | 'template' | 'contentType' | 'resolveAfterMs'>;

/** What the kind knows and what it needs; what only other kinds know would look as if it did something. */
function parseKindFields(
  given: Record<string, unknown>,
  name: KindName,
  prefix: string,
  faults: Fault[],
): KindPart {
  const kind = KINDS[name];
  const { secret_ref: secretRef, content_type: contentType, template } = given;
  if (kind.needsCredential && isAbsent(secretRef)) {
    const mend = 'Say where its credential is found: env:NAME or file:/path.';
    faults.push({ field: `${prefix}.secret_ref`, why: `is needed by ${name} (${kind.label})`, mend });
  }
  for (const field of KIND_FIELDS) {
    if (isAbsent(given[field]) || kind.fields.includes(field)) continue;
    const knowing = KIND_NAMES.filter((other) => KINDS[other].fields.includes(field)).join(', ');
    const mend = `Leave it out; it is for ${knowing}.`;
    faults.push({ field: `${prefix}.${field}`, why: `means nothing to the kind ${name}`, mend });
  }
  if (kind.fields.includes('content_type') && !isAbsent(contentType) && isAbsent(template)) {
    const mend = 'Give a template, or leave it out: without one JSON is sent.';
    faults.push({ field: `${prefix}.content_type`, why: 'is that of a template, and there is none', mend });
  }
  return {
    ...(kind.fields.includes('auth') ? parseAuth(given, kind, prefix, faults) : {}),
    ...(kind.fields.includes('template') ? parseTemplate(given, prefix, faults) : {}),
    ...(kind.fields.includes('resolve_after_ms') && !isAbsent(given.resolve_after_ms)
      ? {
          resolveAfterMs: integer(
            given,
            prefix,
            'resolve_after_ms',
            [...RESOLVE_AFTER_MS],
            RESOLVE_AFTER_MS[1],
            faults,
          ),
        }
      : {}),
  };
}

function parseAuth(given: Record<string, unknown>, kind: Kind, prefix: string, faults: Fault[]): KindPart {
  if (isAbsent(given.auth)) return {};
  const auth = AUTH_FORMS.find((form) => form === given.auth && kind.auth.includes(form));
  if (auth === undefined) {
    const mend = `Use one of ${kind.auth.join(', ')}.`;
    const why = 'is no way in which this kind takes a credential';
    faults.push({ field: `${prefix}.auth`, value: shown(given.auth), why, mend });
    return {};
  }
  if (isAbsent(given.secret_ref)) {
    const mend = 'Give secret_ref too, or leave it out.';
    faults.push({
      field: `${prefix}.auth`,
      why: 'says how a credential goes along, and there is none',
      mend,
    });
  }
  return { auth };
}

function parseTemplate(given: Record<string, unknown>, prefix: string, faults: Fault[]): KindPart {
  const { template, content_type: type } = given;
  const contentType = isAbsent(type) ? CONTENT_TYPES[0] : CONTENT_TYPES.find((known) => known === type);
  if (contentType === undefined) {
    const mend = `Use one of ${CONTENT_TYPES.join(', ')}.`;
    const why = 'is nothing that a template can make';
    faults.push({ field: `${prefix}.content_type`, value: shown(type), why, mend });
  }
  if (isAbsent(template)) return {};
  const [source] = text(template, `${prefix}.template`, TEMPLATE_CHARS_MAX, faults);
  if (source === undefined || contentType === undefined) return {};
  const why = templateFault(source, contentType);
  if (why !== undefined) {
    const mend = 'Correct it; it was tried with sample alerts, firing and resolved.';
    faults.push({ field: `${prefix}.template`, why, mend });
  }
  return { template: source, ...(isAbsent(type) ? {} : { contentType }) };
}

function parseRoute(input: unknown, prefix: string, faults: Fault[]): DestinationRoute[] {
  const given = asObject(input);
  if (given === undefined) {
    faults.push({
      field: prefix,
      value: shown(input),
      why: 'is not an object',
      mend: 'Write its criteria by name.',
    });
    return [];
  }
  const before = faults.length;
  for (const key of Object.keys(given)) {
    unknownField(prefix, key, ['team', 'severity_at_most', 'environment', 'handling'], faults);
  }
  const { team, environment, handling } = given;
  const route: DestinationRoute = {};
  if (team !== undefined) [route.team = ''] = text(team, `${prefix}.team`, 100, faults);
  if (given.severity_at_most !== undefined) {
    route.severityAtMost = integer(given, prefix, 'severity_at_most', [0, 7], 7, faults);
  }
  if (environment === 'prod' || environment === 'dev') route.environment = environment satisfies Environment;
  else if (environment !== undefined) {
    const why = 'is no environment';
    faults.push({ field: `${prefix}.environment`, value: shown(environment), why, mend: 'Use prod or dev.' });
  }
  if (HANDLINGS.includes(handling as Handling)) route.handling = handling as Handling;
  else if (handling !== undefined) {
    const mend = `Use one of ${HANDLINGS.join(', ')}.`;
    faults.push({ field: `${prefix}.handling`, value: shown(handling), why: 'is no handling', mend });
  }
  return faults.length === before ? [route] : [];
}

/** Never says what the address is: there may be a password in it. */
function addressFault(value: unknown): Pick<Fault, 'why' | 'mend'> | undefined {
  const mend = 'Give an http or https address without credentials in it; use secret_ref for them.';
  const unusable = { why: 'is not a usable address', mend };
  if (typeof value !== 'string' || value.length > URL_CHARS_MAX || !URL.canParse(value)) return unusable;
  const url = new URL(value);
  if (!/^https?:$/.test(url.protocol)) return { why: 'is neither an http nor an https address', mend };
  if (url.username !== '' || url.password !== '') return { why: 'has a user or a password in it', mend };
  if (url.hash !== '') {
    return { why: 'has a fragment (#…), which is never sent', mend: 'Leave out what follows the #.' };
  }
  const isOpen = [...url.searchParams.keys()].every((name) => !CREDENTIAL_PARAMETER.test(name));
  return isOpen ? undefined : { why: 'has a parameter that looks like a credential', mend };
}

/** Variables of the node itself, of which some are credentials of its own. */
const OWN_VARIABLE = /^(MUTT_|REDIS_URL$|DATABASE_URL$|PG[A-Z])/;

/** Never says what was given: it may be the credential itself. */
function referenceFault(value: unknown): Pick<Fault, 'why' | 'mend'> | undefined {
  if (typeof value !== 'string' || !/^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/.test(value)) {
    const mend = 'Use env:NAME or file:/path; never the credential itself.';
    return { why: 'is not a reference to a secret', mend };
  }
  if (!value.startsWith('env:') || !OWN_VARIABLE.test(value.slice('env:'.length))) return undefined;
  return { why: 'is a variable of the node itself', mend: 'Put the credential into one of its own.' };
}
