/**
 * Every dynamic setting: its type, range, default, what it means and who reacts to a change. No I/O.
 */

export type SettingValue = number | string | boolean;
/** Only what was set, by key. */
export type SettingValues = Record<string, SettingValue>;

export interface Setting {
  /** Dotted; a unit comes last. */
  readonly key: string;
  readonly type: 'integer' | 'number' | 'choice' | 'boolean' | 'text';
  /** Of the value: `threads`, `events`, `ms`; null without one. */
  readonly unit: string | null;
  readonly default: SettingValue;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly choices?: readonly string[];
  /** Of a text. */
  readonly charsMax?: number;
  readonly description: string;
  /** Which parts of a node take a change, in words. */
  readonly reacts: string;
}

export interface Described<V extends SettingValue> extends Omit<Setting, 'key' | 'default'> {
  readonly default: V;
}

interface Words {
  description: string;
  reacts: string;
}

function integer(
  unit: string,
  fallback: number,
  minimum: number,
  maximum: number,
  words: Words,
): Described<number> {
  return { type: 'integer', unit, default: fallback, minimum, maximum, ...words };
}

function ratio(fallback: number, minimum: number, maximum: number, words: Words): Described<number> {
  return { type: 'number', unit: 'ratio', default: fallback, minimum, maximum, ...words };
}

function choice<T extends string>(fallback: T, choices: readonly T[], words: Words): Described<T> {
  return { type: 'choice', unit: null, default: fallback, choices, ...words };
}

function yesOrNo(fallback: boolean, words: Words): Described<boolean> {
  return { type: 'boolean', unit: null, default: fallback, ...words };
}

function text(fallback: string, charsMax: number, words: Words): Described<string> {
  return { type: 'text', unit: null, default: fallback, charsMax, ...words };
}

/** Parts of one pool; what a machine has room for is usually far less. */
const POOL_SIZE_MAX = 64;
/** Decoding threads of all gateway processes of a node together. */
export const INGEST_THREADS_MAX = 256;
const HOUR_MS = 3_600_000;
const MIB = 1024 ** 2;

