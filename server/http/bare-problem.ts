import { randomUUID } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { AppError } from '../errors.ts';

/** Problem responses outside Express: for Engine.IO's requests, upgrades, and malformed HTTP. */

function headersOf(problem: AppError, id: string): Record<string, string> {
  return {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Request-Id': id,
    ...problem.headers,
  };
}

/** Answers a request with a problem. */
export function endWithProblem(res: ServerResponse, problem: AppError): void {
  const id = randomUUID();
  res.writeHead(problem.status, headersOf(problem, id));
  res.end(JSON.stringify(problem.toProblem(id)));
}

/** A whole answer of HTTP/1.1, after which the connection is to be closed. */
export function problemText(problem: AppError): string {
  const id = randomUUID();
  const body = JSON.stringify(problem.toProblem(id));
  const headers = {
    ...headersOf(problem, id),
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
  };
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '',
    body,
  ].join('\r\n');
}
