/**
 * Writes docs/how-to/send-from-*.md: for each relay its configuration, what it does with each reply, and what to watch.
 *
 *   node supervisors/bootstrap.mjs --run spec/docs/relay-pages.ts
 *
 * A spec regenerates the pages and compares; check:host runs the configurations whose relays Debian has. Invariant: the
 * same facts always give the same pages, byte for byte.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';
import {
  KEY_VARIABLE,
  RSYSLOG_PROGRAM,
  SHOWN_PLACES,
  SHOWN_TRAP_PLACES,
  SNMPTRAPD_CONFIGURATION,
  TRAP_UNIT,
  collectorConfiguration,
  fluentBitConfiguration,
  rsyslogBatchConfiguration,
  rsyslogProgramConfiguration,
  rsyslogSingleConfiguration,
  syslogNgConfiguration,
  trapHandleConfiguration,
  trapProgram,
  vectorConfiguration,
} from './relay-configurations.ts';
import type { Places } from './relay-configurations.ts';

const COMMAND = 'node supervisors/bootstrap.mjs --run spec/docs/relay-pages.ts';

interface ShownFile {
  heading: string;
  /** Before the file: for whom it is, and what it needs. */
  about: string;
  language: string;
  text: string;
}

export interface RelayPage {
  /** In docs/how-to/. */
  file: string;
  relay: string;
  /** What comes in and what becomes of it; of syslog unless it says otherwise. */
  about?: string;
  /** Sends one event and sees it arrive; one of syslog without it. */
  check?: string;
  /** Whether check:host runs it. */
  proof: string;
  /** How the relay gets at the key. */
  key: string;
  files: readonly ShownFile[];
  /** By reply: what each range of versions does. */
  replies: { columns: readonly string[]; rows: readonly (readonly string[])[]; note: string };
  watch: readonly string[];
}

const at = (stateDir: string): Places => ({ ...SHOWN_PLACES, stateDir });

const MAKE_KEY = 'npx mutt keys create relay-01 --scope ingest --expires 365d --out /etc/mutt/relay.key';

const environmentKey = (unit: string, ...before: string[]): string => `\`\`\`sh
${[...before, ''].join('\n')}(umask 077; printf '${KEY_VARIABLE}=%s\\n' "$(cat /etc/mutt/relay.key)" > /etc/mutt/relay.env)
systemctl edit ${unit}
\`\`\`

In the editor:

\`\`\`ini
[Service]
EnvironmentFile=/etc/mutt/relay.env
\`\`\`

Only root can read the file. A change needs \`systemctl restart ${unit}\`.`;

const { host, port, inputPort } = SHOWN_PLACES;
const SYSLOG =
  `Syslog comes in over TCP on \`127.0.0.1:${inputPort}\` and goes to a node at \`${host}:${port}\`. What cannot be sent ` +
  'waits on the disk, within a bound, and is sent again without limit.';
const SYSLOG_CHECK =
  `(sleep 3; logger --rfc3164 --tcp --server 127.0.0.1 --port ${inputPort} --tag relay-check 'does it arrive?') &\n` +
  'npx mutt tap --program relay-check --limit 1';

const NOT_RUN = 'Debian has no package of it, so the checks of this project do not run this configuration.';

