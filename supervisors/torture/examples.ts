/** How often something was found, and the first few of what was found: enough to look at, however often it is. */

const EXAMPLES_MAX = 5;

export class Examples {
  readonly #texts: string[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get texts(): readonly string[] {
    return this.#texts;
  }

  /** `text` is asked for only while it is one of the first. */
  add(text: () => string): void {
    this.#count += 1;
    if (this.#texts.length < EXAMPLES_MAX) this.#texts.push(text());
  }
}