export const SETTING_TABLE = {
  'pool.gateway.size': integer('processes', 1, 1, POOL_SIZE_MAX, {
    description: 'Gateway processes of a node; they share its ingest port.',
    reacts: 'the supervisor adds processes, or lets the last ones answer what they took and stop',
  }),
  'pool.ingest.size': integer('threads', 1, 1, POOL_SIZE_MAX, {
    description: 'Decoding threads in each gateway process.',
    reacts: 'every gateway adds threads, or lets the last ones finish what they took and stop',
  }),
  'pool.match.size': integer('threads', 1, 1, POOL_SIZE_MAX, {
    description: 'Threads that match events against the rules. More than there are partitions stay idle.',
    reacts: 'the supervisor moves as few partitions as it can; a thread that loses or gains one is renewed',
  }),
  'pool.forward.size': integer('threads', 1, 1, POOL_SIZE_MAX, {
    description: 'Threads that deliver alerts. More than there are partitions stay idle.',
    reacts: 'the supervisor moves as few partitions as it can; a thread that loses or gains one is renewed',
  }),
  'log.level': choice<'trace' | 'debug' | 'info' | 'warn' | 'error'>(
    'info',
    ['trace', 'debug', 'info', 'warn', 'error'],
    {
      description: 'Least severe log line that is written.',
      reacts: 'every process of a node',
    },
  ),
  'audit.unmatched.policy': choice<'none' | 'sample' | 'all'>('sample', ['none', 'sample', 'all'], {
    description:
      'Which unmatched events get an audit row: none; 1 %, and the first of each template of a host and hour (of a flood of ever new texts that is each); or all.',
    reacts: 'every match thread, from its next batch on',
  }),
  'unmatched.threshold': integer('events', 100, 0, 1_000_000_000, {
    description:
      'Events of one message template of one host within the window, matched by no rule, that raise one meta-alert. 0: none ever.',
    reacts: 'every match thread, from its next batch on',
  }),
  'unmatched.windowMs': integer('ms', 24 * HOUR_MS, 60_000, 30 * 24 * HOUR_MS, {
    description:
      'The window of that count, from its first event on; and how long such a template must be quiet before it may raise another meta-alert.',
    reacts: 'every match thread, from its next batch on',
  }),
  'unmatched.team': text('NETO', 100, {
    description: 'Team of meta-alerts about hosts that no team claims.',
    reacts: 'every match thread, from its next meta-alert on',
  }),
  'unmatched.alertsPerMinuteMax': integer('alerts', 10, 1, 10_000, {
    description:
      'Meta-alerts of one match thread in a minute. Past it the others wait for their turn, and one alert an hour says so.',
    reacts: 'every match thread, from its next meta-alert on',
  }),
  'unmatched.rowsMax': integer('rows', 50_000, 100, 1_000_000, {
    description:
      'Templates of hosts that are kept for people to look at. Past it those with the fewest events go; those of which nothing came for 30 days go in any case.',
    reacts: 'every match thread, within a minute',
  }),
  'mailbox.ingest.eventsMax': integer('events', 10_000_000, 1_000, 1_000_000_000, {
    description:
      'Events that may wait in one partition of the ingest mailbox, and as many in its overflow mailbox, beside the bound that follows from the memory of Redis. Past it senders get 503.',
    reacts: 'every ingest thread, from its next frame on',
  }),
  'mailbox.ingest.fairEvents': integer('events', 4_000, 0, 1_000_000, {
    description:
      'Events that may wait in one partition of the ingest mailbox before hosts which send at least the mean are diverted to its overflow mailbox: about half a second of matching. 0: none ever.',
    reacts: 'every ingest thread, from its next frame on',
  }),
  'mailbox.alert.alertsMax': integer('alerts', 1_000_000, 1_000, 100_000_000, {
    description:
      'Alerts that may wait for one destination in one partition, beside the bound that follows from the memory of Redis. Past it they go to the outbox.',
    reacts: 'every match thread, from its next attempt to commit on, that of a batch which waits included',
  }),
  'mailbox.outbox.alertsMax': integer('alerts', 1_000_000, 0, 100_000_000, {
    description:
      'Alerts of one partition that may wait in the outbox in PostgreSQL, for all destinations whose mailboxes are full. Past it matching waits. 0: there is no outbox.',
    reacts: 'every match thread, from its next attempt to commit on, that of a batch which waits included',
  }),
  'mailbox.outbox.bytesMax': integer('bytes', 1_024 * MIB, MIB, 1_024 * 1_024 * MIB, {
    description: 'Bytes of them.',
    reacts: 'every match thread, from its next attempt to commit on, that of a batch which waits included',
  }),
  'shed.mode': choice<'off' | 'dlq' | 'defer'>('off', ['off', 'dlq', 'defer'], {
    description:
      'What becomes of alerts worth least when the outbox fills. off: all wait. dlq: they are dead letters, until a person replays or discards them. defer: they are dead letters that are replayed without a person once the mailbox of their destination has room. Critical alerts, and those that resolve another, wait in any case.',
    reacts: 'every match thread, from its next attempt to commit on',
  }),
  'shed.thresholdPercent': integer('percent', 80, 1, 99, {
    description:
      'How full the outbox of a partition is, by alerts or bytes, when the first alerts are shed; more and graver ones are until it is full.',
    reacts: 'every match thread, from its next attempt to commit on',
  }),
  'rejects.key.rejectsMax': integer('rejects', 250_000, 10, 10_000_000, {
    description: 'Rejects that are kept of one API key. Past it its oldest go, counted.',
    reacts: 'every ingest thread, at the next rejects of the key; the admin process within a minute',
  }),
  'rejects.key.bytesMax': integer('bytes', 256 * MIB, MIB, 1_024 * 1_024 * MIB, {
    description: 'Bytes of rejects that are kept of one API key. Past it its oldest go, counted.',
    reacts: 'every ingest thread, at the next rejects of the key; the admin process within a minute',
  }),
  'rejects.total.rejectsMax': integer('rejects', 2_000_000, 10, 100_000_000, {
    description:
      'Rejects that are kept of all API keys together. Past it the oldest of those keys go that hold most, counted.',
    reacts: 'every ingest thread, at the next rejects; the admin process within a minute',
  }),
  'rejects.total.bytesMax': integer('bytes', 2_048 * MIB, MIB, 1_024 * 1_024 * MIB, {
    description:
      'Bytes of rejects that are kept of all API keys together. Past it the oldest of those keys go that hold most, counted.',
    reacts: 'every ingest thread, at the next rejects; the admin process within a minute',
  }),
  'match.batch.eventsMax': integer('events', 2_000, 1, 20_000, {
    description:
      'Events that are matched, stored and committed together; a single larger frame is one batch.',
    reacts: 'every match thread, from its next batch on',
  }),
  'ingest.frame.eventsMax': integer('events', 1_000, 1, 10_000, {
    description: 'Events in one frame of the ingest mailbox; a single larger part of a request is one frame.',
    reacts: 'every ingest thread, from its next frame on',
  }),
  'ingest.resend.keysMax': integer('keys', 25_000, 1_000, 10_000_000, {
    description:
      'Newest Idempotency-Keys, and ids of events, by which a resend is known, per partition; fewer where 8 % of the memory for mailboxes does not suffice.',
    reacts: 'every ingest thread, from its next frame on',
  }),
  'forward.retry.baseMs': integer('ms', 1_000, 10, HOUR_MS, {
    description:
      'Wait before an alert is sent again after its first failure; it doubles with every further one.',
    reacts: 'every forward thread, from the next failure on',
  }),
  'forward.retry.delayMaxMs': integer('ms', 60_000, 10, 24 * HOUR_MS, {
    description: 'Longest wait before an alert is sent again.',
    reacts: 'every forward thread, from the next failure on',
  }),
  'forward.retry.ageMaxMs': integer('ms', HOUR_MS / 4, 100, 24 * HOUR_MS, {
    description:
      'How long one alert is tried again, eight times at least, while its destination takes others; later alerts of its signature wait behind it. Then it is a dead letter, which is replayed without a person.',
    reacts: 'every forward thread, from the next failure on',
  }),
  'forward.breaker.baseMs': integer('ms', 500, 10, HOUR_MS, {
    description:
      'First pause of a destination that is down, until it is probed; it doubles with every failed probe.',
    reacts: 'every forward thread, from the next failed probe on',
  }),
  'forward.breaker.delayMaxMs': integer('ms', 30_000, 10, HOUR_MS, {
    description: 'Longest pause of a destination that is down.',
    reacts: 'every forward thread, from the next failed probe on',
  }),
  'remediation.isEnabled': yesOrNo(true, {
    description:
      'Whether dead letters whose reason may heal (no answer, throttled, a failing server, a refused credential) are replayed without a person.',
    reacts: 'every remediation thread, within a second',
  }),
  'remediation.rejected.isRetried': yesOrNo(false, {
    description:
      'Whether that is so for alerts too that a destination refused for good (400 and the like): for one that refuses what it should take.',
    reacts: 'every remediation thread, within a second',
  }),
  'remediation.retry.baseMs': integer('ms', 60_000, 10, 24 * HOUR_MS, {
    description:
      'Wait before a dead letter is replayed without a person for the first time; it doubles with every further one.',
    reacts: 'every remediation thread, for letters that fail from then on',
  }),
  'remediation.retry.delayMaxMs': integer('ms', 6 * HOUR_MS, 10, 30 * 24 * HOUR_MS, {
    description: 'Longest wait before a dead letter is replayed without a person.',
    reacts: 'every remediation thread, for letters that fail from then on',
  }),
  'remediation.letter.replaysMax': integer('replays', 10, 1, 1_000, {
    description:
      'Replays of one dead letter without a person. Past it it is given up, and a person has to look at it.',
    reacts: 'every remediation thread, for letters that fail from then on',
  }),
  'remediation.rate.perSecondMin': integer('letters/s', 1, 1, 10_000, {
    description:
      'Dead letters of one destination that are replayed in a second without a person, at first and after failures.',
    reacts: 'every remediation thread, at the next change of the rate',
  }),
  'remediation.rate.perSecondMax': integer('letters/s', 50, 1, 10_000, {
    description:
      'Dead letters of one destination that are replayed in a second without a person, once it takes all of them.',
    reacts: 'every remediation thread, at the next change of the rate',
  }),
  'api.rate.requestsPerSecond': integer('requests/s', 100, 1, 100_000, {
    description: 'Requests to the API that one key may make in the long run; past it 429.',
    reacts: 'the admin process, from the next request on',
  }),
  'api.rate.burst': integer('requests', 200, 1, 100_000, {
    description: 'Requests to the API that one key may make at once.',
    reacts: 'the admin process, from the next request on',
  }),
  'guard.watch.maxSeconds': integer('s', 3_600, 10, 86_400, {
    description: 'Longest time that a guarded change may be watched.',
    reacts: 'the admin process, at the next guarded change',
  }),
  'alerts.own.policy': choice<'on' | 'off'>('on', ['on', 'off'], {
    description: 'Whether MUTT alerts about itself.',
    reacts: 'the supervisor, within a second; what is open then is resolved',
  }),
  'alerts.own.team': text('NETO', 100, {
    description: 'Team of alerts about MUTT itself: routes of destinations go by it.',
    reacts: 'the supervisor, from the next alert on',
  }),
  'alerts.own.severity': integer('severity', 2, 0, 7, {
    description: 'Severity (RFC 5424) of alerts about MUTT itself.',
    reacts: 'the supervisor, from the next alert on',
  }),
  'alerts.own.handling': choice<'Page_and_ticket' | 'Page_only' | 'Ticket_only'>(
    'Page_and_ticket',
    ['Page_and_ticket', 'Page_only', 'Ticket_only'],
    {
      description: 'Handling of alerts about MUTT itself.',
      reacts: 'the supervisor, from the next alert on',
    },
  ),
  'alerts.own.destinationDownMs': integer('ms', 300_000, 0, 24 * HOUR_MS, {
    description: 'How long a destination takes no alerts before the others are told.',
    reacts: 'the supervisor, within a second',
  }),
  'alerts.own.storeAwayMs': integer('ms', 60_000, 0, 24 * HOUR_MS, {
    description: 'How long Redis or PostgreSQL is away before it is told.',
    reacts: 'the supervisor, within a second',
  }),
  'alerts.own.imbalanceMs': integer('ms', 60_000, 0, 24 * HOUR_MS, {
    description: 'How long the books of a partition do not balance before it is told.',
    reacts: 'the supervisor, within a second',
  }),
  'alerts.own.partitionPausedMs': integer('ms', 300_000, 0, 24 * HOUR_MS, {
    description:
      'How long a mailbox of a partition is held back by what is in it, or by a full one behind it, before it is told.',
    reacts: 'the supervisor, within a second',
  }),
  'alerts.own.clockJumpMs': integer('ms', 5_000, 100, 24 * HOUR_MS, {
    description: 'By how much the clock of the machine is set, at once, to be told.',
    reacts: 'the supervisor, within a second',
  }),
  'alerts.own.quarantinedPerHourMax': integer('events', 10, 0, 1_000_000_000, {
    description: 'Events of a node that may end in quarantine within an hour before it is told.',
    reacts: 'the supervisor, within a second',
  }),
  'alerts.own.deadLettersPerHourMax': integer('alerts', 100, 0, 1_000_000_000, {
    description: 'Alerts of a node that may become dead letters within an hour before it is told.',
    reacts: 'the supervisor, within a second',
  }),
  'alerts.own.restartsPerHourMax': integer('restarts', 5, 0, 1_000_000, {
    description: 'Restarts of one thread or process by a fault of its own within an hour before it is told.',
    reacts: 'the supervisor, within a second',
  }),
  'alerts.own.mailboxFillPercent': integer('percent', 80, 20, 100, {
    description: 'How full the fullest partition of a mailbox is to be told.',
    reacts: 'the supervisor, within some seconds',
  }),
  'alerts.own.resolveAfterMs': integer('ms', 60_000, 0, 24 * HOUR_MS, {
    description: 'How long a trouble of MUTT must be over before it is told to be.',
    reacts: 'the supervisor, within a second',
  }),
  'alerts.own.postsPerMinuteMax': integer('posts', 30, 1, 10_000, {
    description: 'POSTs of alerts about MUTT itself in a minute, of one node. Past it they wait.',
    reacts: 'the supervisor, from the next alert on',
  }),
  'slo.ingestor.targetRatio': ratio(0.999, 0.5, 0.999999, {
    description: 'Share of requests to the ingest port that must not fail by a fault of ours.',
    reacts: 'the supervisor, at the next question',
  }),
  'slo.alerter.targetRatio': ratio(0.999, 0.5, 0.999999, {
    description: 'Share of events that must be decided, and not end in quarantine.',
    reacts: 'the supervisor, at the next question',
  }),
  'slo.forwarder.targetRatio': ratio(0.995, 0.5, 0.999999, {
    description: 'Share of deliveries that must not fail by a fault of the destination or on the way to it.',
    reacts: 'the supervisor, at the next question',
  }),
} as const satisfies Record<string, Described<SettingValue>>;

export type SettingKey = keyof typeof SETTING_TABLE;
/** What is in effect, by key. */
export type Settings = {
  [K in SettingKey]: (typeof SETTING_TABLE)[K] extends Described<infer V> ? V : never;
};
/** What a node's environment says of it. */
export type NodeDefaults = Partial<Settings>;
