/**
 * Every way in which a destination of the torture can be bad, against the client that the product delivers with: what the
 * mode says a node does is what it does, and once the destination is well the alert is delivered over the same client.
 */
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import { deliverAlert } from '../../../actors/forward/delivery.ts';
import type { Destination, SentOutcome } from '../../../actors/ports.ts';
import { SecretSource } from '../../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../../gateways/webhook/webhook-client.ts';
import { DESTINATION_MODES, DESTINATION_MODE_NAMES } from '../../../supervisors/torture/destination-modes.ts';
import type { DestinationModeName, ExpectedOutcome } from '../../../supervisors/torture/destination-modes.ts';
import { DestinationServer } from '../../../supervisors/torture/destination-server.ts';
import { knownText } from '../../../supervisors/torture/known-event.ts';
import type { TakenKind } from '../../../supervisors/torture/received-alerts.ts';
import { alertOf, destinationOf } from '../../actors/forward/alerts.ts';
import { unmet } from '../../support/destinations/documented-server.ts';

/** For those that never end: longer ones are for a machine on which even the beginning comes late. */
const IMPATIENT_MS = [1_000, 4_000, 16_000];
const PATIENT_MS = 20_000;
/** Far beyond any timeout: what is not settled by then never is. */
const HANGS_MS = 40_000;

const OUTCOMES: Record<SentOutcome['kind'], ExpectedOutcome> = {
  delivered: 'delivered',
  retry: 'retried',
  refused: 'dead letter',
  unauthorized: 'lane paused',
};

class Bed {
  readonly server: DestinationServer;
  readonly #client = new HttpWebhookClient({
    secrets: new SecretSource(() => 0, { directory: '/nowhere', files: [] }),
    connectionsMax: 4,
  });
  readonly #kind: TakenKind;

  private constructor(server: DestinationServer, kind: TakenKind) {
    this.server = server;
    this.#kind = kind;
  }

  static async start(kind: TakenKind, collapses = false): Promise<Bed> {
    let n = 0;
    const random = (): number => (n = (n + 0.618_034) % 1);
    return new Bed(await DestinationServer.start({ name: 'noc', kind, collapses, random }), kind);
  }

  async deliver(alert: Alert, fields: Partial<Destination> = {}): Promise<SentOutcome> {
    const { url } = this.server;
    const destination = destinationOf({ url, kind: this.#kind, timeoutMs: PATIENT_MS, ...fields });
    const nowMs = (): number => Date.now();
    const delivering = deliverAlert({ alert, attempts: 0 }, destination, this.#client, nowMs);
    const hangs = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error('the delivery does not end')), HANGS_MS).unref();
    });
    return Promise.race([delivering, hangs]);
  }

  async close(): Promise<void> {
    this.#client.close();
    await this.server.close();
  }
}

function knownAlert(sequence: number, fields: Partial<Alert> = {}): Alert {
  const text = knownText({ host: 'h', sequence }, true);
  return alertOf(`alert-${sequence}`, { hostname: 'h', signature: 'h', description: text, ...fields });
}

async function meets(name: DestinationModeName, kind: TakenKind): Promise<void> {
  const mode = DESTINATION_MODES[name];
  const bed = await Bed.start(kind);
  try {
    expect(await bed.deliver(knownAlert(0))).to.include({ kind: 'delivered' });
    const over = bed.server.misbehave(name, 60_000);
    const isEndless = mode.reason === 'timeout' || name === 'drip-body';
    // A body that does not fit into one packet, so that a part of it can be there alone.
    const team = 't'.repeat(300_000);
    let wrong: string[] = [];
    let isTaken = mode.isTaken;
    for (const timeoutMs of isEndless ? IMPATIENT_MS : [PATIENT_MS]) {
      const outcome = await bed.deliver(knownAlert(1, { team }), { timeoutMs });
      if (name === 'random-status') isTaken = outcome.kind === 'delivered';
      wrong = unmet({
        [JSON.stringify(outcome)]: mode.outcome.split(' or ').includes(OUTCOMES[outcome.kind]),
        reason: outcome.kind === 'delivered' || mode.reason === undefined || outcome.reason === mode.reason,
        taken: bed.server.received.size === (isTaken ? 2 : 1),
        reached: name === 'refuse-connection' || (bed.server.requests.get(name) ?? 0) > 0,
      });
      if (wrong.length === 0) break;
    }
    expect(wrong).to.deep.equal([]);

    await bed.server.heal();
    // A kept-alive connection may have been closed by the other side at this very moment.
    let again = await bed.deliver(knownAlert(1, { team }));
    if (again.kind === 'retry') again = await bed.deliver(knownAlert(1, { team }));
    expect(again, JSON.stringify(again)).to.include({ kind: 'delivered' });
    const { received, oddities } = bed.server;
    expect(received.size).to.equal(2);
    expect(received.repeats).to.be.at.least(isTaken ? 1 : 0);
    const found = [received.strange, received.twoKeys, received.twoContents, received.twoAlerts, oddities];
    expect(found.flatMap(({ texts }) => texts)).to.deep.equal([]);
    expect(received.late.size).to.equal(0);
    await bed.server.close();
    await over;
    expect(bed.server.connections).to.equal(0);
  } finally {
    await bed.close();
  }
}

