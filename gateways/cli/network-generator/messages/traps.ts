/**
 * SNMP notifications as a trap receiver hands them on: the OID, the variable bindings, and a line for people.
 *
 * OIDs: SNMPv2-MIB and IF-MIB (RFC 3418, RFC 2863), BGP4-MIB (bgpBackwardTransition, RFC 1657), CISCO-ENVMON-MIB.
 */
import type { Dice } from '../dice.ts';
import type { Utterance } from '../generated-event.ts';
import type { Device } from '../topology.ts';
import type { Shape } from './shape.ts';

export const TRAP_OID = {
  coldStart: '1.3.6.1.6.3.1.1.5.1',
  linkDown: '1.3.6.1.6.3.1.1.5.3',
  linkUp: '1.3.6.1.6.3.1.1.5.4',
  authenticationFailure: '1.3.6.1.6.3.1.1.5.5',
  bgpEstablished: '1.3.6.1.2.1.15.7.1',
  bgpBackwardTransition: '1.3.6.1.2.1.15.7.2',
  temperature: '1.3.6.1.4.1.9.9.13.3.0.3',
  configChange: '1.3.6.1.4.1.9.9.43.2.0.1',
} as const;

const IF_INDEX = '1.3.6.1.2.1.2.2.1.1';
const IF_DESCR = '1.3.6.1.2.1.2.2.1.2';
const IF_OPER_STATUS = '1.3.6.1.2.1.2.2.1.8';
const BGP_PEER_STATE = '1.3.6.1.2.1.15.3.1.2';

export function linkTrap(device: Device, interfaceName: string, isUp: boolean): Utterance {
  const index = device.ifIndexBase + Math.max(device.interfaces.indexOf(interfaceName), 0);
  return {
    message: `${isUp ? 'linkUp' : 'linkDown'}: ifIndex ${index}, ifDescr ${interfaceName}`,
    severity: isUp ? 5 : 3,
    trapOid: isUp ? TRAP_OID.linkUp : TRAP_OID.linkDown,
    varbinds: [
      { oid: `${IF_INDEX}.${index}`, name: 'ifIndex', value: index },
      { oid: `${IF_DESCR}.${index}`, name: 'ifDescr', value: interfaceName },
      { oid: `${IF_OPER_STATUS}.${index}`, name: 'ifOperStatus', value: isUp ? 1 : 2 },
    ],
  };
}

export function bgpTrap(peerIp: string, isUp: boolean): Utterance {
  return {
    message: `${isUp ? 'bgpEstablished' : 'bgpBackwardTransition'}: peer ${peerIp} is ${isUp ? 'established' : 'idle'}`,
    severity: isUp ? 5 : 3,
    trapOid: isUp ? TRAP_OID.bgpEstablished : TRAP_OID.bgpBackwardTransition,
    varbinds: [{ oid: `${BGP_PEER_STATE}.${peerIp}`, name: 'bgpPeerState', value: isUp ? 6 : 1 }],
  };
}

export function coldStartTrap(): Utterance {
  return {
    message: 'coldStart: the agent has reinitialised itself',
    severity: 4,
    trapOid: TRAP_OID.coldStart,
    varbinds: [],
  };
}

function temperatureTrap(dice: Dice): Utterance {
  const degrees = dice.int(62, 78);
  return {
    message: `ciscoEnvMonTemperatureNotification: inlet sensor at ${degrees} degrees Celsius, state warning`,
    severity: 4,
    trapOid: TRAP_OID.temperature,
    varbinds: [
      { oid: '1.3.6.1.4.1.9.9.13.1.3.1.2.1', name: 'ciscoEnvMonTemperatureStatusDescr', value: 'inlet' },
      { oid: '1.3.6.1.4.1.9.9.13.1.3.1.3.1', name: 'ciscoEnvMonTemperatureStatusValue', value: degrees },
      { oid: '1.3.6.1.4.1.9.9.13.1.3.1.6.1', name: 'ciscoEnvMonTemperatureState', value: 2 },
    ],
  };
}

/** Traps in quiet times. */
export const TRAP_SHAPES: readonly Shape[] = [
  { weight: 30, say: (device, dice) => linkTrap(device, dice.pick(device.interfaces), true) },
  {
    weight: 40,
    say: (_device, dice) => ({
      message: `authenticationFailure: a request with a wrong community came from 10.9.0.${dice.int(1, 40)}`,
      severity: 5,
      trapOid: TRAP_OID.authenticationFailure,
      varbinds: [],
    }),
  },
  {
    weight: 28,
    say: () => ({
      message: 'ciscoConfigManEvent: the running configuration was read',
      severity: 6,
      trapOid: TRAP_OID.configChange,
      varbinds: [{ oid: '1.3.6.1.4.1.9.9.43.1.1.6.1.3', name: 'ccmHistoryEventCommandSource', value: 1 }],
    }),
  },
  { weight: 2, say: (_device, dice) => temperatureTrap(dice) },
];
