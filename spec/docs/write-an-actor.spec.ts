/**
 * The how-to "Write an actor": every program on the page compiles and prints what stands below it.
 */
import { spawn } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { specDirectory } from '../support/servers.ts';
import { programsOf, typeFaults } from './page-programs.ts';

const CLONE_DIR = fileURLToPath(new URL('../..', import.meta.url));

describe('The how-to "Write an actor"', function () {
  this.timeout(60_000);
  const programs = programsOf(readFileSync(join(CLONE_DIR, 'docs/how-to/write-an-actor.md'), 'utf8'));
  let dir = '';

  before(() => {
    dir = specDirectory('programs');
    for (const folder of ['runtime', 'node_modules']) symlinkSync(join(CLONE_DIR, folder), join(dir, folder));
    writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
    for (const { file, text } of programs) writeFileSync(join(dir, file), text);
  });

  it('compiles', () => {
    expect(typeFaults(programs, CLONE_DIR)).to.deep.equal([]);
  });

  for (const { file, output } of programs) {
    if (output === undefined) continue;
    it(`prints what it shows: ${file}`, async () => {
      const printed = await new Promise<string>((resolve, reject) => {
        const child = spawn(process.execPath, [join(dir, file)], { stdio: ['ignore', 'pipe', 'pipe'] });
        let text = '';
        for (const stream of [child.stdout, child.stderr]) {
          stream.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
        }
        child.once('error', reject);
        child.once('close', () => resolve(text));
      });
      expect(printed.replaceAll(/[ \t]+$/gm, '')).to.equal(output);
    });
  }

  it('is checked by a reading that leaves no block out, and a compiler that finds faults', () => {
    expect(() => programsOf('```ts\nlet a;\n```\n')).to.throw('neither a program');
    expect(() => programsOf('```text\na\n```\n')).to.throw('neither a program');
    const wrong = programsOf(
      "```ts\n// a.ts\nimport { router } from './runtime/index.ts';\nexport const a: number = router;\n```\n",
    );
    expect(typeFaults(wrong, CLONE_DIR).join()).to.include('is not assignable');
  });
});
