/** What stays of a message when one end is gone, with both ends in this thread, where all of it can be looked at. */
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import { codeOf } from '../../../runtime/errors.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import { bytesCodec } from '../../../runtime/remote/codec.ts';
import { Endpoint } from '../../../runtime/remote/endpoint.ts';
import { Exchange } from '../../../runtime/remote/exchange.ts';
import type { BytesView } from '../../../runtime/ring/bytes-view.ts';
import { localChild } from '../../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { orders } from '../../fixtures/remote/messages.ts';
import type { Order } from '../../fixtures/remote/messages.ts';
import { until } from './remote-bed.ts';

const FAILED: ExitReason = { kind: 'exited', code: 7 };

describe('What stays when an end is gone', () => {
  const ends: Endpoint[] = [];
  function begin(exchange: Exchange, name: string, epoch: number): { system: ActorSystem; end: Endpoint } {
    const system = new ActorSystem();
    const end = new Endpoint(name, system);
    for (const link of exchange.begin(name, epoch)) end.connect(link);
    ends.push(end);
    return { system, end };
  }
  function exchangeOf(...names: string[]): Exchange {
    const exchange = new Exchange({ system: new ActorSystem(), deathsMax: 1 });
    for (const name of names) exchange.join(name);
    ends.push(exchange.endpoint);
    return exchange;
  }
  afterEach(() => {
    for (const end of ends.splice(0)) end.close();
  });

  it('is no view of a ring that others write by then [S-112]', async () => {
    const exchange = exchangeOf('one');
    const { system, end } = begin(exchange, 'one', 1);
    let kept: BytesView | undefined;
    const keeper = system.spawn<BytesView>(() => ({
      handle: (view) => {
        kept = view;
        return new Promise(() => undefined);
      },
    }));
    end.expose('keeper', keeper, bytesCodec);
    end.open();
    exchange.endpoint.ref('one', 'keeper', bytesCodec).tell(Buffer.from('abc'));
    await until(() => kept !== undefined);
    expect(kept?.text()).to.equal('abc');
    end.stopTaking();
    await system.stop(5);
    end.close();
    let code = 'it could be read';
    try {
      kept?.text();
    } catch (thrown) {
      code = codeOf(thrown);
    }
    expect(code).to.equal('E_VIEW_OVER');
  });

  it('is no charge for what waits to be tried again [S-80] [S-115]', async () => {
    const exchange = exchangeOf('one');
    const { system, end } = begin(exchange, 'one', 1);
    const backoff = { initialMs: 60_000, maxMs: 60_000, resetAfterMs: 60_000 };
    let attempts = 0;
    const actor = localChild<Order>(
      system,
      'actor',
      () => ({
        handle: () => {
          attempts += 1;
          throw new Error('planted');
        },
      }),
      { redelivery: { attemptsMax: 9, backoff } },
    );
    const supervisor = new Supervisor({
      id: 'root',
      strategy: 'oneForOne',
      intensity: { restartsMax: 9, windowMs: 60_000 },
      children: [{ id: 'actor', start: actor.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
    });
    await supervisor.start();
    end.expose('actor', actor.ref, orders);
    end.open();
    exchange.endpoint.ref('one', 'actor', orders).tell({ what: 'hello', n: 1 });
    await until(() => attempts === 1 && supervisor.listChildren()[0]?.epoch === 2);
    exchange.ended('one', FAILED);
    expect(exchange.quarantine.list()).to.deep.equal([]);
    await supervisor.stop(100);
  });
});
