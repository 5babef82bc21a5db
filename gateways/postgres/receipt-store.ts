/**
 * Keeps receipts of destinations in PostgreSQL. Invariant: one per alert, the first that is given; giving one again
 * changes nothing.
 */
import type { Alert } from '../../actors/event.ts';
import type { AlertReceipt, DeliveryLog, ReceiptStore } from '../../actors/ports.ts';
import { plainArray, textArray } from './array-literal.ts';
import type { Connection } from './connection.ts';
import { storableJson, storableText } from './storable-text.ts';

export class PostgresReceiptStore implements ReceiptStore, DeliveryLog {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Errors: those of Connection. */
  async keep(receipts: readonly AlertReceipt[]): Promise<number> {
    if (receipts.length === 0) return 0;
    const stored = await this.#connection.rows('insert_alert_receipts', [
      textArray(receipts.map((receipt) => receipt.alertId)),
      plainArray(receipts.map((receipt) => receipt.receivedAtMs)),
      textArray(receipts.map((receipt) => storableJson(receipt.eventIds))),
      textArray(receipts.map((receipt) => storableText(receipt.destination))),
      plainArray(receipts.map((receipt) => receipt.partition)),
      plainArray(receipts.map((receipt) => receipt.status)),
      plainArray(receipts.map((receipt) => receipt.attempts)),
      plainArray(receipts.map((receipt) => receipt.deliveredAtMs)),
      textArray(receipts.map((receipt) => storableText(receipt.signature))),
      textArray(receipts.map((receipt) => receipt.unsentReason)),
    ]);
    return stored.length;
  }

  /** Errors: those of Connection. */
  async isSuperseded(alert: Alert): Promise<boolean> {
    const {
      signature,
      destination,
      received_at: receivedAt,
      event_ids: [eventId = null],
    } = alert;
    const values = [storableText(signature), storableText(destination), Date.parse(receivedAt) || 0, eventId];
    const row = await this.#connection.row<{ is_superseded: boolean }>('find_later_receipt', values);
    return row.is_superseded;
  }
}
