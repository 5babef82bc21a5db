/**
 * The import table of the architecture, checked on the project and, to show that the check can fail, on planted files.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { PACKAGES, architectureBreaches } from './support/architecture.ts';
import { readTree } from './support/source-files.ts';

const tree = readTree();

function breachesOf(files: Record<string, string>): string[] {
  return architectureBreaches(new Map(Object.entries(files)));
}

describe('Architecture', function () {
  // Reads every file of the project.
  this.timeout(60_000);

  it('is kept by every file', () => {
    expect(architectureBreaches(tree)).to.deep.equal([]);
  });

  it('has a rule for every package the product depends on', () => {
    const manifest = JSON.parse(tree.get('package.json') ?? '{}') as { dependencies: Record<string, string> };
    const listed = PACKAGES.map(({ name }) => name);
    expect(listed.sort()).to.deep.equal(Object.keys(manifest.dependencies).sort());
  });

  describe('when a file breaks it', () => {
    const target = 'export const x = 1;';

    for (const [title, from, importer] of [
      ['a static import', '../actors/a.ts', "import { x } from '../actors/a.ts'; x;"],
      ['a type import', '../actors/a.ts', "import type { x } from '../actors/a.ts';"],
      ['a dynamic import', '../actors/a.ts', "await import('../actors/a.ts');"],
      ['a re-export', '../actors/a.ts', "export { x } from '../actors/a.ts';"],
      ['a type in passing', '../actors/a.ts', "export type Y = import('../actors/a.ts').X;"],
      ['the start of a thread', '../actors/a.ts', "new URL('../actors/a.ts', import.meta.url);"],
    ] as const) {
      it(`names ${title} from the runtime into the actors (${from})`, () => {
        expect(breachesOf({ 'runtime/r.ts': importer, 'actors/a.ts': target })).to.deep.equal([
          'runtime/r.ts may not import actors/a.ts',
        ]);
      });
    }

    it('names a gateway that imports an actor, another gateway or a supervisor', () => {
      const files = {
        'gateways/webhook/w.ts':
          "import '../../actors/match/rule.ts'; import '../redis/r.ts'; import '../../supervisors/s.ts';",
        'actors/match/rule.ts': target,
        'gateways/redis/r.ts': target,
        'supervisors/s.ts': target,
      };
      expect(breachesOf(files)).to.deep.equal([
        'gateways/webhook/w.ts may not import actors/match/rule.ts',
        'gateways/webhook/w.ts may not import gateways/redis/r.ts',
        'gateways/webhook/w.ts may not import supervisors/s.ts',
      ]);
    });

    it('lets a gateway import the ports and messages of the actors', () => {
      const files = {
        'gateways/webhook/w.ts': "import '../../actors/ports.ts'; import '../../actors/forward/messages.ts';",
        'actors/ports.ts': target,
        'actors/forward/messages.ts': target,
      };
      expect(breachesOf(files)).to.deep.equal([]);
    });

    it('names an example that imports more of ours than the face of the runtime', () => {
      const files = {
        'docs/examples/toy/t.ts':
          "import './u.ts'; import '../../../runtime/index.ts'; import '../../../runtime/actor.ts'; import 'pino';",
        'docs/examples/toy/u.ts': "import '../../../actors/a.ts';",
        'runtime/index.ts': target,
        'runtime/actor.ts': target,
        'actors/a.ts': target,
      };
      expect(breachesOf(files)).to.deep.equal([
        'docs/examples/toy/t.ts may not import runtime/actor.ts',
        'docs/examples/toy/t.ts may not import the package pino',
        'docs/examples/toy/u.ts may not import actors/a.ts',
      ]);
    });

    it('names whoever imports a spec', () => {
      const files = { 'bench/b.ts': "import '../spec/actors/s.ts';", 'spec/actors/s.ts': target };
      expect(breachesOf(files)).to.deep.equal(['bench/b.ts may not import spec/actors/s.ts']);
    });

    it('names a folder that the table does not know', () => {
      const files = { 'helpers/h.ts': "import '../runtime/r.ts';", 'runtime/r.ts': target };
      expect(breachesOf(files)).to.deep.equal(['helpers/h.ts may not import runtime/r.ts']);
    });

    it('names an import of a file that does not exist', () => {
      expect(breachesOf({ 'runtime/r.ts': "import './gone.ts';" })).to.deep.equal([
        'runtime/r.ts imports runtime/gone.ts, which does not exist',
      ]);
    });

    it('names a package outside its folders', () => {
      expect(
        breachesOf({ 'actors/a.ts': "import { Redis } from 'ioredis'; import x from 'left-pad/sub';" }),
      ).to.deep.equal([
        'actors/a.ts may not import the package ioredis',
        'actors/a.ts may not import the package left-pad',
      ]);
    });

    it('names a package that is loaded where only its types may be used', () => {
      const files = {
        'runtime/durable/a.ts': "import type { Redis } from 'ioredis';",
        'runtime/durable/b.ts': "import { Redis } from 'ioredis';",
      };
      expect(breachesOf(files)).to.deep.equal([
        'runtime/durable/b.ts may import only types of the package ioredis',
      ]);
    });

    it('names a package in the bootstrap, which runs before any is installed', () => {
      expect(breachesOf({ 'supervisors/bootstrap.mjs': "import 'yaml';" })).to.deep.equal([
        'supervisors/bootstrap.mjs may not import the package yaml',
      ]);
    });

    it('names a cycle with every file on it', () => {
      const files = {
        'runtime/a.ts': "import './b.ts';",
        'runtime/b.ts': "import './c.ts';",
        'runtime/c.ts': "import './a.ts';",
      };
      expect(breachesOf(files)).to.deep.equal([
        'cycle: runtime/a.ts -> runtime/b.ts -> runtime/c.ts -> runtime/a.ts',
      ]);
    });

    it('names a word of the product in the runtime', () => {
      expect(breachesOf({ 'runtime/r.ts': '// Keeps Syslog lines.\n' })).to.deep.equal([
        'runtime/r.ts names the product\'s "Syslog" in the runtime',
      ]);
    });
  });
});