export const RELAY_PAGES: readonly RelayPage[] = [
  {
    file: 'send-from-rsyslog.md',
    relay: 'rsyslog',
    proof:
      'Debian and Ubuntu have no `omhttp` in their packages, but `omprog` is in all of them. `npm run check:host` runs the ' +
      'first configuration under the rsyslog of the archive, through a kill of the node. Those with `omhttp` it cannot run.',
    key: `\`\`\`sh
${MAKE_KEY}
(umask 077; printf 'X-API-KEY: %s\\n' "$(cat /etc/mutt/relay.key)" > ${SHOWN_PLACES.headerFile})
\`\`\`

The header file is for \`omprog\`; rsyslog must be able to read it. For \`omhttp\` the key is in the environment:

${environmentKey('rsyslog')}`,
    files: [
      {
        heading: 'With omprog: any rsyslog',
        about:
          'Needs `curl` 7.55 or later. Each event is a request, and the next one goes when it is stored: good for ' +
          'some tens of events a second. `queue.workerThreads` makes it more, and loses their order. `/etc/rsyslog.d/mutt.conf`:',
        language: 'text',
        text: rsyslogProgramConfiguration(at('/var/spool/rsyslog')),
      },
      {
        heading: 'The program',
        about:
          `\`${SHOWN_PLACES.programFile}\`, with mode 0755. Where AppArmor guards rsyslog, as on Ubuntu, its local profile ` +
          'must allow the program, `curl` and the header file.',
        language: 'sh',
        text: RSYSLOG_PROGRAM,
      },
      {
        heading: 'With omhttp: any version',
        about: 'One event a request, over a connection that stays open.',
        language: 'text',
        text: rsyslogSingleConfiguration(at('/var/spool/rsyslog')),
      },
      {
        heading: 'With omhttp in batches: from 8.2508 on',
        about:
          'Up to 500 events a request, compressed. Not before 8.2508: up to 8.2312 a batch that is answered 503 is lost ' +
          'and reported as sent, up to 8.2506 it needs a ruleset for what is to be sent again (`retry.ruleset`). That ' +
          'ruleset is no way out: with 8.2302, an outage of 4 s made 40,060 events out of 60, in 47,800 attempts.',
        language: 'text',
        text: rsyslogBatchConfiguration(at('/var/spool/rsyslog')),
      },
    ],
    replies: {
      columns: ['version', 'no answer, 503', '401, 413', 'a batch without `retry.ruleset`'],
      rows: [
        ['any, `omprog`', 'sent again', 'sent again', 'there are none'],
        ['8.2102 to 8.2312', 'sent again, batch off only', 'dropped', '**lost**, reported as sent'],
        ['8.2404 to 8.2506', 'sent again', 'sent again', 'may be lost'],
        ['8.2508 to 8.2602', 'sent again', 'dropped', 'sent again'],
        ['from 8.2604', 'sent again', 'dropped, into `errorfile` if set', 'sent again'],
      ],
      note:
        'Up to 8.2312 omhttp goes silent after one 4xx: it sends nothing more, and discards, until rsyslog is restarted. ' +
        'MUTT never answers it 429, and 4xx only for a wrong key (401), or a body over 64 MiB (413). So [renew ' +
        'keys](give-out-api-keys.md#renew) with an overlap, and restart rsyslog before it ends.',
    },
    watch: [
      '`queue.size` is a bound in memory, `queue.maxDiskSpace` one on the disk. When both are full, rsyslog drops.',
      'What is in memory is lost when rsyslog itself is killed; on an ordinary stop it is saved. `queue.type="Disk"` keeps ' +
        'every event on the disk, and is slower.',
      'After an outage the same event may come twice: each is counted and matched.',
      '`mmrm1stspace` takes the blank before the text away for every action that comes after it.',
      'Times of RFC 3164 have no zone; rsyslog writes that of its machine into `timestamp`.',
      '`impstats` shows `mutt queue` with its size, and `discarded.full` and `discarded.nf`, which should stay at 0.',
    ],
  },
  {
    file: 'send-from-syslog-ng.md',
    relay: 'syslog-ng and AxoSyslog',
    proof:
      '`npm run check:host` runs this configuration under the syslog-ng of the archive (3.38 in Debian 12), through a ' +
      'kill of the node. In Debian and Ubuntu `http()` is in the package `syslog-ng-mod-http`.',
    key: environmentKey('syslog-ng', MAKE_KEY),
    files: [
      {
        heading: 'Configuration',
        about:
          'Put the version of your syslog-ng into the first line. From 4.4 on, `content-compression("gzip")` in `http()` ' +
          'compresses; older ones do not know it.',
        language: 'text',
        text: syslogNgConfiguration(at('/var/lib/syslog-ng')),
      },
    ],
    replies: {
      columns: ['reply', 'what becomes of the events'],
      rows: [
        ['no answer, 503', 'kept; sent again every `time-reopen()`, 5 s here, 60 s without it'],
        ['401', 'kept, and sent again in the same way, by `response-action()`'],
        ['413', 'kept; does not come up, since a batch is at most 1 MiB'],
        ['400, when asked to be strict', 'dropped by 3.38'],
      ],
      note:
        'Without `Content-Type` in `headers()` syslog-ng says that the body is a form; MUTT reads it all the same. Without ' +
        'batching it says host, program, facility and level in [headers](../reference/relays.md#beside-the-body).',
    },
    watch: [
      '`disk-buf-size()` is the bound. When it is full, `flags(flow-control)` holds back senders over TCP; datagrams are lost.',
      '`reliable(yes)` is what survives a kill of syslog-ng. Without it events wait in memory first.',
      'More `workers()` are faster, and lose the order of events.',
      '`syslog-ng-ctl stats` shows `d_mutt` with `queued` and `dropped`; the second should stay at 0.',
    ],
  },
  {
    file: 'send-from-fluent-bit.md',
    relay: 'Fluent Bit',
    proof: NOT_RUN,
    key: environmentKey('fluent-bit', MAKE_KEY),
    files: [
      {
        heading: 'Configuration',
        about: 'For Fluent Bit 3 and later, `/etc/fluent-bit/fluent-bit.yaml`:',
        language: 'yaml',
        text: fluentBitConfiguration(at('/var/lib/fluent-bit/buffer')),
      },
    ],
    replies: {
      columns: ['reply', 'what becomes of the events'],
      rows: [
        [
          'no answer, 408, 429, 5xx',
          'sent again; by default **once**, without limit with `retry_limit: no_limits`',
        ],
        ['401', '**dropped**'],
        ['413, any other 4xx', 'dropped'],
      ],
      note:
        'A wrong key costs events. [Renew keys](give-out-api-keys.md#renew) with an overlap, and restart Fluent Bit before ' +
        'it ends.',
    },
    watch: [
      '`storage.total_limit_size` is the bound on the disk. When it is reached, the oldest events are dropped.',
      '`storage.type: filesystem` survives a kill of Fluent Bit, not always a loss of power. An input with `threaded: on` ' +
        'acknowledges before it has written.',
      'A line that the parser cannot read has no host of its own and is [parked](see-what-was-rejected.md). For RFC 5424 ' +
        'name `syslog-rfc5424` as the parser.',
      'A request may carry thousands of events and some megabytes; that is below every limit of MUTT.',
      '`curl -s 127.0.0.1:2020/api/v1/metrics` shows `retries_failed` and `dropped_records`, which should stay at 0.',
    ],
  },
  {
    file: 'send-from-vector.md',
    relay: 'Vector',
    proof: NOT_RUN,
    key: environmentKey('vector', MAKE_KEY),
    files: [
      {
        heading: 'Configuration',
        about: '`/etc/vector/vector.yaml`; `vector validate` reads it without starting:',
        language: 'yaml',
        text: vectorConfiguration(at('/var/lib/vector')),
      },
    ],
    replies: {
      columns: ['reply', 'what becomes of the events'],
      rows: [
        ['no answer, 408, 429, 5xx but 501', 'sent again, without limit by default'],
        ['401', '**dropped**'],
        ['413, any other 4xx', 'dropped'],
      ],
      note:
        'A wrong key costs events. [Renew keys](give-out-api-keys.md#renew) with an overlap, and restart Vector before it ' +
        'ends. Vector does not look at `Retry-After`; its concurrency follows the latency of replies.',
    },
    watch: [
      '`max_size` is the bound on the disk. With `when_full: block` senders over TCP are held back.',
      'Acknowledgements reach to the source: sources that can wait, such as `http_server`, confirm when it is stored here. ' +
        'Syslog itself has no confirmation.',
      'Vector knows program and pid as `appname` and `procid`; the transform gives them the names that rules go by.',
      '`component_discarded_events_total` of the sink, in `internal_metrics`, should stay at 0.',
    ],
  },
  {
    file: 'send-from-opentelemetry.md',
    relay: 'the OpenTelemetry Collector',
    proof: NOT_RUN,
    key: environmentKey('otelcol-contrib', MAKE_KEY),
    files: [
      {
        heading: 'Configuration',
        about:
          'For the contrib distribution, `/etc/otelcol-contrib/config.yaml`. It takes syslog over TCP and reads files; leave ' +
          'out what you do not need. `otelcol-contrib validate --config` reads it without starting:',
        language: 'yaml',
        text: collectorConfiguration(at('/var/lib/otelcol-contrib/mutt')),
      },
    ],
    replies: {
      columns: ['reply', 'what becomes of the events'],
      rows: [
        [
          'no answer, 429, 502, 503, 504',
          'sent again; by default for 5 minutes, without limit with `max_elapsed_time: 0`',
        ],
        ['200 with `partialSuccess`', 'done: the bad records are [parked](see-what-was-rejected.md)'],
        ['400', 'dropped by the Collector; parked here'],
        ['401, 413', '**dropped**'],
      ],
      note:
        'A wrong key costs events. [Renew keys](give-out-api-keys.md#renew) with an overlap, and restart the Collector ' +
        'before it ends. `Retry-After` is honoured.',
    },
    watch: [
      'By default `filelog` loses: it does not send again, forgets where it was, and begins at the end of a file. ' +
        '`retry_on_failure`, `storage` and `start_at` change that.',
      '`queue_size` is the bound, in requests. With `block_on_overflow` receivers wait when it is full.',
      'The `batch` processor holds events in memory that its receiver takes for delivered. Leave it out.',
      'Lines of files mostly have no priority: their events have host and text, and neither severity nor program.',
      'Times of RFC 3164 have no zone: `location` must be that of the senders.',
      '`otelcol_exporter_send_failed_log_records` and `otelcol_exporter_enqueue_failed_log_records` should stay at 0.',
    ],
  },
  {
    file: 'send-from-snmptrapd.md',
    relay: 'snmptrapd',
    about:
      `SNMP traps and informs come to UDP port ${SHOWN_TRAP_PLACES.inputPort} and go to a node at \`${host}:${port}\`, each as ` +
      'an [event](../reference/events.md#traps). snmptrapd writes a line for each, and `mutt send --trap` sends them over one ' +
      'connection, in order. What cannot be sent waits in memory, within a bound, and is sent again without limit.',
    check:
      "(sleep 3; snmptrap -v 2c -c public 127.0.0.1 '' 1.3.6.1.6.3.1.1.5.1) &\n" +
      'npx mutt tap --program snmptrapd --limit 1',
    proof:
      '`npm run check:host` runs both ways below under the snmptrapd of the archive (5.9.3 in Debian 12) with traps of ' +
      'version 1 and 2c, the first of them through a kill of the node.',
    key: `\`\`\`sh
${MAKE_KEY}
chown mutt /etc/mutt/relay.key
\`\`\`

Make the user \`mutt\` if there is none: \`useradd --system mutt\`. A key is read anew for every connection, so a renewed one needs no restart.`,
    files: [
      {
        heading: 'Configuration of snmptrapd',
        about:
          `\`${SHOWN_TRAP_PLACES.configurationFile}\`. The community is the only thing that SNMPv1 and v2c know of security: let ` +
          'only your own network reach the port.',
        language: 'text',
        text: SNMPTRAPD_CONFIGURATION,
      },
      {
        heading: 'The program',
        about:
          "`/usr/local/bin/mutt-traps`, with mode 0755. Without MIBs (`-m ''`), with numbers (`-On`) and bytes (`-Ox`), a line " +
          'can be read in one way only, and no sender can write a line of its own; `mutt` makes texts of the bytes. snmptrapd asks the DNS for names of hosts; with `-n` ' +
          'it does not, and hosts are addresses.',
        language: 'sh',
        text: trapProgram(SHOWN_TRAP_PLACES),
      },
      {
        heading: 'The unit',
        about:
          '`/etc/systemd/system/mutt-traps.service`. `systemctl disable --now snmptrapd.service snmptrapd.socket` frees the port, ' +
          'then `systemctl enable --now mutt-traps`.',
        language: 'ini',
        text: TRAP_UNIT,
      },
      {
        heading: 'One process for each trap',
        about:
          'Instead of the above, snmptrapd can start a program for each trap, and waits until it has ended. On two busy cores ' +
          '40 traps took 65 s in this way, where the program above took about 2,000 a second. So it is for a few traps a ' +
          'minute, and an outage longer than `--timeout` loses them. `snmptrapd.conf`:',
        language: 'text',
        text: trapHandleConfiguration(SHOWN_TRAP_PLACES),
      },
    ],
    replies: {
      columns: ['reply', 'what becomes of the traps'],
      rows: [
        ['no answer, a nack, 503', 'kept; sent again after at most 5 s, or when the node says'],
        ['401, 403', 'kept; asked again with the key that the file then has'],
        ['an ack with rejects', 'done: what is over 64 KiB is [parked](see-what-was-rejected.md)'],
      ],
      note: 'Without `--wait`, `send` gives up after `--timeout`, and at once when the key is refused.',
    },
    watch: [
      'While the node is away 64 MiB of traps are kept: some 50,000 to 120,000. When that is full snmptrapd has to wait, and the ' +
        'system drops what its socket cannot hold; `mutt` says so, and `RcvbufErrors` of `nstat -a Udp*` counts it.',
      'What waits is lost when `mutt send` itself is killed, and what comes while the unit starts again: a trap has no answer. ' +
        'Devices that can should send informs, which are repeated until snmptrapd has them.',
      'snmptrapd itself took about 2,000 traps a second there. What comes faster is dropped by the system, and counted as above.',
      'In a pipe of a shell, snmptrapd goes on alone when its reader has died, and loses all. The unit above ends it.',
      'A line that is no trap, such as a warning of snmptrapd, is an event of its own: host that of the machine, program ' +
        '`snmptrapd`. So is a trap that cannot be read, with `unreadable` and its text. Nothing is left out.',
      'The community is never in an event.',
      '`journalctl -u mutt-traps` shows when `mutt` waits, and why.',
    ],
  },
];

