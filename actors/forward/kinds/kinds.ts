/** The table of kinds. A new one is a module beside this, a name in ports.ts and a line here. */
import type { KindName } from '../../ports.ts';
import { alertmanager } from './alertmanager.ts';
import type { Kind } from './kind.ts';
import { moogsoft } from './moogsoft.ts';
import { moogsoftCloud } from './moogsoft-cloud.ts';
import { pagerduty } from './pagerduty.ts';
import { webhook } from './webhook.ts';

export const KINDS: Readonly<Record<KindName, Kind>> = {
  moogsoft,
  moogsoft_cloud: moogsoftCloud,
  pagerduty,
  alertmanager,
  webhook,
};
