import type { Socket } from 'node:net';

/** Ends a connection from below, whoever has it: its query fails, and its pool lets go of it. */
export function cutOff(client: object, reason: Error): void {
  (client as { connection: { stream: Socket } }).connection.stream.destroy(reason);
}