/** The page as it must be. */
export async function relayPage(page: RelayPage): Promise<string> {
  const parts = [
    `<!-- Generated from spec/docs/relay-pages.ts by: ${COMMAND} -->`,
    `# Send from ${page.relay}`,
    `${page.about ?? SYSLOG} Put your own names, and [TLS](serve-over-tls.md#on-the-relays) where the network is not yours alone.`,
    page.proof,
    '## Key',
    '`keys create` runs beside the node; the file then goes to the relay, by a way that nobody else reads.',
    page.key,
    ...page.files.flatMap(({ heading, about, language, text }) => [
      `## ${heading}`,
      about,
      `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``,
    ]),
    '## Check',
    `On the relay, with \`tap\` on the node or with its address and a key of scope \`read\`:`,
    `\`\`\`sh\n${page.check ?? SYSLOG_CHECK}\n\`\`\``,
    'It ends when the event has been decided upon. If it does not, `npx mutt failures list` shows what was rejected, and ' +
      '`mutt_ingest_auth_failures_total` in the [metrics](../reference/metrics.md) counts wrong keys.',
    '## What it does with each reply',
    table(page.replies.columns, page.replies.rows),
    page.replies.note,
    `[What relays may send](../reference/relays.md#replies) says which reply means what.`,
    '## What to watch',
    page.watch.map((line) => `- ${line}`).join('\n'),
  ];
  const options = await resolveConfig(pathOf(page));
  return format(parts.join('\n\n'), { ...options, parser: 'markdown', proseWrap: 'always' });
}

export function pathOf({ file }: RelayPage): string {
  return fileURLToPath(new URL(`../../docs/how-to/${file}`, import.meta.url));
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [columns, columns.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const started = process.argv[1];
if (started !== undefined && pathToFileURL(started).href === import.meta.url) {
  for (const page of RELAY_PAGES) writeFileSync(pathOf(page), await relayPage(page));
}
