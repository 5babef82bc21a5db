import { expect } from 'chai';
import { describe, it } from 'mocha';
import { NodeProcess } from '../../../supervisors/torture/node-process.ts';

describe('NodeProcess', () => {
  it('is started in its own directory and on its own ports, whatever is set around it or taken away', () => {
    const ports = { ingest: 10_001, health: 10_002, admin: 10_003 };
    for (const value of [undefined, '', '8080']) {
      const env = {
        MUTT_DATA_DIR: value,
        MUTT_INGEST_PORT: value,
        MUTT_HEALTH_PORT: value,
        MUTT_ADMIN_PORT: value,
      };
      expect(new NodeProcess({ dir: '/node/data', ports, env }).environment).to.include({
        MUTT_DATA_DIR: '/node/data',
        MUTT_INGEST_PORT: '10001',
        MUTT_HEALTH_PORT: '10002',
        MUTT_ADMIN_PORT: '10003',
      });
    }
  });
});
