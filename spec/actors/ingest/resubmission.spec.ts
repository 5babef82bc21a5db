import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { decodeFrame } from '../../../actors/ingest/frame.ts';
import { PARKED_BYTES_MAX } from '../../../actors/ingest/limits.ts';
import { partitionOf } from '../../../actors/ingest/partition.ts';
import { framesOf, judgeReject, RESUBMITTED_RECORDS_MAX } from '../../../actors/ingest/resubmission.ts';
import type { UsableBody } from '../../../actors/ingest/resubmission.ts';

const NOW_MS = Date.parse('2026-05-01T12:00:00Z');
const PARTITIONS = 4;
const event = (hostname: string, message = 'm'): string =>
  JSON.stringify({ hostname, message, timestamp: '2026-05-01T12:00:00Z' });
const rejectOf = (body: string | Buffer, code = 'E_FIELD_MISSING'): { code: string; body: Buffer } => ({
  code,
  body: Buffer.from(body),
});

function usable(body: string): UsableBody {
  const judged = judgeReject(rejectOf(body), undefined, NOW_MS);
  if ('faults' in judged) throw new Error(JSON.stringify(judged.faults));
  return judged;
}

describe('A reject that is to be sent once more', () => {
  it('is refused for what it was rejected for, and taken when that is mended', () => {
    const bad = '{"hostname":"r1","message":"m"}';
    expect(judgeReject(rejectOf(bad), undefined, NOW_MS)).to.have.nested.property(
      'faults[0].code',
      'E_FIELD_MISSING',
    );
    expect(judgeReject(rejectOf(bad), Buffer.from(event('r1')), NOW_MS)).to.have.nested.property(
      'records.length',
      1,
    );
    // What was refused then may be usable now: a line of the future, for one.
    expect(usable(event('r1')).records.length).to.equal(1);
  });

  it('is taken whole or not at all', () => {
    const body = [event('r1'), '{"hostname":"r2"}', event('r3')].join('\n');
    const judged = judgeReject(rejectOf('x'), Buffer.from(body), NOW_MS);
    expect(judged).to.have.property('faults').with.lengthOf(1);
    expect(judged).to.have.nested.property('faults[0].index', 1);
  });

  it('shows at most ten faults, and takes at most so many records', () => {
    const bad = '{"hostname":"r2"}\n'.repeat(500);
    expect(judgeReject(rejectOf(bad), undefined, NOW_MS))
      .to.have.property('faults')
      .with.lengthOf(10);
    const many = (count: number): Buffer => Buffer.from(`${event('r1')}\n`.repeat(count));
    expect(judgeReject(rejectOf('x'), many(RESUBMITTED_RECORDS_MAX), NOW_MS)).to.have.property('records');
    expect(judgeReject(rejectOf('x'), many(RESUBMITTED_RECORDS_MAX + 1), NOW_MS)).to.have.nested.property(
      'faults[0].code',
      'E_TOO_MANY_RECORDS',
    );
  });

  it('is not even looked at as it is when it broke a decoder or was cut, and is with another body', () => {
    const good = event('r1');
    const cut = Buffer.alloc(PARKED_BYTES_MAX, `<13>1 2026-05-01T12:00:00Z r1 app - - - ${'x'.repeat(80)}\n`);
    for (const [reject, code] of [
      [rejectOf(good, 'E_BODY_POISON'), 'E_BODY_POISON'],
      [rejectOf(cut, 'E_TOO_MANY_RECORDS'), 'E_REJECT_CUT'],
    ] as const) {
      expect(judgeReject(reject, undefined, NOW_MS)).to.have.nested.property('faults[0].code', code);
      expect(judgeReject(reject, Buffer.from(good), NOW_MS)).to.have.property('records');
    }
  });

  it('is refused with a fault and never throws, whatever it is', () => {
    for (const empty of ['', '\n\n', '[]', ' [ ] ']) {
      expect(judgeReject(rejectOf('x'), Buffer.from(empty), NOW_MS)).to.have.nested.property(
        'faults[0].code',
        'E_BODY_EMPTY',
      );
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isEdited) => {
        const body = Buffer.from(bytes);
        const judged = judgeReject(rejectOf(body), isEdited ? body : undefined, NOW_MS);
        if ('faults' in judged) expect(judged.faults.length).to.be.within(1, 10);
        else expect(judged.records.length).to.be.greaterThan(0);
      }),
    );
  });
});

describe('The frames of a resubmission', () => {
  let made = 0;
  const newFrameId = (): Buffer => {
    const id = Buffer.alloc(16);
    id.writeUInt32BE(++made, 12);
    return id;
  };
  const frames = (bodies: readonly (UsableBody & { correlationId: string })[]) =>
    framesOf(bodies, { partitions: PARTITIONS, nowMs: NOW_MS, newFrameId });

  it('hold every event once, where its host belongs, in the order given, with the id of its request', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.nat(20), { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 8 }),
        (bodies) => {
          const given = bodies.map((hosts, nth) => ({
            ...usable(hosts.map((host, at) => event(`h${host}`, `${nth}-${at}`)).join('\n')),
            correlationId: `c-${nth}`,
          }));
          const expected = bodies.flatMap((hosts, nth) =>
            hosts.map((host, at) => ({
              host: `h${host}`,
              message: `${nth}-${at}`,
              correlationId: `c-${nth}`,
            })),
          );
          const made = frames(given).map(({ partition, events, frame }) => {
            const decoded = decodeFrame(frame);
            expect(decoded.receivedAtMs).to.equal(NOW_MS);
            expect(decoded.records.length).to.equal(events);
            return decoded.records.map(({ bytes, correlationId }) => {
              const { hostname, message } = JSON.parse(bytes.toString()) as Record<string, string>;
              expect(partitionOf(String(hostname), PARTITIONS)).to.equal(partition);
              return { host: hostname, message, correlationId };
            });
          });
          for (let partition = 0; partition < PARTITIONS; partition++) {
            const inPartition = ({ host }: { host?: string | undefined }): boolean =>
              partitionOf(String(host), PARTITIONS) === partition;
            expect(made.flat().filter(inPartition)).to.deep.equal(expected.filter(inPartition));
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('are numbered from 1 in each partition, none larger than a batch', () => {
    const given = Array.from({ length: 5 }, (_, nth) => ({
      ...usable(`${event('same', 'x'.repeat(200))}\n`.repeat(700)),
      correlationId: `c-${nth}`,
    }));
    const cut = frames(given);
    expect(cut.map(({ sequence }) => sequence)).to.deep.equal(cut.map((_, nth) => nth + 1));
    expect(cut.reduce((sum, { events }) => sum + events, 0)).to.equal(3_500);
    expect(Math.max(...cut.map(({ events }) => events))).to.equal(1_000);
    expect(new Set(cut.map(({ frame }) => decodeFrame(frame).id)).size).to.equal(cut.length);
  });
});
