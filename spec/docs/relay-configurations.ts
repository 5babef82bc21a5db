/**
 * The configurations of relays that the how-to pages show and that check:host runs: whole files, as text, with the few
 * places that differ between machines left open.
 *
 * It is not the prose of the pages; that is in relay-pages.ts. Invariants: no configuration holds a key, each names where
 * it is read from; each sends again without limit, and keeps what waits within a bound: on a disk, but for snmptrapd.
 */
import { TRAP_LOG_FORMAT } from '../../gateways/cli/traps/trap-reader.ts';

/** What differs between machines. */
export interface Places {
  /** Of the node: without a path or a slash at the end. */
  host: string;
  port: number;
  /** Where the relay listens on loopback for syslog over TCP; snmptrapd, everywhere for traps. */
  inputPort: number;
  /** The relay's own directory for what waits. */
  stateDir: string;
  /** A file with the one line `X-API-KEY: <key>`. */
  headerFile: string;
  /** Of the program that rsyslog starts. */
  programFile: string;
}

/** As the pages show them. */
export const SHOWN_PLACES = {
  host: 'mutt.example.net',
  port: 8080,
  inputPort: 5140,
  headerFile: '/etc/mutt/relay.header',
  programFile: '/usr/local/bin/mutt-omprog',
} as const;

/** What snmptrapd and `mutt send` are started with. */
export interface TrapPlaces extends Pick<Places, 'host' | 'port' | 'inputPort'> {
  configurationFile: string;
  keyFile: string;
  /** The `mutt` of an installation. */
  mutt: string;
  snmptrapd: string;
}

export const SHOWN_TRAP_PLACES: TrapPlaces = {
  host: SHOWN_PLACES.host,
  port: SHOWN_PLACES.port,
  inputPort: 162,
  configurationFile: '/etc/mutt/snmptrapd.conf',
  keyFile: '/etc/mutt/relay.key',
  mutt: '/opt/mutt/supervisors/bootstrap.mjs',
  snmptrapd: '/usr/sbin/snmptrapd',
};

/** The variable that holds the key where a relay cannot read it from a file of its own. */
export const KEY_VARIABLE = 'MUTT_INGEST_KEY';

const INGEST_PATH = '/api/v2/ingest';

const ingestUrl = ({ host, port }: Places): string => `http://${host}:${port}${INGEST_PATH}`;

/** One JSON event to a line. mmrm1stspace takes the blank away that RFC 3164 has before the text. */
const RSYSLOG_EVENT = `module(load="mmrm1stspace")

template(name="mutt" type="list") {
  constant(value="{")
  property(outname="hostname" name="hostname" format="jsonf")
  constant(value=",")
  property(outname="timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  constant(value=",")
  property(outname="program" name="programname" format="jsonf")
  constant(value=",")
  property(outname="pid" name="procid" format="jsonf")
  constant(value=",")
  property(outname="syslog_severity" name="syslogseverity" format="jsonf")
  constant(value=",")
  property(outname="syslog_facility" name="syslogfacility" format="jsonf")
  constant(value=",")
  property(outname="message" name="msg" format="jsonf")
  constant(value="}\\n")
}`;

const rsyslogQueue = ({
  stateDir,
}: Places): string => `  # Without limit, at first every 2 s, at most every 30 s.
  action.resumeRetryCount="-1" action.resumeInterval="2" action.resumeIntervalMax="30"
  # In memory while all is well, on the disk when it is not.
  queue.type="LinkedList" queue.size="100000" queue.filename="mutt"
  queue.spoolDirectory="${stateDir}" queue.maxDiskSpace="1g"
  queue.saveOnShutdown="on"`;

/** Any rsyslog that has omprog, which all packages have. */
export function rsyslogProgramConfiguration(places: Places): string {
  return `module(load="imtcp")
module(load="omprog")
${RSYSLOG_EVENT}

input(type="imtcp" address="127.0.0.1" port="${places.inputPort}")

action(type="mmrm1stspace")
action(
  type="omprog" name="mutt" template="mutt"
  binary="${places.programFile} ${ingestUrl(places)} ${places.headerFile}"
  # An event counts as sent when the program has said OK.
  confirmMessages="on" confirmTimeout="60000"
${rsyslogQueue(places)}
)
`;
}

