import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Callbacks for the end of a connection; one listener for all of them. */
const waiting = new WeakMap<Socket, Set<() => void>>();

/**
 * Calls `tell` once: when a response has been sent whole, or when its connection has ended. Node says the second only to the
 * response that is being sent, not to those that stand behind it on the connection (pipelining).
 */
export function whenOver(res: ServerResponse, tell: () => void): void {
  const { socket } = res.req;
  let over = false;
  const once = () => {
    if (over) return;
    over = true;
    waiting.get(socket)?.delete(once);
    tell();
  };
  res.once('close', once);
  if (socket.destroyed) {
    setImmediate(once);
    return;
  }
  let ofSocket = waiting.get(socket);
  if (!ofSocket) {
    const all = new Set<() => void>();
    ofSocket = all;
    waiting.set(socket, all);
    socket.once('close', () => {
      for (const ended of [...all]) ended();
    });
  }
  ofSocket.add(once);
}

/** Whether anything may still be written to a response. */
export function isWritable(res: ServerResponse): boolean {
  return !res.writableEnded && !res.destroyed && !res.req.socket.destroyed;
}
