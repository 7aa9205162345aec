import { connect, type Socket } from 'node:net';

/** One TCP connection on which requests are written by hand: pipelined, one by one, or in pieces. */
export class Wire {
  readonly tcp: Socket;
  /** All that came back. */
  said = '';
  closed = false;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.tcp = connect(Number(port), hostname);
    this.tcp.on('data', (chunk) => (this.said += chunk.toString()));
    this.tcp.on('error', () => undefined); // a close follows
    this.tcp.on('close', () => (this.closed = true));
  }

  send(bytes: string): void {
    this.tcp.write(bytes);
  }

  end(): void {
    this.tcp.destroy();
  }
}

/** A request without a body, as bytes. */
export function requestBytes(path: string, token: string, method = 'GET'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Length: 0\r\n\r\n`;
}
