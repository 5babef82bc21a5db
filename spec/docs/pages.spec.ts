/**
 * The pages hang together: every link leads somewhere, every page is found from the index, every npm script that a page
 * names exists, and the README stays short and names the command that tests the project.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readTree } from '../support/source-files.ts';

const CLONE_DIR = fileURLToPath(new URL('../..', import.meta.url));
const README_LINES_MIN = 60;
const README_LINES_MAX = 120;

const tree = readTree();
const pages = new Map(
  [...tree].filter(([path]) => path.endsWith('.md') && (!path.includes('/') || path.startsWith('docs/'))),
);

interface Link {
  path: string;
  anchor: string | undefined;
}

/** Links to files of the clone. What is in code is no link. */
function linksIn(page: string, text: string): Link[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, 'code');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#');
      return { path: path === '' ? page : join(dirname(page), path), anchor };
    });
}

/** As GitHub makes them of headings. */
function anchorsIn(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(/\s/g, '-'),
    ),
  );
}

function deadLinks(texts: ReadonlyMap<string, string>, exists: (path: string) => boolean): string[] {
  return [...texts].flatMap(([page, text]) =>
    linksIn(page, text)
      .filter(({ path, anchor }) => {
        if (!exists(path)) return true;
        return anchor !== undefined && !anchorsIn(texts.get(path) ?? '').has(anchor);
      })
      .map(({ path, anchor }) => `${page}: ${path}${anchor === undefined ? '' : `#${anchor}`}`),
  );
}

describe('The documentation', () => {
  it('has no link that leads nowhere', () => {
    expect(deadLinks(pages, (path) => existsSync(join(CLONE_DIR, path)))).to.deep.equal([]);
  });

  it('names every page in its index', () => {
    const named = new Set(
      linksIn('docs/README.md', pages.get('docs/README.md') ?? '').map(({ path }) => path),
    );
    const others = [...pages.keys()].filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
    expect(others.filter((path) => !named.has(path))).to.deep.equal([]);
  });

  it('names only npm scripts that there are', () => {
    const { scripts } = JSON.parse(tree.get('package.json') ?? '{}') as { scripts: Record<string, string> };
    const named = [...pages.values()].flatMap((text) =>
      [...text.matchAll(/\bnpm (?:run ([\w:]+)|(start|test)\b)/g)].map(
        ([, run, short]) => run ?? short ?? '',
      ),
    );
    expect(named.filter((name) => scripts[name] === undefined)).to.deep.equal([]);
  });

  it('keeps the README between 60 and 120 lines, with the command that tests the project', () => {
    const readme = pages.get('README.md') ?? '';
    expect(readme.trimEnd().split('\n').length).to.be.within(README_LINES_MIN, README_LINES_MAX);
    expect(readme).to.include('```sh\nnpm test\n```');
  });

  it('is checked by a reading of links that finds dead ones', () => {
    const planted = new Map([
      ['docs/a.md', '# One two\n[good](b.md) [gone](c.md) [anchor](#one-two) [none](b.md#x) `[code](d.md)`'],
      ['docs/b.md', '# B'],
    ]);
    expect(deadLinks(planted, (path) => planted.has(path))).to.deep.equal([
      'docs/a.md: docs/c.md',
      'docs/a.md: docs/b.md#x',
    ]);
  });
});
