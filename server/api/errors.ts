import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { databaseErrorCode, isUnavailable } from '../database/connection.ts';
import { AppError, unavailable } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { RequestGuard } from '../http/request-guard.ts';

/**
 * Maps an error to what the caller may see: our own errors unchanged; errors of Express and its parsers about the
 * request; database errors that mean it is unavailable. Everything else is a bug: undefined.
 */
export function toAppError(error: unknown): AppError | undefined {
  if (error instanceof AppError) return error;
  if (isUnavailable(error)) {
    return unavailable('The database did not confirm this request. Retry with the same Idempotency-Key.', 2);
  }
  const code = databaseErrorCode(error);
  // Class 22 is data that PostgreSQL cannot hold: what validation should have refused, but no reason to fail.
  if (code?.startsWith('22'))
    return new AppError('invalid', 'The input holds a value that cannot be stored.');
  // Class 23 is a constraint: a race that no command has foreseen.
  if (code?.startsWith('23')) return new AppError('conflict', 'The request conflicts with another one.');
  if (code === '40001' || code === '40P01') {
    return unavailable('The request collided with others. Try again.', 1);
  }
  return fromParser(error);
}

/** Errors of Express's router and body parsers (http-errors). */
function fromParser(error: unknown): AppError | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return undefined;
  const type = 'type' in error ? error.type : undefined;
  if (type === 'entity.not.utf8') {
    return new AppError('invalid', 'The body is not valid UTF-8.', {
      errors: [{ loc: ['body'], msg: 'The body is not valid UTF-8', type: 'string.encoding' }],
    });
  }
  switch (type === 'charset.unsupported' ? 415 : error.status) {
    case 412:
      return new AppError('version_mismatch', 'The file is not the one that the precondition is about.');
    case 413:
      return new AppError('too_large', 'The body is larger than allowed.');
    case 415:
      return new AppError(
        'unsupported_media_type',
        'The encoding or character set of the body is not supported.',
      );
    case 400:
      if (type === 'entity.parse.failed') {
        return new AppError('invalid', 'The body is not valid JSON.', {
          errors: [{ loc: ['body'], msg: 'The body is not valid JSON', type: 'json.parse' }],
        });
      }
      return new AppError(
        'malformed',
        error instanceof URIError || type === undefined
          ? 'The URL cannot be decoded.'
          : 'The body cannot be read.',
      );
    default:
      return error.status >= 400 && error.status < 500
        ? new AppError('malformed', 'The request cannot be read.')
        : undefined;
  }
}

/** Answers with the problem object of RFC 9457. */
function sendProblem(res: Response, error: AppError): void {
  res
    .status(error.status)
    .set(error.headers)
    .type('application/problem+json')
    .send(JSON.stringify(error.toProblem(String(res.getHeader('X-Request-Id') ?? ''))));
}

/** Lets in requests for a host that the node answers to. */
export function requireHost(guard: RequestGuard): RequestHandler {
  return (req, _res, next) => {
    const refusal = guard.hostRefusal(req);
    if (refusal) throw refusal;
    next();
  };
}

/** What a person sees who follows a wrong link: the problem as words, and a way back. */
const notFoundPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Not found</title>
<h1>Not found</h1>
<p>There is nothing at this address. It may be mistyped.</p>
<p><a href="/">To the start page</a></p>
</html>
`;

/** No route or page has this path. A browser that goes there gets a page; what asks for anything else, the problem. */
export const notFound: RequestHandler = (req, res) => {
  res.vary('Accept');
  if (req.method === 'GET' && req.accepts(['json', 'html']) === 'html') {
    res.status(404).type('html').send(notFoundPage);
    return;
  }
  throw new AppError('not_found', `There is nothing at ${req.method} ${req.path.slice(0, 200)}.`);
};

/** The last middleware. */
export function errorHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, req, res, next) => {
    const known = toAppError(error);
    if (!known)
      log.error(
        { err: error, method: req.method, url: req.path, request_id: res.getHeader('X-Request-Id') },
        'a request failed because of a bug',
      );
    else if (known.status >= 500)
      log.warn({ err: error, request_id: res.getHeader('X-Request-Id') }, 'a request could not be served');
    if (res.headersSent) {
      next(error);
      return;
    }
    sendProblem(res, known ?? new AppError('internal', 'Something went wrong here. It has been logged.'));
  };
}
