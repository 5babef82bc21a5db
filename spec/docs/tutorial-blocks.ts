/**
 * The commands of a tutorial with what they are said to print, and the comparison of that with what they do print.
 */

export interface TutorialStep {
  /** Text of a `sh` block, as it stands on the page. */
  command: string;
  /** Text of the `text` block that follows it; undefined when none does. */
  output: string | undefined;
}

export interface Tutorial {
  steps: TutorialStep[];
  /** What is shown without a command before it: what the first command prints at its end. */
  lastOutput: string | undefined;
}

/** Takes the fenced blocks in order. A second `text` block after one command is what remains to be printed at the end. */
export function tutorialOf(page: string): Tutorial {
  const steps: TutorialStep[] = [];
  let lastOutput: string | undefined;
  for (const [, language, text = ''] of page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) {
    const step = steps.at(-1);
    if (language === 'sh') steps.push({ command: text, output: undefined });
    else if (language !== 'text' || step === undefined) throw new Error(`a block that is no step: ${text}`);
    else if (step.output === undefined) step.output = text;
    else lastOutput = text;
  }
  return { steps, lastOutput };
}

const VARYING: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>'],
  [/\bafter [\d,]+ ms\b/g, 'after <n> ms'],
];

/** Text with what differs from run to run, and nothing else, replaced by its name. */
export function masked(text: string): string {
  return VARYING.reduce((result, [pattern, name]) => result.replace(pattern, name), text);
}

/** Whether the lines shown are the lines printed, where a line `…` stands for any number of lines. */
export function isShownBy(shown: string, printed: string): boolean {
  const pattern = masked(shown)
    .trimEnd()
    .split('\n')
    .map((line) => (line === '…' ? '(?:.*\\n)*' : `${escaped(line)}\\n`))
    .join('');
  return new RegExp(`^${pattern}$`).test(`${masked(printed).trimEnd()}\n`);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
