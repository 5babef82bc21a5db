import { describeKilledForwardThread } from './killed-forward-thread.ts';

describeKilledForwardThread(1_500);
