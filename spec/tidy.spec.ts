/**
 * The house rules on the whole project, and each rule on files planted to break it.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { STATIC_VARIABLES } from '../supervisors/static-config.ts';
import { readTree } from './support/source-files.ts';
import type { SourceTree } from './support/source-files.ts';
import * as tidy from './support/tidy.ts';

const tree = readTree();
const STATEMENTS = 'docs/reference/runtime-semantics.md';

function planted(files: Record<string, string>): SourceTree {
  return new Map(Object.entries(files));
}

describe('Tidy', function () {
  // Reads every file of the project.
  this.timeout(60_000);

  describe('unfinished words', () => {
    it('are nowhere', () => expect(tidy.unfinishedWords(tree)).to.deep.equal([]));
    it('are found', () => {
      const word = 'TO' + 'DO';
      expect(tidy.unfinishedWords(planted({ 'docs/a.md': `fine\n${word}: later` }))).to.deep.equal([
        `docs/a.md:2 says ${word}`,
      ]);
    });
  });

  describe('specs that run alone or are skipped', () => {
    it('are nowhere', () => expect(tidy.aloneOrSkipped(tree)).to.deep.equal([]));
    for (const call of ['describe.on' + 'ly(', 'it.sk' + 'ip(', 'x' + 'it(', 'this.sk' + 'ip()']) {
      it(`are found: ${call}`, () => {
        expect(tidy.aloneOrSkipped(planted({ 'spec/a.spec.ts': `  ${call}` }))).to.deep.equal([
          'spec/a.spec.ts:1 runs a spec alone or skips one',
        ]);
      });
    }
  });

  describe('a file that nothing uses', () => {
    it('is nowhere', () => expect(tidy.orphans(tree)).to.deep.equal([]));
    it('is found, and one that is started as a thread is not', () => {
      const files = {
        'supervisors/mutt.ts': "import './used.ts'; new URL('../runtime/thread.ts', import.meta.url);",
        'supervisors/used.ts': '',
        'runtime/thread.ts': '',
        'runtime/unused.ts': '',
      };
      expect(tidy.orphans(planted(files))).to.deep.equal([
        'runtime/unused.ts is imported by nothing and is no entry point',
      ]);
    });
  });

  describe('a file that is too long', () => {
    it('is nowhere', () => expect(tidy.tooLong(tree)).to.deep.equal([]));
    it('is found', () => {
      expect(tidy.tooLong(planted({ 'runtime/long.ts': 'x\n'.repeat(501) }))).to.deep.equal([
        'runtime/long.ts has 501 lines; 500 are allowed',
      ]);
      expect(tidy.tooLong(planted({ 'runtime/long.ts': 'x\n'.repeat(500) }))).to.deep.equal([]);
    });
  });

  describe('a number without a unit in the configuration', () => {
    it('is nowhere', () => expect(tidy.unitlessNumbers(STATIC_VARIABLES)).to.deep.equal([]));
    it('is found', () => {
      const fields = { timeout: { default: 5 }, timeoutMs: { default: 5 }, host: { default: 'here' } };
      expect(tidy.unitlessNumbers(fields)).to.deep.equal([
        'the configuration field timeout is a number without a unit',
      ]);
    });
  });

  describe('a page with no or several first-level headings', () => {
    it('is nowhere', () => expect(tidy.headings(tree)).to.deep.equal([]));
    it('is found, and a comment in a code block is no heading', () => {
      const files = {
        'docs/two.md': '# One\n\n# Two\n',
        'docs/none.md': 'text\n',
        'docs/good.md': '# One\n\n```sh\n# a comment\n```\n',
      };
      expect(tidy.headings(planted(files))).to.deep.equal([
        'docs/two.md has 2 first-level headings instead of one',
        'docs/none.md has 0 first-level headings instead of one',
      ]);
    });
  });

  describe('a link to a file that does not exist', () => {
    it('is nowhere', () => expect(tidy.deadLinks(tree)).to.deep.equal([]));
    it('is found', () => {
      const files = {
        'docs/a.md':
          '[b](b.md#part) [up](../README.md) [out](https://example.org) [here](#x) [gone](gone.md)',
        'docs/b.md': '[folder](../docs/)',
        'README.md': '',
      };
      expect(tidy.deadLinks(planted(files))).to.deep.equal([
        'docs/a.md links to gone.md, which does not exist',
      ]);
    });
  });

  describe('the statements of the runtime semantics', () => {
    it('are each cited by a spec, and no spec cites another', () => {
      expect(tidy.unmatchedStatements(tree)).to.deep.equal([]);
    });
    it('are missed when no spec cites them, and when they are not stated', () => {
      const files = {
        [STATEMENTS]: '**S-1** Order is kept. **S-2** Nothing is lost.',
        'spec/a.spec.ts': "it('keeps order [S-1]'); it('does more [S-3]');",
      };
      expect(tidy.unmatchedStatements(planted(files))).to.deep.equal([
        `${STATEMENTS} states S-2, which no spec cites`,
        `spec/a.spec.ts cites S-3, which ${STATEMENTS} does not state`,
      ]);
    });
  });
});
