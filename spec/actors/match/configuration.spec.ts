import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { clearedElsewhere, parseConfiguration } from '../../../actors/match/configuration.ts';
import { writtenDestination } from '../../../actors/match/destination-document.ts';
import { codeOf } from '../../../runtime/errors.ts';
import { thrownBy } from '../../support/rejection.ts';

const RULE = {
  match_string: 'link down',
  prod_handling: 'Page_and_ticket',
  dev_handling: 'Ignore',
  team_assignment: 'NETO',
};
const DESTINATION = { name: 'noc', kind: 'moogsoft', url: 'https://noc.example/hook' };

interface Fault {
  field: string;
  value?: string;
  why: string;
  mend: string;
}
function faultsOf(document: unknown): Fault[] {
  const error = thrownBy(() => parseConfiguration(document));
  expect(error.code).to.equal('E_CONFIG_INVALID');
  const faults = error.details.faults as Fault[];
  for (const { field, mend } of faults) {
    expect(error.message).to.include(field);
    expect(mend).to.match(/\.$|\?$/);
  }
  return faults;
}
const fieldsOf = (document: unknown): string[] => faultsOf(document).map(({ field }) => field);
/** What only some kinds know, need or take. */
function kindFaults(): [title: string, document: unknown, fields: string[]][] {
  const of = (fields: object): unknown => ({ destinations: [{ ...DESTINATION, ...fields }] });
  const at = (field: string): string[] => [`destinations[0].${field}`];
  return [
    ['PagerDuty without its key', of({ kind: 'pagerduty' }), at('secret_ref')],
    ['Moogsoft Cloud without its key', of({ kind: 'moogsoft_cloud', secret_ref: null }), at('secret_ref')],
    ['another kind without an address', of({ kind: 'alertmanager', url: undefined }), at('url')],
    ['a template of a kind that makes its own', of({ template: '{}' }), at('template')],
    ['an end for a kind that has none', of({ resolve_after_ms: 60_000 }), at('resolve_after_ms')],
    [
      'an end that has come at once',
      of({ kind: 'alertmanager', resolve_after_ms: 59_999 }),
      at('resolve_after_ms'),
    ],
    ['a way for a credential that there is none of', of({ auth: 'basic' }), at('auth')],
    ['a way that nobody knows', of({ auth: 'digest', secret_ref: 'env:X' }), at('auth')],
    [
      'a way that the kind has not',
      of({ kind: 'webhook', auth: 'auth_token', secret_ref: 'env:X' }),
      at('auth'),
    ],
    [
      'a way for a kind that has its own',
      of({ kind: 'pagerduty', auth: 'bearer', secret_ref: 'env:X' }),
      at('auth'),
    ],
    ['a content type of nothing', of({ kind: 'webhook', content_type: 'text/plain' }), at('content_type')],
    [
      'a content type that no template makes',
      of({ kind: 'webhook', template: 'x', content_type: 'image/png' }),
      at('content_type'),
    ],
    ['a template that is no JSON', of({ kind: 'webhook', template: '{{ description }}' }), at('template')],
    ['a template that is no text', of({ kind: 'webhook', template: 5 }), at('template')],
    ['a variable of the node itself', of({ secret_ref: 'env:MUTT_DATA_DIR' }), at('secret_ref')],
    ['the address of its database', of({ secret_ref: 'env:DATABASE_URL' }), at('secret_ref')],
    [
      'several at once',
      of({ kind: 'pagerduty', url: 'ftp://x', template: '{}', concurrency: 0 }),
      ['url', 'secret_ref', 'template', 'concurrency'].map((field) => `destinations[0].${field}`),
    ],
  ];
}

const destinationWith = (fields: object): unknown => ({ destinations: [{ ...DESTINATION, ...fields }] });

