import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Keeps the TCP connections of servers, also those that have become WebSockets, which `closeAllConnections` does not know.
 * @returns ends all that are open
 */
export function watchConnections(...servers: readonly Server[]): () => void {
  const open = new Set<Socket>();
  for (const server of servers)
    server.on('connection', (socket) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    });
  return () => {
    for (const socket of open) socket.destroy();
  };
}
