/** Receipts reach their store late rather than never, and what cannot be kept is counted. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ReceiptQueue } from '../../../actors/forward/receipt-queue.ts';
import type { AlertReceipt } from '../../../actors/ports.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { until } from '../../runtime/durable/store-under-test.ts';

const receipt = (alertId: string): AlertReceipt => ({
  alertId,
  receivedAtMs: 1,
  eventIds: ['e-0'],
  destination: 'noc',
  partition: 0,
  status: 200,
  attempts: 1,
  deliveredAtMs: 2,
  signature: 's',
  unsentReason: null,
});
const refused = (): CodedError => new CodedError('E_ROW_INVALID', 'no such time');
const away = (): CodedError => new CodedError('E_DATABASE_AWAY', 'away', { kind: 'transient' });

describe('ReceiptQueue', () => {
  let kept = 0;
  let dropped: [count: number, code: string | undefined][];
  let writes: string[][];
  let failures = 0;

  function open(waitingMax?: number): ReceiptQueue {
    kept = 0;
    dropped = [];
    writes = [];
    return new ReceiptQueue({
      store: {
        keep: async (receipts) => {
          if (receipts.some(({ alertId }) => alertId === 'refused')) throw refused();
          if (failures > 0) {
            failures -= 1;
            throw away();
          }
          writes.push(receipts.map(({ alertId }) => alertId));
          return receipts.length;
        },
      },
      clock: systemClock,
      onKept: (count) => (kept += count),
      onDropped: (count, code) => dropped.push([count, code]),
      ...(waitingMax === undefined ? {} : { waitingMax }),
    });
  }

  it('writes what came together in one go, in pieces that a statement can carry', async () => {
    failures = 0;
    const queue = open();
    for (let n = 0; n < 2_500; n++) queue.add(receipt(`a${n}`));
    await until(() => kept === 2_500, 5_000);
    expect(writes.map(({ length }) => length)).to.deep.equal([1_000, 1_000, 500]);
    expect(writes.flat()).to.deep.equal(Array.from({ length: 2_500 }, (_, n) => `a${n}`));
    expect(queue.waiting).to.equal(0);
    queue.add(receipt('later'));
    await until(() => kept === 2_501, 5_000);
    await queue.close();
    expect(dropped).to.deep.equal([]);
  });

  it('waits for a store that is away, and drops what comes beyond its bound, counted', async () => {
    failures = 3;
    const queue = open(10);
    for (let n = 0; n < 10; n++) queue.add(receipt(`a${n}`));
    await until(() => failures < 3, 5_000);
    for (let n = 10; n < 14; n++) queue.add(receipt(`a${n}`));
    await until(() => kept === 10, 5_000);
    expect(dropped).to.deep.equal(Array.from({ length: 4 }, () => [1, 'E_DATABASE_AWAY']));
    queue.add(receipt('after'));
    await queue.close();
    expect(kept).to.equal(11);
  });

  it('drops what the store refuses for good, counted, and goes on with what came after it', async () => {
    failures = 0;
    const queue = open();
    queue.add(receipt('refused'));
    await until(() => dropped.length > 0, 5_000);
    queue.add(receipt('next'));
    await until(() => kept === 1, 5_000);
    await queue.close();
    expect(dropped).to.deep.equal([[1, 'E_ROW_INVALID']]);
    expect(writes).to.deep.equal([['next']]);
  });

  it('tries once more when it closes; what fails then is dropped, counted', async () => {
    failures = Infinity;
    const queue = open();
    for (let n = 0; n < 5; n++) queue.add(receipt(`a${n}`));
    await queue.close();
    queue.add(receipt('too late'));
    expect(dropped).to.deep.equal([
      [5, 'E_DATABASE_AWAY'],
      [1, 'E_DATABASE_AWAY'],
    ]);
    expect(kept).to.equal(0);
  });
});