describe('parseConfiguration', () => {
  it('reads a whole document, with defaults', () => {
    const configuration = parseConfiguration({
      rules: [{ ...RULE, name: 'links' }, RULE],
      development_hosts: ['lab-1'],
      teams: { r1: 'NETO' },
      destinations: [
        { ...DESTINATION, secret_ref: 'env:NOC_KEY', routes: [{ team: 'NETO', severity_at_most: 3 }] },
      ],
      reason: 'first',
    });
    expect(configuration.rules.map(({ name }) => name)).to.deep.equal(['links', null]);
    expect(configuration).to.deep.include({
      development_hosts: ['lab-1'],
      teams: { r1: 'NETO' },
      reason: 'first',
    });
    expect(configuration.destinations).to.deep.equal([
      {
        name: 'noc',
        kind: 'moogsoft',
        url: 'https://noc.example/hook',
        secretRef: 'env:NOC_KEY',
        routes: [{ team: 'NETO', severityAtMost: 3 }],
        ratePerSecond: 50,
        concurrency: 4,
        timeoutMs: 10_000,
        staleAfterMs: null,
        collapse: true,
      },
    ]);
  });

  it('tells everything at once: fields, values, names given twice and what is cleared and is nowhere', () => {
    const document = {
      rules: [
        { ...RULE, name: 'a', match_strng: 'x' },
        { ...RULE, name: 'a', priority: -1 },
        { ...RULE, id: 3, clears: 99_999 },
        { ...RULE, id: 3, clears: 3 },
        { ...RULE, clears: 3 },
      ],
      destinations: [{ ...DESTINATION, kind: 'pager' }],
    };
    expect(clearedElsewhere(document)).to.deep.equal([99_999]);
    const error = thrownBy(() => parseConfiguration(document, new Set([99_999])));
    const faults = error.details.faults as Fault[];
    expect(faults.map(({ field }) => field)).to.have.members([
      'rules[0].match_strng',
      'rules[1].name',
      'rules[1].priority',
      'rules[2].clears',
      'rules[3].id',
      'rules[3].clears',
      'destinations[0].kind',
    ]);
  });

  it('asks about what is cleared in any form of document', () => {
    for (const document of [null, [], 'x', {}, { rules: 3 }, { rules: [null, 3, {}, { clears: 'x' }] }]) {
      expect(clearedElsewhere(document)).to.deep.equal([]);
    }
    expect(clearedElsewhere({ rules: [{ clears: 2 ** 40 }, { clears: 7 }, { clears: 7 }] })).to.deep.equal([
      7,
    ]);
  });

  it('says of a number where a text belongs that it needs quotes', () => {
    const faults = faultsOf({
      rules: [
        { ...RULE, name: 500 },
        { ...RULE, match_string: 404 },
        { ...RULE, team_assignment: true },
      ],
      teams: { r1: 7 },
    });
    expect(faults.map(({ field, why, mend }) => `${field} ${why}. ${mend}`)).to.have.members([
      'rules[0].name is a number, not a text. Put it in quotes: "500".',
      'rules[1].match_string is a number, not a text. Put it in quotes: "404".',
      'rules[2].team_assignment is a boolean, not a text. Put it in quotes: "true".',
      'teams.r1 is a number, not a text. Put it in quotes: "7".',
    ]);
  });

  it('says once what a value must be', () => {
    const [fault] = faultsOf({ rules: [{ ...RULE, match_type: 'glob' }] });
    expect(fault).to.include({
      why: 'cannot be used',
      mend: 'Give one of contains, regex, oid_prefix.',
    });
  });

  it('takes an empty document for no change of anything', () => {
    expect(parseConfiguration({})).to.deep.equal({
      rules: [],
      development_hosts: [],
      teams: {},
      destinations: [],
      reason: null,
    });
  });

  it('reads what it writes', () => {
    const [destination] = parseConfiguration(
      destinationWith({
        routes: [{ severity_at_most: 3, environment: 'dev', handling: 'Page_only' }, { team: 'A' }],
      }),
    ).destinations;
    if (destination === undefined) throw new Error('no destination');
    const again = parseConfiguration({ destinations: [writtenDestination(destination)] });
    expect(again.destinations).to.deep.equal([destination]);
  });

  it('names all faults at once, each by its place', () => {
    const faults = faultsOf({
      rulez: [],
      rules: [RULE, { ...RULE, prod_handling: 'Page' }, 7, { ...RULE, name: ' ' }],
      development_hosts: ['ok', '', 5],
      teams: { r1: '', r2: 'NETO' },
      destinations: [
        { ...DESTINATION, kind: 'moogsofd', timeout_sm: 5 },
        { ...DESTINATION, name: 'b', routes: [{ handling: 'Page', environment: 'test', severity: 3 }] },
      ],
    });
    expect(faults.map(({ field }) => field)).to.have.members([
      'rulez',
      'rules[1].prod_handling',
      'rules[2]',
      'rules[3].name',
      'development_hosts[1]',
      'development_hosts[2]',
      'teams.r1',
      'destinations[0].timeout_sm',
      'destinations[0].kind',
      'destinations[1].routes[0].severity',
      'destinations[1].routes[0].environment',
      'destinations[1].routes[0].handling',
    ]);
    const mendOf = (field: string): string | undefined => faults.find((fault) => fault.field === field)?.mend;
    expect(mendOf('rulez')).to.equal('Did you mean rules?');
    expect(mendOf('destinations[0].timeout_sm')).to.equal('Did you mean timeout_ms?');
  });

  const bad: [title: string, document: unknown, fields: string[]][] = [
    ['no object', [], ['']],
    ['null', null, ['']],
    ['a list that is none', { rules: {} }, ['rules']],
    ['teams that are no object', { teams: ['NETO'] }, ['teams']],
    ['a reason that is no text', { reason: 5 }, ['reason']],
    ['a blank reason', { reason: '  ' }, ['reason']],
    ['too many destinations', { destinations: Array(65).fill(DESTINATION) }, ['destinations']],
    ['a name twice', { destinations: [DESTINATION, DESTINATION] }, ['destinations']],
    ['a name with a space', destinationWith({ name: 'a b' }), ['destinations[0].name']],
    ['a name that is too long', destinationWith({ name: 'a'.repeat(64) }), ['destinations[0].name']],
    ['half a connection', destinationWith({ concurrency: 1.5 }), ['destinations[0].concurrency']],
    ['a time-out out of range', destinationWith({ timeout_ms: 99 }), ['destinations[0].timeout_ms']],
    ['a rate of nothing', destinationWith({ rate_per_second: 0 }), ['destinations[0].rate_per_second']],
    ['a number as text', destinationWith({ timeout_ms: '500' }), ['destinations[0].timeout_ms']],
    ['an age below a second', destinationWith({ stale_after_ms: 999 }), ['destinations[0].stale_after_ms']],
    ['a choice as text', destinationWith({ collapse: 'yes' }), ['destinations[0].collapse']],
    [
      'half a severity',
      destinationWith({ routes: [{ severity_at_most: 2.5 }] }),
      ['destinations[0].routes[0].severity_at_most'],
    ],
    ['no address', destinationWith({ url: 'noc' }), ['destinations[0].url']],
    ['an address of a file', destinationWith({ url: 'file:///etc/passwd' }), ['destinations[0].url']],
    [
      'a very long address',
      destinationWith({ url: `https://a/${'b'.repeat(3_000)}` }),
      ['destinations[0].url'],
    ],
    [
      'an address with a fragment',
      destinationWith({ url: 'https://noc.example/#x' }),
      ['destinations[0].url'],
    ],
    ...kindFaults(),
  ];
  for (const [title, document, fields] of bad) {
    it(`refuses ${title}`, () => expect(fieldsOf(document)).to.deep.equal(fields));
  }

  it('takes what kinds have of their own, and writes it as it can be applied again', () => {
    const secret = { secret_ref: 'env:NOC_KEY' };
    for (const [given, expected] of [
      [{ kind: 'pagerduty', ...secret }, { url: 'https://events.pagerduty.com/v2/enqueue' }],
      [
        { kind: 'moogsoft_cloud', url: null, ...secret },
        { url: 'https://api.moogsoft.ai/v1/integrations/events' },
      ],
      [
        { kind: 'pagerduty', url: 'https://eu.example/enqueue', ...secret },
        { url: 'https://eu.example/enqueue' },
      ],
      [{ kind: 'moogsoft', url: 'http://a/', auth: 'auth_token', ...secret }, { auth: 'auth_token' }],
      [{ kind: 'alertmanager', url: 'http://a/', resolve_after_ms: 60_000 }, { resolveAfterMs: 60_000 }],
      [
        { kind: 'webhook', url: 'http://a/', template: '{{ id }}', content_type: 'text/plain' },
        { template: '{{ id }}', contentType: 'text/plain' },
      ],
      [
        { kind: 'webhook', url: 'http://a/', auth: null, template: null, content_type: null },
        { kind: 'webhook' },
      ],
    ] as const) {
      const [destination] = parseConfiguration({ destinations: [{ name: 'noc', ...given }] }).destinations;
      if (destination === undefined) throw new Error('no destination');
      expect(destination).to.include(expected);
      const again = parseConfiguration({ destinations: [writtenDestination(destination)] });
      expect(again.destinations).to.deep.equal([destination]);
    }
  });

  describe('credentials', () => {
    const SECRET = 'hunter2-hunter2';
    const documents: [title: string, document: unknown][] = [
      ['user and password in an address', destinationWith({ url: `https://u:${SECRET}@noc.example/` })],
      ['a user in an address', destinationWith({ url: `https://${SECRET}@noc.example/` })],
      ['a key in a query', destinationWith({ url: `https://noc.example/?apikey=${SECRET}` })],
      ['a token in a query', destinationWith({ url: `https://noc.example/?a=1&access_token=${SECRET}` })],
      ['a signature in a query', destinationWith({ url: `https://noc.example/?sv=1&sig=${SECRET}` })],
      ['the credential for a reference', destinationWith({ secret_ref: SECRET })],
      ['a password field', destinationWith({ password: SECRET })],
      ['an address for a destination', { destinations: [`https://u:${SECRET}@noc.example/`] }],
    ];
    for (const [title, document] of documents) {
      it(`are refused and never repeated: ${title}`, () => {
        const error = thrownBy(() => parseConfiguration(document));
        expect(error.code).to.equal('E_CONFIG_INVALID');
        expect(JSON.stringify([error.message, error.details])).to.not.include(SECRET);
      });
    }

    it('are found by references, and addresses with other queries are fine', () => {
      for (const secretRef of ['env:NOC_KEY', 'file:/run/credentials/noc', null]) {
        const [destination] = parseConfiguration(destinationWith({ secret_ref: secretRef })).destinations;
        expect(destination?.secretRef).to.equal(secretRef);
      }
      const url = 'https://noc.example/hook?site=1&monkey=x';
      expect(parseConfiguration(destinationWith({ url })).destinations[0]?.url).to.equal(url);
    });
  });

  it('keeps a team of a host that is called like a property of every object', () => {
    const document = JSON.parse('{"teams":{"__proto__":"A","constructor":"B"}}') as unknown;
    expect(Object.entries(parseConfiguration(document).teams)).to.have.deep.members([
      ['__proto__', 'A'],
      ['constructor', 'B'],
    ]);
  });

  it('answers every document with a configuration or with its faults', () => {
    const destination = fc.record(
      {
        name: fc.anything(),
        kind: fc.anything(),
        url: fc.anything(),
        routes: fc.anything(),
        timeout_ms: fc.anything(),
      },
      { requiredKeys: [] },
    );
    const document = fc.record(
      {
        rules: fc.oneof(fc.anything(), fc.array(fc.anything())),
        teams: fc.anything(),
        development_hosts: fc.anything(),
        destinations: fc.oneof(fc.anything(), fc.array(destination)),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(document, (input) => {
        // As it comes over the wire.
        const wire = JSON.parse(
          JSON.stringify(input, (_, value: unknown) => (typeof value === 'bigint' ? 1 : value)),
        ) as unknown;
        try {
          parseConfiguration(wire);
        } catch (thrown) {
          expect(codeOf(thrown)).to.equal('E_CONFIG_INVALID');
        }
      }),
    );
  });
});
