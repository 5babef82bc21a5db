/**
 * How much of a body that is no part of a record is passed over before the body counts as none that a sender of logs made.
 *
 * Without it, 64 MiB of tiny unknown fields, which compress to almost nothing, would keep an ingest thread busy for many
 * seconds. With it, nobody who sends logs ever meets it.
 */

const FIELDS_PASSED_MAX = 2_000_000;

/** The body is hardly anything but what nobody asks for: none of it is kept. */
export class BodyAbsurd extends Error {}

export class ReadBudget {
  #left = FIELDS_PASSED_MAX;

  /** To be called for each field or member that is looked at. */
  spend(): void {
    this.#left -= 1;
    if (this.#left < 0) throw new BodyAbsurd();
  }
}
