import { type IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../errors.ts';
import { endWithProblem } from '../../http/bare-problem.ts';

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
  const allowed = METHODS.join(', ');
  endWithProblem(
    res,
    new AppError('method_not_allowed', `${method} is not allowed here. Allowed: ${allowed}.`, {
      headers: { Allow: allowed },
    }),
  );
}
