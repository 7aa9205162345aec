import type { Socket } from 'socket.io';
import type { FastPaths } from './fast-paths.ts';
import { Few } from './few.ts';

type Listener = (...args: unknown[]) => void;

interface Emitter {
  _events?: Record<string, unknown>;
  rawListeners(event: string): unknown[];
  removeListener(event: string, listener: Listener): unknown;
}

/** What of Socket.IO, Engine.IO and ws holds on to more than a standing connection needs; self-check.ts tries it. */
interface Internals {
  client?: {
    decoder?: { _callbacks?: Record<string, unknown[]> };
    sockets?: Map<string, unknown> | Few<string>;
    nsps?: Map<string, unknown> | Few<string>;
  };
  conn: {
    request?: unknown;
    writeBuffer: unknown[];
    packetsFn?: unknown[];
    sentCallbackFn?: unknown[];
    cleanupFn?: unknown[];
    transport: { name: string; socket?: Emitter & { _socket?: Emitter; _receiver?: Emitter } };
  };
  handshake: object;
  adapter: { delAll(id: string): unknown };
  fns?: unknown[];
  acks?: Map<number, unknown> | Few<number>;
  _anyListeners?: unknown[];
}

/** What is kept of a handshake once it is over. */
const nothing = Object.freeze({});

/** What happens once in a connection's life, so that its listener need not be removed for that. */
const ENDS = ['close', 'error'];

/**
 * Releases what a connection needed to come about and no more, unless `slim-connections` is off. If that fails, the
 * connection is closed: its client connects again, and the others stay.
 */
export function slim(socket: object, fastPaths: FastPaths): void {
  if (!fastPaths.uses('slim-connections')) return;
  try {
    release(socket as Internals);
  } catch (error) {
    fastPaths.fail('slim-connections', error);
    close((socket as Socket).conn);
  }
}

function close(conn: Socket['conn']): void {
  try {
    conn.close(true);
  } catch {
    // It cannot be closed as it is now: without its TCP connection it ends by itself.
    conn.request?.socket.destroy();
  }
}

/**
 * The HTTP request and all that Engine.IO hangs on it, the listeners for an upgrade that has happened, arrays that have room
 * for sixteen and hold one, the rooms of Socket.IO's adapter, in which nobody looks for a socket here, and the unused room of
 * six event emitters.
 */
function release(socket: Internals): void {
  const { conn } = socket;
  Object.assign(socket.handshake, { headers: nothing, query: nothing, auth: nothing, time: '', url: '' });
  socket.adapter.delAll((socket as unknown as Socket).id);
  if (socket.acks instanceof Map) socket.acks = new Few(socket.acks);
  for (const key of ['fns', '_anyListeners'] as const) socket[key] &&= exactly(socket[key]);
  for (const key of ['packetsFn', 'sentCallbackFn', 'cleanupFn'] as const) conn[key] &&= exactly(conn[key]);
  if (conn.writeBuffer.length === 0) conn.writeBuffer = [];
  const { client } = socket;
  for (const key of ['sockets', 'nsps'] as const)
    if (client?.[key] instanceof Map) client[key] = new Few(client[key]);
  const heard = client?.decoder?._callbacks;
  for (const event of Object.keys(heard ?? {})) if (heard?.[event]) heard[event] = exactly(heard[event]);
  // A long-polling session still needs its request.
  if (conn.transport.name !== 'websocket') return;
  conn.request = undefined;
  const webSocket = conn.transport.socket;
  if (!webSocket) return;
  remove(webSocket, 'error', (listener) => listener.name === 'onUpgradeError');
  // Engine.IO's stand-in for a response waits for the end of the connection, with its request.
  if (webSocket._socket) remove(webSocket._socket, 'close', (listener, once) => once && listener.name === '');
  for (const emitter of [socket, conn, conn.transport, webSocket, webSocket._receiver, webSocket._socket])
    if (emitter) tighten(emitter as Emitter);
}

/** Listeners by event, as Node's emitters keep them: it has nothing else under any name. */
class Listeners {
  [event: string]: unknown;
}
Object.setPrototypeOf(Listeners.prototype, null);
delete (Listeners.prototype as { constructor?: unknown }).constructor;

/**
 * An emitter's listeners in less room. Node keeps them in an object that V8 makes a hash table, since it has no prototype
 * from the beginning; and `once` wraps a listener in four objects, so that it can be removed.
 */
function tighten(emitter: Emitter): void {
  const before = emitter._events;
  if (!before) return;
  const events = new Listeners();
  for (const event in before) {
    const listeners = before[event];
    if (listeners === undefined) continue;
    if (!ENDS.includes(event)) events[event] = listeners;
    else events[event] = Array.isArray(listeners) ? listeners.map(unwrapped) : unwrapped(listeners);
  }
  emitter._events = events;
}

function unwrapped(listener: unknown): unknown {
  return (listener as { listener?: unknown }).listener ?? listener;
}

/** The same array without room for more. */
function exactly(array: unknown[]): unknown[] {
  return array.slice();
}

function remove(
  emitter: Emitter,
  event: string,
  which: (listener: Listener, once: boolean) => boolean,
): void {
  for (const raw of emitter.rawListeners(event) as (Listener & { listener?: Listener })[]) {
    const listener = raw.listener ?? raw;
    if (which(listener, raw.listener !== undefined)) emitter.removeListener(event, listener);
  }
}
