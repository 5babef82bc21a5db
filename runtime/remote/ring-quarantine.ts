/**
 * Records that were in hand too often when their thread died: taken out of the ring and kept, with their history.
 *
 * Bounded by count and bytes; when it is full the longest kept goes, and is counted. Not shared: it lives on the supervising
 * side, where the deaths are seen.
 */
import { RingBuffer } from '../ring-buffer.ts';

/** One death with the record in hand. */
export interface RecordDeath {
  atMs: number;
  epoch: number;
  reason: string;
}

export interface QuarantinedRecord {
  id: number;
  /** From which thread, to which thread, to which target there. */
  from: string;
  to: string;
  target: number;
  isAsk: boolean;
  /** Absent when it was a parcel that only its sender had. */
  payload: Buffer | undefined;
  history: readonly RecordDeath[];
}

export const QUARANTINED_MAX = 256;
export const QUARANTINED_BYTES_MAX = 16 * 1024 ** 2;

export class RingQuarantine {
  /** Ever quarantined, and those of them that made room for later ones. */
  total = 0;
  displaced = 0;
  private kept = new RingBuffer<QuarantinedRecord>(QUARANTINED_MAX);
  private bytes = 0;

  add(record: Omit<QuarantinedRecord, 'id'>): void {
    this.bytes += record.payload?.length ?? 0;
    while (
      this.kept.length > 0 &&
      (this.bytes > QUARANTINED_BYTES_MAX || this.kept.length === QUARANTINED_MAX)
    ) {
      this.bytes -= this.kept.shift()?.payload?.length ?? 0;
      this.displaced += 1;
    }
    this.kept.push({ ...record, id: ++this.total });
  }

  /** The oldest first. */
  list(): QuarantinedRecord[] {
    return [...this.kept];
  }

  /** Takes it out: to send it again, or to forget it. */
  take(id: number): QuarantinedRecord | undefined {
    const all = this.list();
    const found = all.find((record) => record.id === id);
    if (found === undefined) return undefined;
    this.kept = new RingBuffer<QuarantinedRecord>(QUARANTINED_MAX);
    for (const record of all) if (record !== found) this.kept.push(record);
    this.bytes -= found.payload?.length ?? 0;
    return found;
  }
}