describe('A destination of the torture', function () {
  this.timeout(60_000);
  const runs = new Map<string, Promise<void>>();

  // At once: many wait for time to pass.
  before(() => {
    for (const [at, name] of DESTINATION_MODE_NAMES.entries()) {
      const ran = meets(name, at % 2 === 0 ? 'webhook' : 'moogsoft');
      ran.catch(() => undefined);
      runs.set(name, ran);
    }
  });

  for (const name of DESTINATION_MODE_NAMES) {
    const { what, outcome } = DESTINATION_MODES[name];
    it(`${name}: ${what}: ${outcome}`, () => runs.get(name));
  }

  it('asks for a rest that the node can read, in seconds and as a date', async () => {
    const bed = await Bed.start('webhook');
    try {
      for (const name of ['status-503-seconds', 'status-503-date', 'status-429'] as const) {
        void bed.server.misbehave(name, 60_000);
        const outcome = await bed.deliver(knownAlert(0));
        expect(outcome, name).to.have.property('retryAfterMs').within(1, 2_000);
      }
    } finally {
      await bed.close();
    }
  });

  it('gives an answer of each kind when it answers by chance', async () => {
    const bed = await Bed.start('moogsoft');
    try {
      void bed.server.misbehave('random-status', 60_000);
      const kinds = new Set<string>();
      for (let n = 0; n < 40; n++) kinds.add((await bed.deliver(knownAlert(n))).kind);
      expect([...kinds].sort()).to.deep.equal(['delivered', 'retry']);
    } finally {
      await bed.close();
    }
  });

  it('is well again when the time is over, unless it was told something else meanwhile', async () => {
    const bed = await Bed.start('webhook');
    try {
      const first = bed.server.misbehave('refuse-connection', 50);
      const second = bed.server.misbehave('status-500', 200);
      await first;
      expect(bed.server.mode).to.equal('status-500');
      await second;
      expect(bed.server.mode).to.equal('well');
      expect(await bed.deliver(knownAlert(0))).to.include({ kind: 'delivered' });
    } finally {
      await bed.close();
    }
  });

  it('is reached at the same address after its port was closed', async () => {
    const bed = await Bed.start('webhook');
    try {
      const { url } = bed.server;
      for (let n = 0; n < 5; n++) {
        const over = bed.server.misbehave('refuse-connection', 20);
        expect(await bed.deliver(knownAlert(n))).to.include({ kind: 'retry', reason: 'network' });
        await over;
        expect(await bed.deliver(knownAlert(n))).to.include({ kind: 'delivered' });
      }
      expect(bed.server.url).to.equal(url);
      expect(bed.server.received.size).to.equal(5);
    } finally {
      await bed.close();
    }
  });

  it('notes a request that follows a redirect, and what is no alert', async () => {
    const bed = await Bed.start('webhook');
    try {
      await fetch(`${bed.server.url}/elsewhere`, { method: 'POST', body: '{}' });
      await fetch(bed.server.url, { method: 'POST', body: 'no alert' });
      expect(bed.server.oddities.texts).to.deep.equal([
        'POST /alerts/elsewhere, which nobody asked for',
        'no alert: no alert',
      ]);
    } finally {
      await bed.close();
    }
  });
});
