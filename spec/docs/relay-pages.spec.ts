/**
 * The how-to pages of relays are what their generator makes of the facts, and hold what a relay needs to lose nothing:
 * a key that is read from elsewhere, a bounded buffer on the disk, retries without limit.
 */
import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import {
  KEY_VARIABLE,
  collectorConfiguration,
  fluentBitConfiguration,
  vectorConfiguration,
} from './relay-configurations.ts';
import type { Places } from './relay-configurations.ts';
import { RELAY_PAGES, pathOf, relayPage } from './relay-pages.ts';

const places: Places = {
  host: 'node.example',
  port: 18_080,
  inputPort: 15_140,
  stateDir: '/state',
  headerFile: '/header',
  programFile: '/program',
};

const read = (text: string): unknown => parse(text);

describe('The pages on relays', () => {
  for (const page of RELAY_PAGES) {
    it(`have ${page.file} as its generator writes it`, async () => {
      expect(readFileSync(pathOf(page), 'utf8')).to.equal(await relayPage(page));
    });
  }

  it('name no page that is not there, and no key', () => {
    for (const page of RELAY_PAGES) {
      expect(existsSync(pathOf(page)), page.file).to.equal(true);
      for (const { text } of page.files) {
        for (const [, value = ''] of text.matchAll(/X-API-KEY:? ?"?(\S*)/g)) {
          expect(value, page.file).to.match(/^(\$|`)/);
        }
      }
    }
  });

  it('have YAML that is read as it is meant', () => {
    const fluentBit = read(fluentBitConfiguration(places));
    expect(fluentBit).to.have.nested.property('service.storage\\.path', '/state');
    expect(fluentBit).to.have.nested.property('pipeline.inputs[0].port', 15_140);
    expect(fluentBit).to.have.nested.property('pipeline.inputs[0].storage\\.type', 'filesystem');
    expect(fluentBit).to.have.nested.property('pipeline.outputs[0].port', 18_080);
    expect(fluentBit).to.have.nested.property('pipeline.outputs[0].retry_limit', 'no_limits');
    expect(fluentBit).to.have.nested.property('pipeline.outputs[0].header', `X-API-KEY \${${KEY_VARIABLE}}`);

    const vector = read(vectorConfiguration(places));
    expect(vector).to.have.nested.property('transforms.named.inputs[0]', 'relay');
    expect(vector).to.have.nested.property('sinks.mutt.inputs[0]', 'named');
    expect(vector).to.have.nested.property('sinks.mutt.uri', 'http://node.example:18080/api/v2/ingest');
    expect(vector).to.have.nested.property('sinks.mutt.buffer.type', 'disk');
    expect(vector).to.have.nested.property('sinks.mutt.buffer.when_full', 'block');

    const collector = read(collectorConfiguration(places));
    const storage = 'file_storage/mutt';
    expect(collector).to.have.nested.property(`extensions.${storage}.directory`, '/state');
    expect(collector).to.have.nested.property('service.extensions[0]', storage);
    expect(collector).to.have.nested.property('receivers.filelog.storage', storage);
    const exporter = 'exporters.otlphttp/mutt';
    expect(collector).to.have.nested.property(`${exporter}.sending_queue.storage`, storage);
    expect(collector).to.have.nested.property(`${exporter}.retry_on_failure.max_elapsed_time`, 0);
    expect(collector).to.have.deep.nested.property('service.pipelines.logs', {
      receivers: ['syslog', 'filelog'],
      exporters: ['otlphttp/mutt'],
    });
  });
});
