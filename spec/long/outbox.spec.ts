/** As described in outbox-run.ts; spec/long/spill.spec.ts kills more. */
import { describeOutbox } from '../product/outbox-run.ts';

describeOutbox({ spilling: ['kill match-0', 'kill postgres'], returning: ['kill node'] });
