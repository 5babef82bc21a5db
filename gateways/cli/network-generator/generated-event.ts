/**
 * What the generator makes: events as a relay would send them, and the plans that behaviours make of them.
 */
import type { Device } from './topology.ts';

/** The body of one event of `POST /api/v2/ingest`. */
export interface GeneratedEvent {
  hostname: string;
  message: string;
  /** RFC 3339, UTC, with milliseconds. */
  timestamp: string;
  /** 0 to 7. */
  syslog_severity: number;
  /** 0 to 23. */
  syslog_facility?: number;
  program?: string;
  pid?: string;
  source_ip: string;
  source: 'syslog' | 'snmp';
  /** Only traps. */
  trap_oid?: string;
  varbinds?: Varbind[];
  site: string;
  device_type: string;
}

export interface Varbind {
  oid: string;
  name: string;
  value: string | number;
}

/** What a device says, without when and who. */
export interface Utterance {
  message: string;
  severity: number;
  facility?: number;
  program?: string;
  pid?: number;
  trapOid?: string;
  varbinds?: Varbind[];
}

/** One utterance of a behaviour, at a moment after its begin. */
export interface PlannedUtterance {
  afterMs: number;
  device: Device;
  utterance: Utterance;
}