/** What rsyslog starts: reads an event to a line, and says OK only when the node has stored it. */
export const RSYSLOG_PROGRAM = `#!/bin/sh
# mutt-omprog URL HEADER-FILE: posts each line, and says OK when it is stored. To anything else rsyslog sends it again.
echo OK
while IFS= read -r event; do
  status=$(printf '%s\\n' "$event" |
    curl --silent --max-time 30 --output /dev/null --write-out '%{http_code}' \\
      --header @"$2" --header 'Content-Type: application/json' --data-binary @- "$1")
  case "$status" in
    2??) echo OK ;;
    *) echo "HTTP status $status" ;;
  esac
done
`;

function rsyslogHttpConfiguration(places: Places, ...options: string[]): string {
  return `module(load="imtcp")
module(load="omhttp")
${RSYSLOG_EVENT}

input(type="imtcp" address="127.0.0.1" port="${places.inputPort}")

action(type="mmrm1stspace")
action(
  type="omhttp" name="mutt" template="mutt"
  server="${places.host}" serverport="${places.port}" usehttps="off" restpath="${INGEST_PATH.slice(1)}"
  httpheaders=[\`echo X-API-KEY: $${KEY_VARIABLE}\`]
${options.map((option) => `  ${option}\n`).join('')}${rsyslogQueue(places)}
)
`;
}

/** Any rsyslog that has omhttp. */
export function rsyslogSingleConfiguration(places: Places): string {
  return rsyslogHttpConfiguration(places, 'batch="off"');
}

/** From 8.2508 on, where the queue itself sends a batch again. */
export function rsyslogBatchConfiguration(places: Places): string {
  return rsyslogHttpConfiguration(
    places,
    'batch="on" batch.format="newline" batch.maxsize="500" compress="on"',
    'queue.dequeueBatchSize="500"',
  );
}

/** From syslog-ng 3.38 on. */
export function syslogNgConfiguration(places: Places): string {
  return `@version: 3.38

options { keep-hostname(yes); frac-digits(3); };

source s_relay {
  network(transport("tcp") ip("127.0.0.1") port(${places.inputPort}));
};

destination d_mutt {
  http(
    url("${ingestUrl(places)}")
    method("POST")
    headers("Content-Type: application/x-ndjson", "X-API-KEY: \`${KEY_VARIABLE}\`")
    body('$(format-json --scope none
      hostname="$HOST" timestamp="$ISODATE" program="$PROGRAM" pid="$PID"
      syslog_severity=int($LEVEL_NUM) syslog_facility=int($FACILITY_NUM)
      message="$MESSAGE")')
    delimiter("\\n")
    # One request a second, or 500 events, or 1 MiB.
    batch-lines(500) batch-bytes(1048576) batch-timeout(1000)
    workers(1)
    timeout(30)
    time-reopen(5)
    # A key that is wrong today may be right tomorrow; what was refused is kept.
    response-action(401 => disconnect, 403 => disconnect)
    retries(1000000)
    disk-buffer(
      reliable(yes)
      disk-buf-size(1073741824)
      mem-buf-size(67108864)
      dir("${places.stateDir}")
    )
  );
};

log { source(s_relay); destination(d_mutt); flags(flow-control); };
`;
}

/** From Fluent Bit 3 on. */
export function fluentBitConfiguration(places: Places): string {
  return `service:
  flush: 1
  parsers_file: /etc/fluent-bit/parsers.conf
  http_server: on
  http_listen: 127.0.0.1
  http_port: 2020
  # Sends again after 1 s at first, after 30 s at most.
  scheduler.base: 1
  scheduler.cap: 30
  storage.path: ${places.stateDir}
  storage.sync: full
  # With checksums, what was being written when Fluent Bit died is thrown away.
  storage.checksum: off
  storage.backlog.mem_limit: 64M

pipeline:
  inputs:
    - name: syslog
      mode: tcp
      listen: 127.0.0.1
      port: ${places.inputPort}
      parser: syslog-rfc3164
      storage.type: filesystem

  outputs:
    - name: http
      match: '*'
      host: ${places.host}
      port: ${places.port}
      uri: ${INGEST_PATH}
      header: X-API-KEY \${${KEY_VARIABLE}}
      format: json_lines
      json_date_key: timestamp
      json_date_format: iso8601
      compress: gzip
      retry_limit: no_limits
      storage.total_limit_size: 1G
`;
}

