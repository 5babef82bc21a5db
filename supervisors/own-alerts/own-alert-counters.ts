/**
 * What a node counts about its own alerts and its beat.
 */
import type { CounterLayout } from '../../runtime/shared/counters.ts';

const raised = (status: string): CounterLayout[number] => ({
  name: 'mutt_own_alerts_total',
  labels: { status },
  kind: 'counter',
  help: 'Alerts about MUTT itself.',
});
const posted = (status: string): CounterLayout[number] => ({
  name: 'mutt_own_alert_posts_total',
  labels: { status },
  kind: 'counter',
  help: 'Deliveries of alerts about MUTT itself.',
});
const beat = (status: string): CounterLayout[number] => ({
  name: 'mutt_beats_total',
  labels: { status },
  kind: 'counter',
  help: 'Beats to the dead-man service.',
});

export const OWN_ALERT_LAYOUT: CounterLayout = [
  raised('firing'),
  raised('resolved'),
  posted('success'),
  posted('fail'),
  beat('success'),
  beat('fail'),
  { name: 'mutt_own_alerts_open', kind: 'gauge', help: 'Troubles of MUTT that are open.' },
  { name: 'mutt_own_alerts_waiting', kind: 'gauge', help: 'Alerts about MUTT itself that wait to be sent.' },
  {
    name: 'mutt_own_alerts_dropped_total',
    kind: 'counter',
    help: 'Alerts about MUTT itself that no destination took for a day.',
  },
];

/** Positions in the layout. */
export const AT = {
  firing: 0,
  resolved: 1,
  posted: 2,
  failed: 3,
  beats: 4,
  failedBeats: 5,
  open: 6,
  waiting: 7,
  dropped: 8,
} as const;
