import { IncomingMessage } from 'node:http';

/**
 * A request of which only a WebSocket of Socket.IO is an upgrade; for `createServer`. Node takes every request with
 * `Upgrade` for one, without its body, as soon as there is a listener for upgrades. Some clients offer h2c with every
 * request: a server answers what it does not switch to over HTTP/1.1 (RFC 9110, 7.8).
 */
export class UpgradableRequest extends IncomingMessage {
  /** Whether it asks for another protocol, whichever. */
  asksForUpgrade = false;

  // Node writes here what its parser has found, and reads whether it is to hand the connection over.
  get upgrade(): boolean {
    return this.asksForUpgrade && (this.method === 'CONNECT' || asksForSocket(this));
  }

  set upgrade(found: boolean | null) {
    this.asksForUpgrade = found === true;
  }
}

function asksForSocket({ url, headers }: IncomingMessage): boolean {
  return url?.startsWith('/socket.io/') === true && headers.upgrade?.toLowerCase() === 'websocket';
}
