import type { Socket } from 'node:net';
import type { Client } from 'pg';

/** What is used of `pg` beyond its documentation. What a version of it does not have is done without. */
interface Internals {
  connectionParameters?: { options?: string };
  processID?: number | null;
  connection?: { stream?: Socket };
}

let onlyDocumented = false;

/** From here on nothing is used in this process that `pg` does not document: the self-check has found that it is not as expected. */
export function useOnlyDocumented(): void {
  onlyDocumented = true;
}

function internalsOf(client: object): Internals {
  return onlyDocumented ? {} : client;
}

/** Sets the address of a connection that is yet to be opened, for a password file too, which has one for each address. */
export function setAddress(client: Client, address: { host: string; port: number }): void {
  Object.assign(client, address);
  const { connectionParameters } = internalsOf(client);
  if (connectionParameters) Object.assign(connectionParameters, address);
}

/**
 * `pg` would take PGOPTIONS into the startup packet, which a pooler refuses. It is set by statements, as `options` is. Where this
 * cannot be done, a pooler says that it refuses it.
 */
export function sendNoOptions(client: Client): void {
  const { connectionParameters } = internalsOf(client);
  if (connectionParameters) connectionParameters.options = '';
}

/** The number of the server's process as the other end told it, which may be a pooler; undefined if it is not known. */
export function toldProcessId(client: Client): number | undefined {
  return internalsOf(client).processID ?? undefined;
}

/**
 * Destroys the stream of a connection, in use or not: its query fails with the reason, and its pool drops it. Without
 * access to its stream it is ended, which fails its query too, but without the reason.
 */
export function cutOff(client: { end?: () => unknown }, reason: Error): void {
  const stream = internalsOf(client).connection?.stream;
  if (stream) stream.destroy(reason);
  else
    void Promise.resolve()
      .then(() => client.end?.())
      .catch(() => undefined);
}
