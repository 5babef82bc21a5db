/** The side of the benchmark: a contender's process, asked for one measurement after the other. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Rate } from '../support/bench.ts';
import type { Operation } from './contender.ts';
import type { FromContender, ToContender } from './contender-process.ts';

export class ContenderHost {
  readonly name: string;
  private readonly child: ChildProcess;
  private readonly ready: Promise<FromContender>;

  constructor(name: string, moduleUrl: URL) {
    this.name = name;
    this.child = fork(fileURLToPath(new URL('./contender-process.ts', import.meta.url)), [moduleUrl.href], {
      execArgv: ['--expose-gc'],
    });
    this.ready = this.answer();
  }

  /** Undefined when the contender's library cannot do it. */
  async rate(operation: Operation, size: number): Promise<Rate | undefined> {
    const answer = await this.ask({ what: 'rate', operation, size });
    return 'rate' in answer ? answer.rate : undefined;
  }

  /** Heap that is held after the operation, collected before and after. */
  async heapBytes(operation: Operation, size: number): Promise<number | undefined> {
    const answer = await this.ask({ what: 'heap', operation, size });
    return 'bytes' in answer ? answer.bytes : undefined;
  }

  end(): void {
    this.child.kill('SIGKILL');
  }

  private async ask(request: ToContender): Promise<FromContender> {
    await this.ready;
    const answer = this.answer();
    this.child.send(request);
    const given = await answer;
    if ('error' in given) throw new Error(`${this.name}, ${request.operation}: ${given.error}`);
    return given;
  }

  private answer(): Promise<FromContender> {
    return new Promise((resolve, reject) => {
      const died = (code: number | null): void =>
        reject(new Error(`${this.name} exited with ${code ?? 'a signal'}`));
      this.child.once('exit', died);
      this.child.once('message', (message) => {
        this.child.off('exit', died);
        resolve(message as FromContender);
      });
    });
  }
}
