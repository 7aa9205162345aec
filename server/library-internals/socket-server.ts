import { WebSocketServer } from 'ws';
import { protocol } from './decoding.ts';

/** What the internals count on of Socket.IO's server, and so does their self-check. */
export const socketServerOptions = {
  transports: ['websocket', 'polling'] as ('websocket' | 'polling')[],
  parser: protocol,
  // A version of ws that answers no more pings than are read.
  wsEngine: WebSocketServer,
  // It would cost 250 kB for each connection, and frames are made without it.
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
};
