/**
 * `mutt completion`: scripts that let a shell complete commands and options, made from the program itself.
 *
 * A script knows the commands by their path (`config set`), and of each what can follow: sub-commands, options, words,
 * or files. Invariant: nothing but our own names and descriptions gets into a script, quoted for its shell.
 */
import { Argument } from 'commander';
import type { Command, Option } from 'commander';
import { examples } from './command-line.ts';
import type { Acts } from './command-line.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** What can follow one command. */
interface Place {
  /** `` for the program itself, else as typed: `config set`. */
  path: string;
  commands: { name: string; description: string }[];
  options: { name: string; description: string; takes: Takes }[];
  argument: Takes;
}
/** A value that is one of some words, a file, something that cannot be guessed, or none at all. */
type Takes = readonly string[] | 'file' | 'text' | 'nothing';

function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, '');
  if (shell === 'bash') return bashScript(places);
  return shell === 'zsh' ? zshScript(places) : fishScript(places);
}

function placesOf(command: Command, path: string): Place[] {
  const commands = command.commands.map((each) => ({ name: each.name(), description: each.description() }));
  const own: Place = {
    path,
    commands,
    options: [
      ...command.options.map((option) => ({
        name: option.long ?? option.flags,
        description: option.description,
        takes: optionTakes(option),
      })),
      { name: '--help', description: 'show the help', takes: 'nothing' },
    ],
    argument: argumentTakes(command),
  };
  const below = command.commands.flatMap((each) => placesOf(each, `${path} ${each.name()}`.trim()));
  return [own, ...below];
}

function optionTakes(option: Option): Takes {
  if (!option.required && !option.optional) return 'nothing';
  if (option.argChoices !== undefined) return option.argChoices;
  return option.flags.includes('<path>') ? 'file' : 'text';
}

function argumentTakes(command: Command): Takes {
  const argument = command.registeredArguments[0];
  if (argument === undefined) return 'nothing';
  if (argument.argChoices !== undefined) return argument.argChoices;
  return argument.name().startsWith('file') ? 'file' : 'text';
}

/** Names are letters, digits and hyphens; anything else would be a mistake of ours. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const WAY = (places: readonly Place[]): string =>
  places
    .filter(({ path }) => path !== '')
    .map(({ path }) => quoted(path))
    .join('|');

/** Lines of `case` for options whose value can be completed; `none` is done where it cannot. */
function valueCases(
  places: readonly Place[],
  of: (takes: readonly string[] | 'file') => string,
  none: string,
): string {
  return places
    .flatMap(({ path, options }) =>
      options.flatMap(({ name, takes }) => {
        if (takes === 'nothing') return [];
        const act = takes === 'text' ? none : of(takes);
        return [`    ${quoted(`${path} ${name}`)}) ${act} ;;`];
      }),
    )
    .join('\n');
}

function bashScript(places: readonly Place[]): string {
  const words = (takes: readonly string[]): string => takes.join(' ');
  const wordCases = places.map(({ path, commands, options, argument }) => {
    const choices = typeof argument === 'string' ? '' : words(argument);
    const first = [words(commands.map(({ name }) => name)), choices].join(' ').trim();
    return `    ${quoted(path)}) words=${quoted(first)}; options=${quoted(words(options.map(({ name }) => name)))}; files=${argument === 'file' ? 1 : 0} ;;`;
  });
  return `# bash completion for mutt. Use: source <(mutt completion bash)
_mutt() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local path='' word words='' options='' files=0
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
      ${WAY(places)}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path $previous" in
${valueCases(
  places,
  (takes) =>
    takes === 'file'
      ? 'COMPREPLY=($(compgen -f -- "$current")); return'
      : `COMPREPLY=($(compgen -W ${quoted(words(takes))} -- "$current")); return`,
  'return',
)}
  esac
  case "$path" in
${wordCases.join('\n')}
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [[ $files == 1 ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
  fi
}
complete -o filenames -F _mutt mutt
`;
}

function zshScript(places: readonly Place[]): string {
  const described = (name: string, description: string): string =>
    quoted(`${name.replaceAll(':', '\\:')}:${description}`);
  const wordCases = places.map(({ path, commands, options, argument }) => {
    const choices = typeof argument === 'string' ? [] : argument;
    const first = [
      ...commands.map(({ name, description }) => described(name, description)),
      ...choices.map((choice) => quoted(choice)),
    ];
    const rest = options.map(({ name, description }) => described(name, description));
    return `    ${quoted(path)}) words_=(${first.join(' ')}); options_=(${rest.join(' ')}); files=${argument === 'file' ? 1 : 0} ;;`;
  });
  return `#compdef mutt
# zsh completion for mutt. Use: source <(mutt completion zsh), after compinit
_mutt() {
  local way='' word files=0
  local -a words_ options_
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${way:+$way }$word" in
      ${WAY(places)}) way="\${way:+$way }$word" ;;
    esac
  done
  case "$way \${words[CURRENT-1]}" in
${valueCases(
  places,
  (takes) => (takes === 'file' ? '_files; return' : `compadd -- ${takes.map(quoted).join(' ')}; return`),
  'return',
)}
  esac
  case "$way" in
${wordCases.join('\n')}
  esac
  if [[ $PREFIX == -* ]]; then
    _describe option options_
  else
    _describe command words_
    (( files )) && _files
  fi
}
compdef _mutt mutt
`;
}

function fishScript(places: readonly Place[]): string {
  const fishQuoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = places.flatMap(({ path, commands, options, argument }) => {
    const at = `complete -c mutt -n ${fishQuoted(`__mutt_at ${fishQuoted(path)}`)}`;
    return [
      ...commands.map(({ name, description }) => `${at} -a ${name} -d ${fishQuoted(description)}`),
      ...(typeof argument === 'string' ? [] : argument.map((choice) => `${at} -a ${choice}`)),
      ...(argument === 'file' ? [`${at} -F`] : []),
      ...options.map(({ name, description, takes }) => {
        const value =
          takes === 'nothing'
            ? ''
            : takes === 'file'
              ? ' -r -F'
              : takes === 'text'
                ? ' -x'
                : ` -x -a ${fishQuoted(takes.join(' '))}`;
        return `${at} -l ${name.replace(/^--/, '')} -d ${fishQuoted(description)}${value}`;
      }),
    ];
  });
  const paths = places.filter(({ path }) => path !== '').map(({ path }) => fishQuoted(path));
  return `# fish completion for mutt. Use: mutt completion fish | source
function __mutt_at
  set -l way ''
  for word in (commandline -opc)[2..-1]
    set -l longer (string trim -- "$way $word")
    contains -- $longer ${paths.join(' ')}; and set way $longer
  end
  test "$way" = "$argv[1]"
end
complete -c mutt -f
${lines.join('\n')}
`;
}

export function addCompletion(program: Command, context: CliContext, acts: Acts): void {
  program
    .command('completion')
    .description('print a script that lets your shell complete mutt commands')
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(SHELLS))
    .addHelpText(
      'after',
      examples(['mutt completion bash > ~/.local/share/bash-completion/completions/mutt']) +
        '\nIt completes the command `mutt`; in a clone, alias mutt="npx mutt" makes one.\n',
    )
    .action(
      acts(async (shell: Shell) => {
        context.io.stdout.write(completionScript(program, shell));
        return EXIT.ok;
      }),
    );
}
