/**
 * Random rules and events that meet often: what rules ask for is cut from the events and changed a little, in the ways
 * in which matchers go wrong. Everything follows from the seed.
 */
import { seededRandom } from '../../../supervisors/torture/random.ts';
import type { NormalizedEvent } from '../../../actors/event.ts';
import { canonicalHostname } from '../../../actors/hostname.ts';
import type { RuleInput } from '../../../actors/match/rule.ts';
import { eventOf, receivedAtMs } from './fixtures.ts';

/** Letters whose cases are not two, not one for one, or beyond the basic plane; composed, and not. */
// prettier-ignore
const WORDS = [
  'link', 'LINK', 'Interface', 'GigabitEthernet0/1', 'down', 'up', '%LINK-3-UPDOWN:', 'error', 'Error', 'failed', 'from',
  'disk', '10.0.0.1', '42', '007', 'a.b', '(x)', '[1]', '{2}', '\\d', '^', '$x', 'a|b', 'x*', '--', '"', '/',
  'Kelvin', '\u212aelvin', 'straße', 'STRASSE', 'STRA\u1e9eE', '\u017ftop', 'stop', 'STOP', 'ΣΑΣ', 'σας', 'σασ', 'ΟΔΟΣ',
  '\u212b', 'Å', 'å', '\u2126', 'Ω', 'ω', 'İstanbul', 'istanbul', 'ISTANBUL', 'ısı', '\u01c5', '\u01c6', '\u01c4', 'ﬀ', 'ff',
  '\u{10400}\u{10401}', '\u{10428}\u{10429}', '\u{1e900}', '\u{1e922}', 'e\u0301', 'é', 'É', '\u00b5', 'μ', 'Μ', 'ϐ', 'β',
  '\u0390', '\u1fd3', '\ufb05', '\ufb06', '\u1c80', 'в', 'В', '\u0345', 'ι', '\u1fb3', '\u1fbc', '\u13a0', '\uab70', '\u{1f525}', '\u{1f525}\ufe0f', '\u00a0', '\u3000',
];
const JOINTS = [' ', ' ', ' ', ' ', ' ', '', ': ', '\n', '\r\n', '\t', '\u2028'];
// prettier-ignore
const HOSTS = [
  'core-1.example.net', 'core-2.example.net', 'core-1', 'CORE-10.example.net', 'edge-7.example.org', 'sw-1', '\u017fw-1',
  'οδος', 'οδοσ', 'straße-1', 'k-1', '\u{10428}-1', '\u{1f525}', '2001:db8::1', '10.0.0.1', 'x',
];
const PROGRAMS = [
  'sshd',
  'SSHD',
  '\u017fshd',
  'kernel',
  '\u212aernel',
  '%LINK-3-UPDOWN',
  'straße',
  'οδοσ',
  'a.b',
  'a*b',
];
// prettier-ignore
const OIDS = [
  '1', '1.3', '1.3.9', '1.3.99', '1.3.6', '1.3.6.1', '1.3.6.1.4.1.9', '1.3.6.1.4.1.99', '1.3.6.1.4.1.9.9.1', '1.3.6.1.4.1.9.0',
  '1.3.6.1.4.1.4294967295', '2', '0.0',
];
// prettier-ignore
const ADDRESSES = [
  '10.0.0.1', '10.0.0.255', '10.0.1.0', '10.128.0.1', '11.0.0.1', '192.0.2.7', '255.255.255.255', '0.0.0.0', '2001:db8::1',
  '2001:db8:0:1::5', '2001:db9::', 'fe80::1', '::1', '::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::ffff:0:a00:1',
];
const HANDLINGS = ['Page_and_ticket', 'Page_only', 'Ticket_only', 'Ignore'] as const;
const TIMES = [-3_600_000, -1, 0, 1, 3_600_000];

export type RandomRule = Partial<RuleInput>;

