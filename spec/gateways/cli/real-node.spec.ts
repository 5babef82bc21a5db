/**
 * Every command against a real node, for success and for its failures. One node for all: it is what takes long to start.
 */
import { after, before, describe } from 'mocha';
import { NodeUnderTest } from '../../support/node-under-test.ts';
import { describeAudit } from './node/audit.ts';
import { describeConfig } from './node/config.ts';
import { describeDestinationEdit } from './node/destination-edit.ts';
import { describeDestinations } from './node/destinations.ts';
import { describeFailures } from './node/failures.ts';
import { describeKeys } from './node/keys.ts';
import { describeLetters } from './node/letters.ts';
import { describeRejects } from './node/rejects.ts';
import { describeRules } from './node/rules.ts';
import { describeUnmatched } from './node/unmatched.ts';
import { describeTrace } from './node/trace.ts';
import { describeWatching } from './node/watch.ts';

describe('the mutt command and a real node', function () {
  let node: NodeUnderTest;

  this.timeout(60_000);
  before(async function () {
    this.timeout(120_000);
    node = await NodeUnderTest.start();
  });
  after(async () => {
    await node.close();
  });

  describeConfig(() => node);
  describeKeys(() => node);
  describeDestinations(() => node);
  describeDestinationEdit(() => node);
  describeAudit(() => node);
  describeTrace(() => node);
  describeRejects(() => node);
  describeLetters(() => node);
  describeRules(() => node);
  describeWatching(() => node);
  // Its threads die: the tree tells of it ever after.
  describeUnmatched(() => node);
  describeFailures(() => node);
});
