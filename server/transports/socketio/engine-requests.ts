import { type IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../errors.ts';
import { endWithProblem, problemText } from '../../http/bare-problem.ts';

/** Engine.IO gives its middleware an object of its own in place of a response to an upgrade, which has none. */
export type EngineResponse = ServerResponse | object;

/** Query parameters of Engine.IO. Of one that is there twice, two readers could take different ones. */
const PARAMETERS = ['EIO', 'transport', 'sid', 'j', 'b64'];

/** Sets headers on every response: no MIME sniffing, and no embedding as an image, script or frame by other origins. */
export function setSocketHeaders(_req: IncomingMessage, res: EngineResponse, next: () => void): void {
  if (res instanceof ServerResponse) {
    res.setHeader('X-Content-Type-Options', 'nosniff');
    res.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
  }
  next();
}

/** The protocol that a client speaks, if it is another than ours: `EIO=3` is that of Socket.IO 1 and 2. */
export function otherProtocol(query: URLSearchParams): string | undefined {
  const version = query.get('EIO') ?? '';
  return version === '4' ? undefined : version;
}

/**
 * What no client of Socket.IO 3 or later sends, but Engine.IO would accept: JSONP, a GET with a body, a parameter
 * twice. `b64=1` is let through: stock clients on Node and Swift send it, and with our protocol it changes nothing.
 */
export function oddForm(req: IncomingMessage, query: URLSearchParams): AppError | undefined {
  const doubled = PARAMETERS.find((name) => query.getAll(name).length > 1);
  if (doubled !== undefined)
    return new AppError('malformed', `The query parameter "${doubled}" must occur only once.`);
  if (query.has('j')) return new AppError('malformed', 'JSONP ("j") is not supported.');
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = req.headers;
  if (req.method !== 'POST' && (length !== '0' || encoding !== undefined))
    return new AppError('malformed', `A ${req.method} request must not have a body here.`, {
      headers: { Connection: 'close' },
    });
  return undefined;
}

/** Whether it asks for a session of its own. */
export function opensSession(query: URLSearchParams): boolean {
  return !query.get('sid');
}

/** The parameters of a request, as Engine.IO reads them. */
export function queryOf({ url = '/' }: IncomingMessage): URLSearchParams {
  return new URL(url, 'http://localhost').searchParams;
}

/** Answers a request or an upgrade with a problem. */
export function refuseWith(req: IncomingMessage, res: EngineResponse, problem: AppError): void {
  if (res instanceof ServerResponse) {
    endWithProblem(res, problem);
    return;
  }
  // Node has taken its own listeners off a connection that is to be upgraded.
  const { socket } = req;
  socket.on('error', () => undefined);
  socket.end(problemText(problem), () => socket.destroy());
}
