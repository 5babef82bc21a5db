/**
 * The network that talks: 60 devices at four sites, their interfaces, the links between them and their BGP sessions.
 *
 * Made of a seed: who is linked to whom varies, the names and kinds do not, so that sample rules can name them.
 */
import type { Dice } from './dice.ts';

export type DeviceType = 'router' | 'switch' | 'firewall' | 'wireless' | 'server';
export type Platform = 'ios' | 'nxos' | 'junos' | 'asa' | 'wlc' | 'linux';

export interface Device {
  hostname: string;
  type: DeviceType;
  platform: Platform;
  site: string;
  ip: string;
  interfaces: readonly string[];
  /** SNMP interface index of the first interface. */
  ifIndexBase: number;
}

export interface Link {
  a: Device;
  aInterface: string;
  b: Device;
  bInterface: string;
}

/** A BGP session of `device` with a neighbour of ours, or with a provider when `peer` is undefined. */
export interface BgpSession {
  device: Device;
  peer: Device | undefined;
  peerIp: string;
  peerAs: number;
}

export interface Topology {
  devices: readonly Device[];
  links: readonly Link[];
  sessions: readonly BgpSession[];
}

export const SITES = ['fra1', 'ams2', 'lon3', 'nyc4'] as const;
const OWN_AS = 64_512;

interface Group {
  prefix: string;
  count: number;
  type: DeviceType;
  /** In turn over the devices of the group. */
  platforms: readonly Platform[];
  interfaces: number;
}

const GROUPS: readonly Group[] = [
  { prefix: 'core-rtr', count: 4, type: 'router', platforms: ['ios', 'junos'], interfaces: 16 },
  { prefix: 'edge-rtr', count: 8, type: 'router', platforms: ['junos', 'ios'], interfaces: 8 },
  { prefix: 'dist-sw', count: 6, type: 'switch', platforms: ['nxos'], interfaces: 32 },
  { prefix: 'acc-sw', count: 16, type: 'switch', platforms: ['ios'], interfaces: 48 },
  { prefix: 'fw', count: 4, type: 'firewall', platforms: ['asa'], interfaces: 4 },
  { prefix: 'wlc', count: 2, type: 'wireless', platforms: ['wlc'], interfaces: 2 },
  { prefix: 'srv-web', count: 6, type: 'server', platforms: ['linux'], interfaces: 2 },
  { prefix: 'srv-app', count: 4, type: 'server', platforms: ['linux'], interfaces: 2 },
  { prefix: 'srv-db', count: 4, type: 'server', platforms: ['linux'], interfaces: 2 },
  { prefix: 'srv-mail', count: 2, type: 'server', platforms: ['linux'], interfaces: 2 },
  { prefix: 'srv-dns', count: 2, type: 'server', platforms: ['linux'], interfaces: 2 },
  { prefix: 'srv-dev', count: 2, type: 'server', platforms: ['linux'], interfaces: 2 },
];

export function buildTopology(dice: Dice): Topology {
  const devices = GROUPS.flatMap((group, groupIndex) => devicesOf(group, groupIndex));
  const named = (prefix: string): Device[] =>
    devices.filter(({ hostname }) => hostname.startsWith(`${prefix}-`));
  const links: Link[] = [];
  const used = new Map<Device, number>();
  const connect = (a: Device, b: Device): void => {
    links.push({ a, aInterface: nextInterface(a, used), b, bInterface: nextInterface(b, used) });
  };
  const cores = named('core-rtr');
  for (const [index, core] of cores.entries()) connect(core, cores[(index + 1) % cores.length] ?? core);
  for (const edge of named('edge-rtr')) connect(dice.pick(cores), edge);
  for (const firewall of named('fw')) connect(dice.pick(cores), firewall);
  for (const distribution of named('dist-sw')) connect(dice.pick(cores), distribution);
  for (const access of named('acc-sw')) connect(dice.pick(named('dist-sw')), access);
  for (const server of devices.filter(({ type }) => type === 'server')) {
    connect(dice.pick(named('acc-sw')), server);
  }
  return { devices, links, sessions: sessionsOf(cores, named('edge-rtr'), dice) };
}

function devicesOf(group: Group, groupIndex: number): Device[] {
  return Array.from({ length: group.count }, (_, index) => {
    const platform = group.platforms[index % group.platforms.length] ?? 'linux';
    const siteIndex = index % SITES.length;
    return {
      hostname: `${group.prefix}-${String(index + 1).padStart(2, '0')}`,
      type: group.type,
      platform,
      site: SITES[siteIndex] ?? SITES[0],
      ip: `10.${siteIndex + 1}.${groupIndex}.${index + 10}`,
      interfaces: Array.from({ length: group.interfaces }, (_each, port) => interfaceName(platform, port)),
      ifIndexBase: 10_101,
    };
  });
}

function interfaceName(platform: Platform, port: number): string {
  switch (platform) {
    case 'ios':
      return `GigabitEthernet0/${port + 1}`;
    case 'nxos':
      return `Ethernet1/${port + 1}`;
    case 'junos':
      return `ge-0/0/${port}`;
    case 'asa':
      return ['outside', 'inside', 'dmz', 'management'][port % 4] ?? 'inside';
    case 'wlc':
      return `Port ${port + 1}`;
    case 'linux':
      return `eth${port}`;
  }
}

/** Interfaces in turn; a device with more links than interfaces shares its last ones. */
function nextInterface(device: Device, used: Map<Device, number>): string {
  const index = used.get(device) ?? 0;
  used.set(device, index + 1);
  return device.interfaces[index % device.interfaces.length] ?? 'eth0';
}

function sessionsOf(cores: readonly Device[], edges: readonly Device[], dice: Dice): BgpSession[] {
  const inside = edges.flatMap((edge) =>
    cores.slice(0, 2).map((core) => ({ device: edge, peer: core, peerIp: core.ip, peerAs: OWN_AS })),
  );
  const outside = edges.map((edge, index) => ({
    device: edge,
    peer: undefined,
    peerIp: `192.0.2.${index * 4 + 1}`,
    peerAs: dice.pick([64_496, 64_499, 64_502, 64_510]),
  }));
  return [...inside, ...outside];
}
