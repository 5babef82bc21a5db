/**
 * What a wireless controller says.
 */
import { ciscoMacAddress, macAddress } from '../addresses.ts';
import { FACILITY } from './shape.ts';
import type { Shape } from './shape.ts';

export const WIRELESS_SHAPES: readonly Shape[] = [
  {
    weight: 30,
    say: (_device, dice) => ({
      message: `*apfMsConnTask_${dice.int(0, 7)}: %APF-6-RADIUS_OVERRIDE_DISABLED: apf_ms_radius_override.c:${dice.int(200, 900)} Radius overrides disabled, ignoring source 4, client ${macAddress(dice)}`,
      severity: 6,
      facility: FACILITY.local7,
    }),
  },
  {
    weight: 20,
    say: (_device, dice) => ({
      message: `*dot1xMsgTask: %DOT1X-4-MAX_EAP_RETRIES: 1x_auth_pae.c:${dice.int(3_000, 7_000)} Max EAP identity request retries (3) exceeded for client ${macAddress(dice)}`,
      severity: 4,
      facility: FACILITY.local7,
    }),
  },
  {
    weight: 10,
    say: (_device, dice) => ({
      message: `*spamApTask${dice.int(0, 7)}: %CAPWAP-5-DTLS_CONN_ESTABLISHED: capwap_ac_sm.c:${dice.int(3_000, 7_000)} DTLS connection established with AP ap-${dice.int(100, 199)} (${ciscoMacAddress(dice)})`,
      severity: 5,
      facility: FACILITY.local7,
    }),
  },
  {
    weight: 0.6,
    say: (_device, dice) => ({
      message: `*spamApTask${dice.int(0, 7)}: %CAPWAP-3-ECHO_ERR: capwap_ac_sm.c:${dice.int(3_000, 7_000)} Did not receive heartbeat reply; AP: ${macAddress(dice)} disassociated`,
      severity: 3,
      facility: FACILITY.local7,
    }),
  },
];
