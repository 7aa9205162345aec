import { connect, type Socket } from 'node:net';
import { usageOf } from '../process-usage.ts';

/** What a burst of requests came to. */
export interface Driven {
  answers: number;
  seconds: number;
  /** Answers by status. */
  statuses: Map<number, number>;
  /** Of the last answer. */
  body: string;
}

/** The same of a server whose process is known: answers a second, and milliseconds of its processor time for each. */
export interface Measured extends Driven {
  rate: number;
  cpu: number;
}

/** Connections of a burst, where nothing else is said, and how long it lasts in milliseconds. */
export const CONNECTIONS = 16;
export const MILLISECONDS = 5000;

/** The bytes of a request over a kept connection. */
export function requestBytes(method: string, path: string, token: string, body?: object): Buffer {
  const text = body === undefined ? '' : JSON.stringify(body);
  return Buffer.from(
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n` +
      (body === undefined
        ? ''
        : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`) +
      `\r\n${text}`,
  );
}

/**
 * Keeps so many connections busy, each with one request after the other, over bare sockets: the driver shares the machine
 * with what it measures, so it must cost little.
 * @param next the next request of a connection
 */
export async function drive(
  url: string,
  connections: number,
  milliseconds: number,
  next: (connection: number) => Buffer,
): Promise<Driven> {
  const driven: Driven = { answers: 0, seconds: 0, statuses: new Map(), body: '' };
  const began = performance.now();
  const deadline = began + milliseconds;
  await Promise.all(
    Array.from({ length: connections }, (_, number) => keepBusy(url, () => next(number), deadline, driven)),
  );
  driven.seconds = (performance.now() - began) / 1000;
  return driven;
}

function keepBusy(url: string, next: () => Buffer, deadline: number, driven: Driven): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(Number(port), hostname);
    let answer = '';
    socket.setNoDelay(true);
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.on('connect', () => socket.write(next()));
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      const head = answer.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = /^content-length: *(\d+)/im.exec(answer.slice(0, head))?.[1];
      if (length === undefined) {
        socket.destroy(new Error(`an answer without a length: ${answer.slice(0, 300)}`));
        return;
      }
      if (answer.length < head + 4 + Number(length)) return;
      const status = Number(answer.slice(9, 12));
      driven.answers += 1;
      driven.statuses.set(status, (driven.statuses.get(status) ?? 0) + 1);
      driven.body = answer.slice(head + 4);
      answer = '';
      if (performance.now() >= deadline) socket.destroy();
      else socket.write(next());
    });
  });
}

/** Keeps connections busy, as `drive`. @throws if an answer has another status, or there is none */
export async function measured(
  { url, pid }: { url: string; pid: number },
  status: number,
  next: (connection: number) => Buffer,
  connections = CONNECTIONS,
): Promise<Measured> {
  const before = await usageOf(pid);
  const driven = await drive(url, connections, MILLISECONDS, next);
  const cpu = (await usageOf(pid)).cpu - before.cpu;
  if (driven.statuses.size !== 1 || !driven.statuses.has(status))
    throw new Error(`answered ${[...driven.statuses.keys()].join()} instead of ${status}: ${driven.body}`);
  return { ...driven, rate: driven.answers / driven.seconds, cpu: cpu / driven.answers };
}
