/** `mutt torture`: its options, what is seen while it runs, and its report. */
import { availableParallelism } from 'node:os';
import type { CliContext } from '../../gateways/cli/context.ts';
import { EXIT } from '../../gateways/cli/context.ts';
import { number, wholeNumber } from '../../gateways/cli/command-line.ts';
import type { ComposedCommand } from '../../gateways/cli/program.ts';
import { table } from '../../gateways/cli/table.ts';
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';
import { nearestWord } from '../../runtime/nearest-word.ts';
import { FAULT_KINDS } from './faults/kinds.ts';
import type { FaultKind } from './faults/fault.ts';
import { torture } from './torture.ts';
import { reportDocument, reportText } from './torture-report.ts';

interface Given {
  seed?: number;
  minutes?: number;
  faults?: number;
  only?: string;
  rate?: number;
  list?: boolean;
  keep?: boolean;
  json?: boolean;
}

const MINUTES_DEFAULT = 5;
const RATE_DEFAULT = 300;
const SEED_MAX = 4_294_967_295;
const NO_LIMIT_MS = 7 * 24 * 3_600_000;

export function tortureCommand({ io, signal }: Pick<CliContext, 'io' | 'signal'>): ComposedCommand {
  return {
    name: 'torture',
    description:
      'break two nodes of its own in every way it knows, under traffic, and prove that nothing is lost',
    options: [
      {
        flags: '--seed <n>',
        description: 'the same faults in the same order as another time',
        parse: wholeNumber(0, SEED_MAX),
      },
      {
        flags: '--minutes <n>',
        description: `how long there is harm (default: ${MINUTES_DEFAULT})`,
        parse: number(0.1, 10_000),
      },
      {
        flags: '--faults <n>',
        description: 'how many faults, however long that takes',
        parse: wholeNumber(0, 1_000_000),
      },
      { flags: '--only <kinds>', description: 'only these kinds of fault, with commas between them' },
      {
        flags: '--rate <events/s>',
        description: `events per second to both nodes together (default: ${RATE_DEFAULT})`,
        parse: number(1, 100_000),
      },
      { flags: '--list', description: 'list the kinds of fault and do nothing' },
      { flags: '--keep', description: 'leave the data and logs, of a good run too' },
      { flags: '--json', description: 'print JSON' },
    ],
    examples: [
      'mutt torture',
      'mutt torture --seed 42 --faults 200',
      'mutt torture --minutes 60 --json',
      'mutt torture --list',
    ],
    exitCodes: '0 nothing was lost and everything recovered, 1 something is wrong, 2 wrong call, 130 Ctrl-C',
    run: async (options) => {
      const given = options as Given;
      const kinds = chosenKinds(given.only);
      if (given.list === true) {
        io.stdout.write(listed(kinds, given.json === true));
        return EXIT.ok;
      }
      const seed = given.seed ?? Math.floor(Math.random() * SEED_MAX);
      const faultsMax = given.faults ?? Infinity;
      const say = (text: string): void => void io.stderr.write(`${text}\n`);
      say(`seed ${seed}, ${kinds.length} kinds of fault, ${availableParallelism()} processors`);
      const report = await torture({
        seed,
        faultsMax,
        durationMs:
          given.minutes === undefined && given.faults !== undefined
            ? NO_LIMIT_MS
            : (given.minutes ?? MINUTES_DEFAULT) * 60_000,
        kinds,
        eventsPerSecond: given.rate ?? RATE_DEFAULT,
        isKept: given.keep === true,
        signal,
        say,
        onFault: ({ nth, kind, node }) =>
          say(`${String(nth).padStart(5)}  ${kind.name}${kind.takes.includes('node') ? ` at ${node}` : ''}`),
      }).catch((thrown: unknown) => {
        // With a code it says how to mend it; without one the run itself shows that something is wrong.
        if (codeOf(thrown) !== 'E_UNKNOWN') throw thrown;
        return messageOf(thrown);
      });
      if (typeof report === 'string') {
        say(`mutt: ${report}\nverdict: WRONG`);
        return EXIT.notGood;
      }
      if (report === undefined) return EXIT.interrupted;
      io.stdout.write(
        given.json === true
          ? `${JSON.stringify(reportDocument(report), undefined, 2)}\n`
          : reportText(report),
      );
      return report.wrong.length === 0 ? EXIT.ok : EXIT.notGood;
    },
  };
}

/** Errors: E_FAULT_UNKNOWN. */
function chosenKinds(only: string | undefined): readonly FaultKind[] {
  if (only === undefined) return FAULT_KINDS;
  const names = only
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  for (const name of names) {
    if (FAULT_KINDS.some((kind) => kind.name === name)) continue;
    const nearest = nearestWord(
      name.slice(0, 64),
      FAULT_KINDS.map((kind) => kind.name),
    );
    throw new CodedError(
      'E_FAULT_UNKNOWN',
      `there is no kind of fault ${JSON.stringify(name.slice(0, 64))}`,
      {
        mend: nearest === undefined ? 'mutt torture --list shows them all.' : `Did you mean ${nearest}?`,
      },
    );
  }
  return FAULT_KINDS.filter(({ name }) => names.includes(name));
}

function listed(kinds: readonly FaultKind[], isJson: boolean): string {
  const rows = kinds.map(({ name, what, impossible }) => ({
    kind: name,
    what,
    impossible: impossible?.() ?? null,
  }));
  if (isJson) return `${JSON.stringify(rows, undefined, 2)}\n`;
  const lines = table(
    [
      { head: 'KIND', cell: ({ kind }) => kind },
      {
        head: 'WHAT HAPPENS',
        cell: ({ what, impossible }) => what + (impossible === null ? '' : ` (not here: ${impossible})`),
      },
    ],
    rows,
    { width: undefined, bold: (text) => text },
  );
  return `${lines.join('\n')}\n`;
}
