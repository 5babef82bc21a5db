/**
 * A network that talks: steady noise of 60 devices with bursts, floods and incidents in it, at a given mean rate.
 *
 * Pure: time is given, chance is seeded, nothing is sent. It advances in fixed steps of its own, so the same seed, rate
 * and start give the same events however often it is asked. Invariant: over some tens of seconds the mean is the rate;
 * what a flood takes is saved on noise afterwards.
 */
import { Dice } from './dice.ts';
import { bgpLoss } from './behaviours/bgp-loss.ts';
import type { Behaviour } from './behaviours/behaviour.ts';
import { burst } from './behaviours/burst.ts';
import { deviceRestart } from './behaviours/device-restart.ts';
import { failingDisk } from './behaviours/failing-disk.ts';
import { flappingLink } from './behaviours/flapping-link.ts';
import { flood } from './behaviours/flood.ts';
import { sshAttack } from './behaviours/ssh-attack.ts';
import type { GeneratedEvent, PlannedUtterance, Utterance } from './generated-event.ts';
import { FIREWALL_SHAPES } from './messages/firewall.ts';
import { IOS_SHAPES } from './messages/ios.ts';
import { JUNOS_SHAPES } from './messages/junos.ts';
import { LINUX_SHAPES } from './messages/linux.ts';
import { NXOS_SHAPES } from './messages/nxos.ts';
import type { Shape } from './messages/shape.ts';
import { TRAP_SHAPES } from './messages/traps.ts';
import { WIRELESS_SHAPES } from './messages/wireless.ts';
import { buildTopology } from './topology.ts';
import type { Device, Platform, Topology } from './topology.ts';

export interface NetworkGeneratorOptions {
  /** Any whole number. */
  seed: number;
  /** Events per second, on average. */
  ratePerSecond: number;
  /** When it begins, ms since 1970 UTC. */
  startMs: number;
}

export const BEHAVIOURS: readonly Behaviour[] = [
  flappingLink,
  sshAttack,
  bgpLoss,
  failingDisk,
  deviceRestart,
  burst,
  flood,
];

/** What happens in the first seconds whatever the dice say, so that a watcher need not wait. */
const OPENING: readonly { behaviour: Behaviour; atMs: number }[] = [
  { behaviour: flappingLink, atMs: 500 },
  { behaviour: sshAttack, atMs: 3_000 },
  { behaviour: bgpLoss, atMs: 6_000 },
];

const STEP_MS = 50;
/** Part of a network device's noise that is traps. */
const TRAP_SHARE = 0.08;
/** Noise never falls below this part of the rate, however much a flood has taken. */
const NOISE_SHARE_MIN = 0.3;
/** Nor does it rise above, so that a pause is not followed by a wall. */
const NOISE_SHARE_MAX = 1.5;

const SHAPES: Readonly<Record<Platform, readonly Shape[]>> = {
  ios: IOS_SHAPES,
  nxos: NXOS_SHAPES,
  junos: JUNOS_SHAPES,
  asa: FIREWALL_SHAPES,
  wlc: WIRELESS_SHAPES,
  linux: LINUX_SHAPES,
};

/** Firewalls talk most, access switches least. */
const TALKATIVENESS: Readonly<Record<Device['type'], number>> = {
  firewall: 6,
  server: 3,
  router: 2,
  wireless: 2,
  switch: 1,
};

interface DueUtterance extends PlannedUtterance {
  dueMs: number;
}

export class NetworkGenerator {
  readonly topology: Topology;
  readonly #dice: Dice;
  readonly #ratePerSecond: number;
  readonly #startMs: number;
  readonly #speakers: { weight: number; device: Device }[];
  /** Ms since the start, up to which everything has been made. */
  #doneMs = 0;
  /** Events owed by the rate and not yet made; negative after a flood. */
  #credit = 0;
  /** Fractions of noise events left over by the last step. */
  #noise = 0;
  #planned: DueUtterance[] = [];
  #openings = [...OPENING];

