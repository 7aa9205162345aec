import { randomUUID } from 'node:crypto';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../errors.ts';

/** What long-polling is made of; OPTIONS is what a browser asks before. */
const METHODS = ['GET', 'POST', 'OPTIONS'];

/** Refuses every other method: Engine.IO would answer one on a session with a 500. */
export function refuseOtherMethods(req: IncomingMessage, res: ServerResponse, next: () => void): void {
  const { method = '' } = req;
  // An upgrade has no response that could be written to, and ws refuses what is no GET.
  if (METHODS.includes(method) || !(res instanceof ServerResponse)) {
    next();
    return;
  }
  const id = randomUUID();
  const problem = new AppError(
    'method_not_allowed',
    `${method} is not possible here; ${METHODS.join(', ')} is.`,
  );
  res.writeHead(problem.status, {
    Allow: METHODS.join(', '),
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Request-Id': id,
  });
  res.end(JSON.stringify(problem.toProblem(id)));
}
