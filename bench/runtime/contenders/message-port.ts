/** Bare MessagePorts within one thread: every message is copied. No supervision, no bound, no deadline for an answer. */
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { FanInSink, sendsBursts, SENDERS } from '../contender.ts';
import type { Contender, World } from '../contender.ts';

class Ports implements World {
  private readonly channels: MessageChannel[] = [];

  pingPong(messages: number): Promise<void> {
    const { port1, port2 } = this.channel();
    return new Promise((resolve) => {
      const handTo = (port: MessagePort) => (left: number) => {
        if (left <= 0) resolve();
        else port.postMessage(left - 1);
      };
      port1.on('message', handTo(port1));
      port2.on('message', handTo(port2));
      port1.postMessage(messages);
    });
  }

  async fanIn(messages: number): Promise<void> {
    const channels = Array.from({ length: SENDERS }, () => this.channel());
    const { handle, done } = new FanInSink(messages, (sender) => channels[sender]?.port2.postMessage('go'));
    for (const [sender, { port1, port2 }] of channels.entries()) {
      const sendBurst = sendsBursts(messages, () => port1.postMessage(sender));
      port1.on('message', sendBurst);
      port2.on('message', handle);
      sendBurst();
    }
    await done;
  }

  async askInTurn(asks: number): Promise<void> {
    const { port1, port2 } = this.channel();
    let onReply: (reply: number) => void = () => undefined;
    port1.on('message', (reply: number) => onReply(reply));
    port2.on('message', (value: number) => port2.postMessage(value));
    for (let value = 0; value < asks; value++) {
      await new Promise<number>((resolve) => {
        onReply = resolve;
        port1.postMessage(value);
      });
    }
  }

  close(): void {
    for (const { port1 } of this.channels) port1.close();
  }

  private channel(): MessageChannel {
    const channel = new MessageChannel();
    this.channels.push(channel);
    return channel;
  }
}

export default { open: () => new Ports() } satisfies Contender;
