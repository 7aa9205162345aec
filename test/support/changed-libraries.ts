/* oxlint-disable typescript/unbound-method -- methods are taken from prototypes to be put in their place again */
import { createRequire } from 'node:module';

/**
 * Loaded by the thread of the self-check before the libraries: makes of them what another version of them could be. What is to
 * be changed is the query of this module's address.
 */

const require = createRequire(createRequire(import.meta.url).resolve('socket.io'));
const { Socket: EngineSocket } = require('engine.io') as { Socket: { prototype: Connection } };
const { WebSocket } = createRequire(import.meta.url)('ws') as { WebSocket: { prototype: object } };

const { Client, Connection: PgConnection } = createRequire(import.meta.url)('pg') as {
  Client: { prototype: { connection: { stream: { destroy(): void } }; query(...args: unknown[]): unknown } };
  Connection: { prototype: { connect(port: number, host: string): void } };
};

interface Connection {
  request: unknown;
  writeBuffer: object[];
  sendPacket(...args: unknown[]): void;
  schedulePing(): void;
  flush(): void;
}

const changes: Record<string, () => void> = {
  nothing: () => undefined,
  /** Packets wait elsewhere for a moment, so that what is written past them comes before them. */
  'a queue that Engine.IO keeps elsewhere': () => {
    const { sendPacket } = EngineSocket.prototype;
    EngineSocket.prototype.sendPacket = function (...args) {
      setImmediate(() => sendPacket.apply(this, args));
    };
  },
  'a WebSocket without its connection': () => {
    const connection = Symbol('connection');
    const isOurs = () => (new Error().stack ?? '').includes('engine-connection');
    Object.defineProperty(WebSocket.prototype, '_socket', {
      configurable: true,
      get(this: Record<symbol, unknown>) {
        return isOurs() ? undefined : this[connection];
      },
      set(this: Record<symbol, unknown>, value) {
        this[connection] = value;
      },
    });
  },
  'a queue of bytes that is not told': () => {
    Object.defineProperty(WebSocket.prototype, 'bufferedAmount', { configurable: true, get: () => 0 });
  },
  'a request that pings need': () => {
    const { schedulePing } = EngineSocket.prototype;
    EngineSocket.prototype.schedulePing = function () {
      schedulePing.call(this);
      setInterval(() => {
        if (!this.request) throw new Error('this version needs its request');
      }, 20);
    };
  },
  'rooms that are needed to leave': () => {
    const { Adapter } = require('socket.io-adapter') as { Adapter: { prototype: { delAll: () => void } } };
    Adapter.prototype.delAll = function () {
      throw new Error('the rooms are gone');
    };
  },
  'a driver that takes its address at once': () => {
    const { connect } = PgConnection.prototype;
    PgConnection.prototype.connect = function () {
      connect.call(this, 1, 'first.invalid');
    };
  },
  'a driver without its stream': () => {
    const { query } = Client.prototype;
    Client.prototype.query = function (...args) {
      const answer = query.apply(this, args);
      const { stream } = this.connection;
      this.connection = Object.assign(Object.create(this.connection) as typeof this.connection, {
        stream: { destroy: () => stream.destroy() },
      });
      return answer;
    };
  },
  'no server': () => {
    throw new Error('this version cannot be loaded');
  },
};

const change = decodeURIComponent(new URL(import.meta.url).search.slice(1));
const make = changes[change];
if (!make) throw new Error(`there is no change "${change}"`);
make();
