/**
 * The marks of one partition of the in-memory store: what `append.lua` does with two hashes.
 */
import type { Mark, MarkWindow } from './durable-store.ts';
import { MARK_CONTENTS_MAX } from './durable-store.ts';

export interface JudgedMarks {
  /** Positions of those that are known, and of those whose key came before with another content. */
  duplicates: number[];
  reused: number[];
  /** Contents by key, the newest first: what is known when these marks are. */
  contents: Map<string, string[]>;
}

interface Generation {
  marks: Map<string, string[]>;
  sinceMs: number;
  expiresAtMs: number;
}

export class MemoryMarks {
  #present: Generation = none();
  #older: Generation = none();

  size(nowMs: number): number {
    this.#expire(nowMs);
    return this.#present.marks.size + this.#older.marks.size;
  }

  judge(marks: readonly Mark[], nowMs: number): JudgedMarks {
    this.#expire(nowMs);
    const judged: JudgedMarks = { duplicates: [], reused: [], contents: new Map() };
    for (const [position, mark] of marks.entries()) {
      const key = mark.key.toString('latin1');
      const content = mark.content.toString('latin1');
      const earlier =
        judged.contents.get(key) ?? this.#present.marks.get(key) ?? this.#older.marks.get(key) ?? [];
      const at = earlier.indexOf(content);
      if (at >= 0) judged.duplicates.push(position);
      if (at < 0 ? earlier.length > 0 : at < earlier.length - 1) judged.reused.push(position);
      if (at < 0) judged.contents.set(key, [content, ...earlier].slice(0, MARK_CONTENTS_MAX));
    }
    return judged;
  }

  add(contents: ReadonlyMap<string, string[]>, { keysMax, ageMsMax }: MarkWindow, nowMs: number): void {
    if (contents.size === 0) return;
    const { marks, sinceMs } = this.#present;
    if (marks.size > 0 && (marks.size + contents.size > keysMax || nowMs - sinceMs >= ageMsMax)) {
      this.#older = this.#present;
      this.#present = none();
    }
    if (this.#present.marks.size === 0) this.#present.sinceMs = nowMs;
    for (const [key, newest] of contents) this.#present.marks.set(key, newest);
    this.#present.expiresAtMs = nowMs + ageMsMax;
  }

  #expire(nowMs: number): void {
    if (this.#present.expiresAtMs <= nowMs) this.#present = none();
    if (this.#older.expiresAtMs <= nowMs) this.#older = none();
  }
}

function none(): Generation {
  return { marks: new Map(), sinceMs: 0, expiresAtMs: Infinity };
}
