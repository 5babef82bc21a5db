/** Processes of a node that are killed, stopped and continued, and the node as a whole. */
import { descendantsOf } from '../../process-identity.mjs';
import { continueProcesses, send, stopProcesses } from '../signals.ts';
import { between, lasting, present } from './fault.ts';
import type { FaultKind, Harm } from './fault.ts';

/** A gateway is hung after 2 s, a thread after 5 s: some stops are shorter, most are longer. */
const STOP_MS = { min: 1_000, max: 7_000 };

type Pids = (harm: Harm) => number[];

const supervisorOf: Pids = ({ node }) => (node.isRunning ? [node.pid] : []);

export function partOf(id: string): Pids {
  return ({ node }) => node.pidsOf(id);
}

export async function found(harm: Harm, what: string, pids: Pids): Promise<number[]> {
  const look = (): number[] | undefined => {
    const some = pids(harm);
    return some.length > 0 ? some : undefined;
  };
  return present(what, look, harm.signal);
}

export async function stopFor(harm: Harm, what: string, pids: Pids, span = STOP_MS): Promise<void> {
  const stopped = await found(harm, what, pids);
  stopProcesses(stopped);
  await lasting(between(harm.random, span.min, span.max), harm.signal);
  continueProcesses(stopped);
}

export async function kill(harm: Harm, what: string, pids: Pids): Promise<void> {
  const [pid] = await found(harm, what, pids);
  if (pid !== undefined) send(pid, 'SIGKILL');
}

export const PROCESS_FAULTS: readonly FaultKind[] = [
  {
    name: 'gateway-kill',
    what: 'a gateway process gets SIGKILL',
    takes: ['node'],
    inject: (harm) => kill(harm, 'the gateway', partOf('gateway-0')),
  },
  {
    name: 'gateway-stop',
    what: 'a gateway process is stopped (SIGSTOP) and continued: the system goes on giving it connections',
    takes: ['node'],
    inject: (harm) => stopFor(harm, 'the gateway', partOf('gateway-0')),
  },
  {
    name: 'admin-kill',
    what: 'the admin process gets SIGKILL',
    takes: ['node'],
    inject: (harm) => kill(harm, 'the admin process', partOf('admin')),
  },
  {
    name: 'admin-stop',
    what: 'the admin process is stopped and continued',
    takes: ['node'],
    inject: (harm) => stopFor(harm, 'the admin process', partOf('admin')),
  },
  {
    name: 'supervisor-kill',
    what: 'the supervisor process gets SIGKILL; a service manager starts it again',
    takes: ['node'],
    inject: (harm) => kill(harm, 'the supervisor', supervisorOf),
  },
  {
    name: 'supervisor-stop',
    what: 'the supervisor process, with all threads of the node, is stopped and continued',
    takes: ['node'],
    inject: (harm) => stopFor(harm, 'the supervisor', supervisorOf),
  },
  {
    name: 'supervisor-kill-gateway-stopped',
    what: 'the supervisor gets SIGKILL while its gateway is stopped and keeps the port',
    takes: ['node'],
    async inject(harm) {
      const gateway = await found(harm, 'the gateway', partOf('gateway-0'));
      stopProcesses(gateway);
      await kill(harm, 'the supervisor', supervisorOf);
      await lasting(between(harm.random, STOP_MS.min, STOP_MS.max), harm.signal);
      continueProcesses(gateway);
    },
  },
  {
    name: 'node-kill',
    what: 'every process of a node gets SIGKILL at once, its Redis too: as power lost',
    takes: ['node'],
    async inject(harm) {
      const [supervisor = 0] = await found(harm, 'the supervisor', supervisorOf);
      // The supervisor first, so that it starts none of the others again.
      send(supervisor, 'SIGKILL');
      for (const pid of harm.node.processes) send(pid, 'SIGKILL');
    },
  },
  {
    name: 'node-stop',
    what: 'every process of a node is stopped and continued: as a virtual machine that is moved',
    takes: ['node'],
    inject: (harm) =>
      stopFor(harm, 'the supervisor', ({ node }) =>
        node.isRunning ? [node.pid, ...descendantsOf(node.pid)] : [],
      ),
  },
  {
    name: 'node-restart',
    what: 'a node is told to stop (SIGTERM), which must end with 0, and is started again',
    takes: ['node'],
    async inject(harm) {
      await found(harm, 'the supervisor', supervisorOf);
      await harm.node.stopCleanly();
      harm.node.release();
    },
  },
];
