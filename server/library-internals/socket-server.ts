import { type ServerOptions, WebSocketServer } from 'ws';
import { protocol } from './decoding.ts';

/** How long a peer may take to answer the closing frame before its TCP connection is ended. Milliseconds. */
const CLOSE_TIMEOUT = 1000;

/**
 * A WebSocket that Engine.IO closes before it belongs to a session, such as a second upgrade of one, is nobody's to cut off.
 * It would stand for half a minute.
 */
class BriefServer extends WebSocketServer {
  constructor(options: ServerOptions) {
    // The types do not know it yet.
    super(Object.assign(options, { closeTimeout: CLOSE_TIMEOUT }));
  }
}

/** What the internals count on of Socket.IO's server, and so does their self-check. */
export const socketServerOptions = {
  transports: ['websocket', 'polling'] as ('websocket' | 'polling')[],
  parser: protocol,
  // A version of ws that answers no more pings than are read.
  wsEngine: BriefServer,
  // It would cost 250 kB for each connection, and frames are made without it.
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
};
