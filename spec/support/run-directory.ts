/** The directory of one test run. */
import {
  RunDirectory as Directory,
  endLeftoverRuns as endLeftovers,
} from '../../supervisors/torture/run-directory.ts';
import type { RunKind } from '../../supervisors/torture/run-directory.ts';

const KIND: RunKind = { prefix: 'mutt-run-', variable: 'MUTT_SPEC_RUN' };

export class RunDirectory extends Directory {
  constructor(parent?: string) {
    super(KIND, parent);
  }
}

export function endLeftoverRuns(parent?: string): void {
  endLeftovers(KIND, parent);
}
