/**
 * The bounds of WebSocket ingest, with their defaults and what happens at each.
 */
export interface SocketLimits {
  /** Open sockets of this process, within `connectionsMax`; a further one is answered 503. */
  socketsMax: number;
  /** A message; past it the socket is closed. At most LARGE_BODY_BYTES. */
  messageBytesMax: number;
  /** Messages of one session that may be under way: what its credit is refilled to. */
  windowMessages: number;
  /** Messages that wait for those before them, all sessions together; past it a message is refused. */
  queuedBytesMax: number;
  /** What waits to be read by one peer; past it nothing more is told until it has read. */
  bufferedBytesMax: number;
  /** A peer that reads nothing for so long, while something waits for it, is broken off. */
  slowMs: number;
  /** A peer that is not heard of for so long, answers to pings included, is closed. It is pinged at half of it. */
  silentMs: number;
  /** At a restart sockets are closed one by one over so long, so that their clients do not come back all at once. */
  leaveJitterMs: number;
}

export const SOCKET_LIMITS: Readonly<SocketLimits> = {
  socketsMax: 4_096,
  messageBytesMax: 256 * 1024,
  windowMessages: 32,
  queuedBytesMax: 64 * 1024 * 1024,
  bufferedBytesMax: 16 * 1024,
  slowMs: 10_000,
  silentMs: 60_000,
  leaveJitterMs: 1_000,
};
