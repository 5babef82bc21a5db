import { describeKilledForwardThread } from '../supervisors/threads/killed-forward-thread.ts';

describeKilledForwardThread(10_000);
