import { createServer } from 'node:net';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';

describe('freePorts', () => {
  it('are different ones, below those of outgoing connections, that can be listened on', async () => {
    const ports = await freePorts(20);
    expect(new Set(ports).size).to.equal(20);
    for (const port of ports) {
      expect(port).to.be.within(10_000, 32_767);
      await new Promise<void>((settle, fail) => {
        const server = createServer().once('error', fail);
        server.listen(port, '127.0.0.1', () => server.close(() => settle()));
      });
    }
  });
});