export class RulesThatMeet {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  event(): NormalizedEvent {
    return eventOf({
      receivedAtMs: receivedAtMs + this.#pick(TIMES),
      hostname: canonicalHostname(this.#pick(HOSTS)),
      message: this.#chance(0.02) ? '' : this.#message(1 + this.#below(9)),
      ...(this.#chance(0.8) && { severity: this.#below(8) }),
      ...(this.#chance(0.7) && { facility: this.#below(24) }),
      ...(this.#chance(0.7) && { program: this.#pick(PROGRAMS) }),
      ...(this.#chance(0.5) && { trapOid: this.#pick(OIDS) }),
      ...(this.#chance(0.7) && { sourceIp: this.#pick(ADDRESSES) }),
    });
  }

  /** Of 64 KiB, as long as a record may be. */
  longEvent(): NormalizedEvent {
    const parts: string[] = [];
    for (let chars = 0; chars < 60_000; chars += parts.at(-1)!.length) parts.push(this.#message(50));
    return { ...this.event(), message: parts.join(' ').slice(0, 65_536).toWellFormed() };
  }

  /** As an operator may write it; what it asks for is likely in one of the events. Without repeats for long messages. */
  rule(events: readonly NormalizedEvent[], isRepeatAllowed = true): RandomRule {
    const rule: RandomRule = {
      priority: this.#pick([0, 1, 100, 100, 100, 101, 1_000_000]),
      continue: this.#chance(0.6),
      is_active: !this.#chance(0.03),
      prod_handling: this.#pick(HANDLINGS),
      dev_handling: this.#pick(HANDLINGS),
      team_assignment: 'NETO',
      case_sensitive: this.#chance(0.25),
    };
    while (Object.keys(rule).length < 8) {
      if (this.#chance(0.75)) this.#addMessage(rule, this.#pick(events), isRepeatAllowed);
      if (this.#chance(0.12)) rule.host = this.#host();
      if (this.#chance(0.08)) rule.program = this.#recased(this.#pick(PROGRAMS));
      if (this.#chance(0.12)) {
        rule.syslog_severity = this.#below(8);
        rule.severity_op = this.#pick(['=', '<=', '>=']);
      }
      if (this.#chance(0.04)) rule.facility = this.#below(24);
      if (this.#chance(0.06)) rule.network = this.#network();
      if (this.#chance(0.06) && rule.match_type !== 'oid_prefix') rule.trap_oid = this.#oid();
    }
    if (this.#chance(0.08)) this.#addWindow(rule);
    return rule;
  }

  #addMessage(rule: RandomRule, { message }: NormalizedEvent, isRepeatAllowed: boolean): void {
    if (this.#chance(0.15)) {
      rule.match_type = 'oid_prefix';
      const oid = `${this.#oid()}${this.#pick(['', '', '.', '.*'])}`;
      if (this.#chance(0.5)) rule.trap_oid = oid;
      else rule.match_string = oid;
      return;
    }
    const piece = this.#pieceOf(message);
    rule.match_type = this.#chance(0.4) ? 'regex' : 'contains';
    rule.match_string =
      rule.match_type === 'regex' ? this.#expression(piece, isRepeatAllowed) : this.#recased(piece);
  }

  #addWindow(rule: RandomRule): void {
    const [from, until] = [this.#below(TIMES.length - 1), 1 + this.#below(TIMES.length - 1)];
    if (this.#chance(0.7)) rule.active_from = this.#time(TIMES[from]!);
    if (this.#chance(0.7) && (rule.active_from === undefined || from < until)) {
      rule.active_until = this.#time(TIMES[until]!);
    }
  }

  /** The same moment in one of several zones. */
  #time(afterMs: number): string {
    const hours = this.#pick([0, 2, -5]);
    const local = new Date(receivedAtMs + afterMs + hours * 3_600_000).toISOString().slice(0, -1);
    return local + (hours === 0 ? 'Z' : `${hours < 0 ? '-' : '+'}0${Math.abs(hours)}:00`);
  }

  #message(words: number): string {
    let message = '';
    for (let at = 0; at < words; at++) {
      if (at > 0) message += this.#pick(JOINTS);
      message += this.#chance(0.1) ? String(this.#below(100_000)) : this.#pick(WORDS);
    }
    return message;
  }

  /** Some code points in a row, at times of no event; never blank, as no rule's text may be. */
  #pieceOf(message: string): string {
    const points = [...(this.#chance(0.15) ? this.#message(2) : message)];
    const from = this.#below(points.length);
    const piece = points.slice(from, from + 1 + this.#below(this.#chance(0.4) ? 2 : 12)).join('');
    return /\S/.test(piece) ? piece : this.#pick(['e', 'o', 'i', 's', '1']);
  }

  #host(): string {
    const points = [...this.#recased(this.#pick(HOSTS))];
    if (this.#chance(0.5)) return points.join('') + (this.#chance(0.1) ? '.' : '');
    for (let times = 1 + this.#below(2); times > 0; times--) {
      const at = this.#below(points.length);
      if (this.#chance(0.4)) points[at] = '?';
      else points.splice(at, this.#below(points.length), '*');
    }
    return points.join('');
  }

  #oid(): string {
    return `${this.#chance(0.2) ? '.' : ''}${this.#pick(OIDS)}`;
  }

  #network(): string {
    const address = this.#pick(ADDRESSES);
    const isV4 = address.includes('.');
    if (this.#chance(0.1)) return address;
    const edges = isV4 ? [0, 8, 9, 16, 24, 31, 32] : [0, 1, 16, 32, 33, 63, 64, 127, 128];
    const bits = this.#chance(0.3) ? this.#below(isV4 ? 33 : 129) : this.#pick(edges);
    return isV4 && this.#chance(0.2) ? `::ffff:${address}/${96 + bits}` : `${address}/${bits}`;
  }

  /** Letters in another case, or another letter that folds to the same. */
  #recased(text: string): string {
    const way = this.#below(5);
    if (way === 0) return text;
    if (way === 1) return text.toUpperCase();
    if (way === 2) return text.toLowerCase();
    return [...text].map((point) => (this.#chance(0.4) ? this.#sibling(point) : point)).join('');
  }

  #sibling(point: string): string {
    const siblings: Record<string, string> = { k: '\u212a', s: '\u017f', ß: '\u1e9e', å: '\u212b', ω: '\u2126', μ: '\u00b5', σ: 'ς', i: 'ı', I: 'İ' }; // prettier-ignore
    return this.#pick([point.toUpperCase(), point.toLowerCase(), siblings[point] ?? point]);
  }

  /** What takes the piece, or nearly: of characters, classes, groups, alternatives, repeats and assertions. */
  #expression(piece: string, isRepeatAllowed: boolean): string {
    // More than one that is unbounded may take the judge long on a long message, and the judge is not on trial.
    let unbounded = isRepeatAllowed ? 2 : 0;
    const quantifier = (): string => {
      if (unbounded === 0 || this.#chance(0.4)) return this.#bounded();
      unbounded--;
      return this.#pick(['*', '+', '{1,}', '{2,}']) + (this.#chance(0.2) ? '?' : '');
    };
    const parts: string[] = [];
    const points = [...piece].slice(0, 10);
    const point = (): string => this.#pick(this.#chance(0.5) ? points : WORDS.map((word) => word[0]!));
    if (this.#chance(0.1)) parts.push('^');
    for (let at = 0; at < points.length; at++) {
      const atom = this.#atom(points[at]!);
      const roll = this.#random();
      if (roll < 0.12) parts.push(atom + quantifier());
      else if (roll < 0.18) parts.push(`(?:${atom}|${this.#atom(this.#pick(WORDS)[0]!)})`);
      else if (roll < 0.22) parts.push(`(${this.#literal(this.#pick(WORDS))}|${atom}|)`);
      else if (roll < 0.25)
        parts.push(`(?<n${at}>${atom}${this.#literal(this.#pick(['', 'x', 'ſ']))})${quantifier()}`);
      else if (roll < 0.28) parts.push(`${this.#pick(['\\b', '\\B'])}${atom}`);
      else if (roll < 0.32)
        parts.push(
          `(?:${atom}${this.#bounded()}${this.#atom(point())}?|${this.#atom(point())})${this.#bounded()}`,
        );
      else parts.push(atom);
    }
    if (this.#chance(0.1)) parts.push('$');
    const expression = parts.join('');
    return this.#chance(0.15) ? `${expression}|${this.#literal(this.#pick(WORDS))}` : expression;
  }

  #bounded(): string {
    return this.#pick(['?', '{1}', '{1,2}', '{0,3}']) + (this.#chance(0.2) ? '?' : '');
  }

  #atom(point: string): string {
    const roll = this.#random();
    if (roll < 0.55) return this.#literal(point);
    if (roll < 0.63) return '.';
    if (roll < 0.75) return this.#pick(['\\w', '\\W', '\\d', '\\D', '\\s', '\\S']);
    if (roll < 0.8)
      return this.#pick([
        '\\p{L}',
        '\\P{L}',
        '\\p{Lu}',
        '\\P{Lu}',
        '\\p{Ll}',
        '\\P{Ll}',
        '\\p{Script=Greek}',
      ]);
    if (roll < 0.9) return this.#class(point);
    const hex = point.codePointAt(0)!.toString(16);
    return hex.length > 4 || this.#chance(0.5) ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`;
  }

  #class(point: string): string {
    const code = point.codePointAt(0)!;
    const from = String.fromCodePoint(Math.max(1, code - this.#below(3))).toWellFormed();
    const to = String.fromCodePoint(Math.max(code, from.codePointAt(0)!) + this.#below(3));
    const inside = [
      `${this.#inClass(from)}-${this.#inClass(to.isWellFormed() ? to : from)}`,
      this.#inClass(point) + this.#inClass(this.#pick(WORDS)[0]!.toWellFormed()),
      this.#pick([
        'a-z',
        'A-Z',
        'a-zA-Z0-9_',
        '\\d',
        '\\w\\s',
        '\\W',
        '\\S',
        '\\p{L}',
        '\\P{Lu}',
        'α-ω',
        '\\x41-\\x5a',
        '\\-',
        '\\b',
      ]),
      '',
    ];
    return `[${this.#chance(0.3) ? '^' : ''}${this.#pick(inside)}${this.#chance(0.3) ? this.#pick(inside) : ''}]`;
  }

  #inClass(text: string): string {
    return text.replace(/[\\\]^[-]/g, '\\$&');
  }

  #literal(text: string): string {
    return this.#recased(text.toWellFormed()).replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)]!;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }
}
