import { request } from 'node:http';
import { connect } from 'node:net';
import type { Answer } from './world.ts';

export interface RawRequest {
  method?: string;
  /** Sent as it is: nothing is encoded. */
  path: string;
  headers?: Record<string, string | string[]>;
  body?: Uint8Array | string;
}

/** A request that `fetch` would not send: odd methods, undecodable paths, doubled headers, raw bytes. */
export function rawRequest<T = unknown>(
  url: string,
  { method = 'GET', path, headers = {}, body }: RawRequest,
): Promise<Answer<T>> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const req = request(
      { hostname, port, method, path, headers: { ...length, ...headers }, agent: false, timeout: 60_000 },
      (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const names = Object.entries(res.headers).flatMap(([name, value]) =>
            value === undefined ? [] : [[name, String(value)] as [string, string]],
          );
          const json = (res.headers['content-type'] ?? '').includes('json') && text !== '';
          resolve({
            status: res.statusCode ?? 0,
            headers: new Headers(names),
            body: (json ? JSON.parse(text) : text) as T,
          });
        });
      },
    );
    req.on('timeout', () => req.destroy(new Error('no answer in a minute')));
    req.on('error', reject);
    req.end(body);
  });
}

/** Sends bytes that are no HTTP of any library's, and gives all that comes back until the server closes. */
export function rawBytes(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes, 'latin1'));
    const chunks: Buffer[] = [];
    socket.setTimeout(60_000, () => socket.destroy(new Error('the connection stays open')));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
  });
}