  constructor(options: NetworkGeneratorOptions) {
    this.#dice = new Dice(options.seed);
    this.topology = buildTopology(this.#dice);
    this.#ratePerSecond = options.ratePerSecond;
    this.#startMs = options.startMs;
    this.#speakers = this.topology.devices.map((device) => ({ device, weight: TALKATIVENESS[device.type] }));
  }

  /** All events up to the given moment (ms since 1970 UTC) that were not given yet, in order of their time. */
  until(nowMs: number): GeneratedEvent[] {
    const events: GeneratedEvent[] = [];
    while (this.#doneMs + STEP_MS <= nowMs - this.#startMs) this.#step(events);
    return events;
  }

  #step(events: GeneratedEvent[]): void {
    const fromMs = this.#doneMs;
    const toMs = fromMs + STEP_MS;
    this.#doneMs = toMs;
    const owed = (this.#ratePerSecond * STEP_MS) / 1_000;
    this.#credit += owed;
    this.#begin(fromMs, owed);
    const made = this.#takeDue(toMs);
    this.#credit -= made.length;

    this.#noise += Math.min(Math.max(this.#credit, owed * NOISE_SHARE_MIN), owed * NOISE_SHARE_MAX);
    const noise = Math.floor(this.#noise);
    this.#noise -= noise;
    this.#credit -= noise;
    for (let index = 0; index < noise; index++) {
      const { device } = this.#dice.weighted(this.#speakers);
      made.push({
        dueMs: fromMs + Math.trunc(((index + this.#dice.next()) / noise) * STEP_MS),
        afterMs: 0,
        device,
        utterance: this.#murmur(device),
      });
    }
    made.sort((a, b) => a.dueMs - b.dueMs);
    for (const { dueMs, device, utterance } of made) {
      events.push(eventOf(this.#startMs + dueMs, device, utterance));
    }
  }

  /** Lets behaviours begin in this step: the opening ones on time, others by chance. */
  #begin(atMs: number, events: number): void {
    while (this.#openings[0] !== undefined && this.#openings[0].atMs <= atMs) {
      this.#start(this.#openings[0].behaviour, atMs);
      this.#openings.shift();
    }
    for (const behaviour of BEHAVIOURS) {
      let expected = (behaviour.share * events) / behaviour.eventsMean(this.#ratePerSecond);
      for (; expected > 0; expected--) {
        if (this.#dice.chance(expected)) this.#start(behaviour, atMs);
      }
    }
  }

  #start(behaviour: Behaviour, atMs: number): void {
    for (const planned of behaviour.plan(this.topology, this.#dice, this.#ratePerSecond)) {
      this.#planned.push({ ...planned, dueMs: atMs + planned.afterMs });
    }
  }

  #takeDue(beforeMs: number): DueUtterance[] {
    const due: DueUtterance[] = [];
    const later: DueUtterance[] = [];
    for (const planned of this.#planned) (planned.dueMs < beforeMs ? due : later).push(planned);
    if (due.length > 0) this.#planned = later;
    return due;
  }

  #murmur(device: Device): Utterance {
    const isTrap = device.type !== 'server' && this.#dice.chance(TRAP_SHARE);
    return this.#dice.weighted(isTrap ? TRAP_SHAPES : SHAPES[device.platform]).say(device, this.#dice);
  }
}

function eventOf(atMs: number, device: Device, utterance: Utterance): GeneratedEvent {
  const { message, severity, facility, program, pid, trapOid, varbinds } = utterance;
  return {
    hostname: device.hostname,
    message,
    timestamp: new Date(atMs).toISOString(),
    syslog_severity: severity,
    ...(facility === undefined ? {} : { syslog_facility: facility }),
    ...(program === undefined ? {} : { program }),
    ...(pid === undefined || pid === 0 ? {} : { pid: String(pid) }),
    source_ip: device.ip,
    source: trapOid === undefined ? 'syslog' : 'snmp',
    ...(trapOid === undefined ? {} : { trap_oid: trapOid }),
    ...(varbinds === undefined ? {} : { varbinds }),
    site: device.site,
    device_type: device.type,
  };
}