/** From Vector 0.30 on. */
export function vectorConfiguration(places: Places): string {
  return `data_dir: ${places.stateDir}

sources:
  relay:
    type: syslog
    mode: tcp
    address: 127.0.0.1:${places.inputPort}

transforms:
  named:
    type: remap
    inputs: [relay]
    source: |
      if exists(.appname) { .program = del(.appname) }
      if exists(.procid) { .pid = del(.procid) }

sinks:
  mutt:
    type: http
    inputs: [named]
    uri: ${ingestUrl(places)}
    method: post
    encoding:
      codec: json
    framing:
      method: newline_delimited
    compression: gzip
    request:
      headers:
        X-API-KEY: \${${KEY_VARIABLE}}
      timeout_secs: 60
      retry_max_duration_secs: 30
    batch:
      max_bytes: 1048576
      timeout_secs: 1
    buffer:
      type: disk
      max_size: 1073741824
      when_full: block
    acknowledgements:
      enabled: true
    healthcheck:
      enabled: false
`;
}

/** From version 0.130 of the contrib distribution on. */
export function collectorConfiguration(places: Places): string {
  return `extensions:
  file_storage/mutt:
    directory: ${places.stateDir}
    create_directory: true
    fsync: true

receivers:
  syslog:
    protocol: rfc3164
    location: UTC
    tcp:
      listen_address: 127.0.0.1:${places.inputPort}
    retry_on_failure:
      enabled: true
      max_elapsed_time: 0
  filelog:
    include: [/var/log/remote/*.log]
    start_at: beginning
    storage: file_storage/mutt
    retry_on_failure:
      enabled: true
      max_elapsed_time: 0
    operators:
      - type: syslog_parser
        protocol: rfc3164
        location: UTC
        allow_skip_pri_header: true
      - type: move
        if: attributes.message != nil
        from: attributes.message
        to: body

exporters:
  otlphttp/mutt:
    endpoint: http://${places.host}:${places.port}
    headers:
      X-API-KEY: \${env:${KEY_VARIABLE}}
    compression: gzip
    timeout: 60s
    retry_on_failure:
      enabled: true
      initial_interval: 1s
      max_interval: 30s
      max_elapsed_time: 0
    sending_queue:
      enabled: true
      storage: file_storage/mutt
      queue_size: 10000
      block_on_overflow: true

service:
  extensions: [file_storage/mutt]
  pipelines:
    logs:
      receivers: [syslog, filelog]
      exporters: [otlphttp/mutt]
`;
}

/** Any Net-SNMP from 5.0 on. */
export const SNMPTRAPD_CONFIGURATION = `# Whose traps are taken. For SNMPv3: createUser and authUser log.
authCommunity log public

# A line to a trap, in the form that mutt send --trap reads. Bytes are not broken into lines.
format print ${TRAP_LOG_FORMAT}
[snmp] hexOutputLength 0
`;

/** Both run for as long as the other does; whatever starts them starts them again. */
export function trapProgram(places: TrapPlaces): string {
  return `#!/bin/bash
# mutt is the process that counts: when it ends, the unit ends snmptrapd too; when snmptrapd ends, so does mutt.
exec ${places.mutt} send --trap --ws --wait --url http://${places.host}:${places.port} \\
  --key-file ${places.keyFile} - \\
  < <(exec ${places.snmptrapd} -f -Lo -C -c ${places.configurationFile} -m '' -On -Ox udp:${places.inputPort})
`;
}

/** A process for each trap. */
export function trapHandleConfiguration({ mutt, host, port, keyFile }: TrapPlaces): string {
  const command = `${mutt} send --trap --timeout 10 --url http://${host}:${port} --key-file ${keyFile} -`;
  return `authCommunity log,execute public
traphandle default ${command}
`;
}

export const TRAP_UNIT = `[Unit]
Description=SNMP traps to MUTT
Wants=network-online.target
After=network-online.target

[Service]
User=mutt
AmbientCapabilities=CAP_NET_BIND_SERVICE
StateDirectory=mutt-traps
Environment=SNMP_PERSISTENT_DIR=/var/lib/mutt-traps
ExecStart=/usr/local/bin/mutt-traps
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
`;
