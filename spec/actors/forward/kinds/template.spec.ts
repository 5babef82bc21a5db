/** Templates of webhooks: what they make, what is refused when they are saved, and what they cannot do. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { Alert } from '../../../../actors/event.ts';
import { renderTemplate, templateFault } from '../../../../actors/forward/kinds/template.ts';
import type { ContentType } from '../../../../actors/ports.ts';
import { codeOf } from '../../../../runtime/errors.ts';
import { specDirectory } from '../../../support/servers.ts';
import { alertOf } from '../alerts.ts';

const JSON_TYPE = 'application/json';
const TEXT =
  '{"text": "{{ hostname }} says: {{ description }}", "level": {{ severity }}, "ids": {{ event_ids }}}';

const render = (template: string, fields: Partial<Alert> = {}, type: ContentType = JSON_TYPE): string =>
  renderTemplate(template, type, alertOf('a1', fields));
/** Control characters and halves of surrogate pairs too. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 })
  .map((units) => String.fromCharCode(...units));
function failureOf(act: () => unknown): Error {
  try {
    act();
  } catch (thrown) {
    return thrown as Error;
  }
  throw new Error('it did not throw');
}

describe('a template', () => {
  it('makes a document of the alert’s fields, each in the form that it has there', () => {
    expect(JSON.parse(render(TEXT))).to.deep.equal({
      text: 'r1 says: link down',
      level: 3,
      ids: ['event of a1'],
    });
    expect(JSON.parse(render(TEXT, { severity: null }))).to.include({ level: null });
  });

  it('keeps every text of an alert within its quotation marks', () => {
    fc.assert(
      fc.property(anyText, (description) => {
        const { text } = JSON.parse(render(TEXT, { description })) as { text: string };
        expect(text).to.equal(`r1 says: ${description}`);
      }),
      { numRuns: 200 },
    );
    const injected = '", "level": 0, "x": "{{ team }}';
    expect(JSON.parse(render(TEXT, { description: injected }))).to.include({
      text: `r1 says: ${injected}`,
      level: 3,
    });
  });

  it('writes forms and plain text in theirs', () => {
    expect(
      render(
        'a={{ description }}&b={{ severity }}',
        { description: 'x & y=é' },
        'application/x-www-form-urlencoded',
      ),
    ).to.equal('a=x%20%26%20y%3D%C3%A9&b=3');
    expect(
      render('<{{ description }}> {{ severity }}', { description: '"q"', severity: null }, 'text/plain'),
    ).to.equal('<"q"> ');
  });

  it('can ask and choose', () => {
    const template =
      '{"state": "{% if status == "resolved" %}ok{% else %}{{ severity | default: 9 }}{% endif %}"}';
    expect(render(template)).to.equal('{"state": "3"}');
    expect(render(template, { status: 'resolved' })).to.equal('{"state": "ok"}');
  });

  describe('is refused when it is saved', () => {
    const table: [string, string, RegExp][] = [
      ['a field that there is none of', '{"a":\n "{{ hostnam }}"}', /hostnam.*line:2/],
      ['one in a question', '{% if statu == "x" %}{% endif %}{}', /statu/],
      ['a filter that there is none of', '{"a": "{{ hostname | upcas }}"}', /upcas.*line:1/],
      ['a tag that is not closed', '{% if severity %}\n{}', /if.*not closed/],
      ['a tag that there is none of', '{% exec "ls" %}', /exec.*not found/],
      ['half an output', '{"a": "{{ hostname"}', /not closed/],
      ['a text without quotation marks', '{"a":\n {{ description }}}', /no valid JSON: line 2/],
      [
        'what is no JSON for an alert without a severity',
        '{"a": 1{% if severity == null %},{% endif %}}',
        /JSON/,
      ],
      ['another template', '{% include "x" %}', /include.*not found/],
      ['one that is rendered', '{% render "x" %}', /render.*not found/],
      ['a layout', '{% layout "x" %}', /layout.*not found/],
    ];
    for (const [name, template, why] of table) {
      it(name, () => {
        expect(templateFault(template, JSON_TYPE)).to.match(why);
      });
    }

    it('and says nothing of an alert, nor of a file here', () => {
      for (const [, template] of table) {
        expect(templateFault(template, JSON_TYPE)).to.not.match(/sample|quoted|file:|\/spec\/|node_modules/);
      }
      expect(templateFault(TEXT, JSON_TYPE)).to.equal(undefined);
    });
  });

  describe('has no way out', () => {
    it('to what every object has', () => {
      for (const path of [
        'constructor',
        '__proto__',
        'hostname.constructor',
        'event_ids.constructor',
        'hostname.__proto__.constructor',
        'toString',
        'valueOf',
        'hasOwnProperty',
      ]) {
        const error = failureOf(() => render(`{{ ${path} }}`, {}, 'text/plain'));
        expect(codeOf(error), path).to.equal('E_TEMPLATE_FAILED');
      }
      for (const global of ['process', 'globalThis', 'require', 'this', 'self', 'env']) {
        expect(codeOf(failureOf(() => render(`{{ ${global} }}`, {}, 'text/plain'))), global).to.equal(
          'E_TEMPLATE_FAILED',
        );
      }
    });

    it('to files', () => {
      const path = join(specDirectory('template'), 'secret.liquid');
      writeFileSync(path, 'hunter2');
      for (const tag of ['include', 'render', 'layout', 'block']) {
        for (const name of [path, 'secret', '../secret']) {
          expect(codeOf(failureOf(() => render(`{% ${tag} "${name}" %}`, {}, 'text/plain')))).to.equal(
            'E_TEMPLATE_FAILED',
          );
        }
      }
    });

    it('by taking time, memory or length without end, nor by its own length', function () {
      this.timeout(20_000);
      const endless = [
        '{% for i in (1..100000000) %}{% endfor %}',
        '{% for i in (1..9000) %}{% for j in (1..9000) %}{% assign x = j %}{% endfor %}{% endfor %}',
        '{% assign a = "x" %}{% for i in (1..64) %}{% assign a = a | append: a %}{% endfor %}{{ a }}',
        '{% assign a = "1,2" | split: "," %}{% for i in (1..64) %}{% assign a = a | concat: a %}{% endfor %}',
        '{% for i in (1..30000) %}{{ description }}{% endfor %}',
        'x'.repeat(40_000),
      ];
      for (const template of endless) {
        const startedAtMs = performance.now();
        const error = failureOf(() => render(template, { description: 'd'.repeat(1_000) }, 'text/plain'));
        expect(codeOf(error), template.slice(0, 80)).to.equal('E_TEMPLATE_FAILED');
        expect(performance.now() - startedAtMs).to.be.below(4_000);
      }
    });

    it('that would change the alert', () => {
      const alert = alertOf('a1');
      renderTemplate(
        '{% assign hostname = "x" %}{% assign e = event_ids | push: "y" %}{{ hostname }}{{ e }}',
        'text/plain',
        alert,
      );
      expect(alert).to.deep.equal(alertOf('a1'));
    });
  });
});
