/**
 * What a node counts about getting rule sets into force.
 */
import type { CounterLayout } from '../../runtime/shared/counters.ts';

export const RULE_SET_LAYOUT: CounterLayout = [
  { name: 'mutt_rule_set_builds_total', kind: 'counter', help: 'Rule sets that were built.' },
  {
    name: 'mutt_rule_set_build_failures_total',
    kind: 'counter',
    help: 'Attempts to build a rule set that failed; the old one stayed in force.',
  },
  {
    name: 'mutt_rule_set_behind',
    kind: 'gauge',
    help: '1 while the newest rules cannot be built and older ones are in force.',
  },
  { name: 'mutt_rule_set_build_ms', kind: 'gauge', help: 'How long the build of the set in force took.' },
  {
    name: 'mutt_rule_set_image_bytes',
    kind: 'gauge',
    help: 'Memory of the set in force, shared by all threads.',
  },
  {
    name: 'mutt_rules_suspended',
    kind: 'gauge',
    help: 'Rules that are suspended: they were over their budget.',
  },
  { name: 'mutt_rules_refused', kind: 'gauge', help: 'Active rules that do not compile and are left out.' },
  { name: 'mutt_rule_suspensions_total', kind: 'counter', help: 'Rules that this node has suspended.' },
];

/** Positions in the layout. */
export const AT = {
  builds: 0,
  failures: 1,
  behind: 2,
  buildMs: 3,
  imageBytes: 4,
  suspended: 5,
  refused: 6,
  suspensions: 7,
} as const;
