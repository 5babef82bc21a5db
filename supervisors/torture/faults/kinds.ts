/** Every kind of fault there is. */
import { ACTOR_FAULTS } from './actor-faults.ts';
import { CHANGE_FAULTS } from './change-faults.ts';
import { DESTINATION_FAULTS } from './destination-faults.ts';
import type { FaultKind } from './fault.ts';
import { MACHINE_FAULTS } from './machine-faults.ts';
import { POSTGRES_FAULTS } from './postgres-faults.ts';
import { PROCESS_FAULTS } from './process-faults.ts';
import { REDIS_FAULTS } from './redis-faults.ts';
import { WIRE_FAULTS } from './wire-faults.ts';

export const FAULT_KINDS: readonly FaultKind[] = [
  ...PROCESS_FAULTS,
  ...ACTOR_FAULTS,
  ...REDIS_FAULTS,
  ...POSTGRES_FAULTS,
  ...CHANGE_FAULTS,
  ...MACHINE_FAULTS,
  ...DESTINATION_FAULTS,
  ...WIRE_FAULTS,
];
