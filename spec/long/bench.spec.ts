/** The benchmarks that load a node of their own. */
import { describeBenches } from '../bench/bench-runs.ts';

describeBenches(['ingest', 'soak', 'control', 'whole-way', 'deliver', 'remediation']);
