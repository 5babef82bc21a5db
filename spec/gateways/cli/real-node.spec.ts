/**
 * Every command against a real node, for success and for its failures. One node for all: it is what takes long to start.
 */
import { after, before, describe } from 'mocha';
import { NodeUnderTest } from '../../support/node-under-test.ts';
import { describeAudit } from './node/audit.ts';
import { describeConfig } from './node/config.ts';
import { describeFailures } from './node/failures.ts';
import { describeKeys } from './node/keys.ts';
import { describeRejects } from './node/rejects.ts';
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
  describeAudit(() => node);
  describeRejects(() => node);
  describeWatching(() => node);
  describeFailures(() => node);
});
