/**
 * The programs of a page: `ts` blocks that begin with the name of a file, each with what it is said to print.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

export interface PageProgram {
  file: string;
  text: string;
  /** The `text` block that follows it; undefined for a file that another one uses. */
  output: string | undefined;
}

/** Errors: throws on a block that is none of the two, so that no code of the page goes unchecked. */
export function programsOf(page: string): PageProgram[] {
  const programs: PageProgram[] = [];
  for (const [block, language, text = ''] of page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)) {
    const last = programs.at(-1);
    const file = /^\/\/ ([\w-]+\.ts)\n/.exec(text)?.[1];
    if (language === 'ts' && file !== undefined) programs.push({ file, text, output: undefined });
    else if (language === 'text' && last?.output === undefined && last !== undefined) last.output = text;
    else throw new Error(`neither a program nor its output:\n${block}`);
  }
  return programs;
}

/** What the compiler has to say against the programs, as if they stood in the root of the clone. */
export function typeFaults(programs: readonly PageProgram[], cloneDir: string): string[] {
  const texts = new Map(programs.map(({ file, text }) => [join(cloneDir, file), text]));
  const config = ts.readConfigFile(join(cloneDir, 'tsconfig.json'), (path) => readFileSync(path, 'utf8'));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, cloneDir);
  const host = ts.createCompilerHost(options);
  const fileExists = host.fileExists.bind(host);
  const readFile = host.readFile.bind(host);
  const getSourceFile = host.getSourceFile.bind(host);
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.getSourceFile = (path, target, ...rest) => {
    const text = texts.get(path);
    return text === undefined
      ? getSourceFile(path, target, ...rest)
      : ts.createSourceFile(path, text, target);
  };
  const program = ts.createProgram([...texts.keys()], options, host);
  return [...texts.keys()].flatMap((path) => {
    const source = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ messageText }) => `${path}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
  });
}
