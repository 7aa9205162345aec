import type { Server } from 'node:http';
import { AppError } from '../errors.ts';
import { problemText } from './bare-problem.ts';
import { hasBegunToAnswer } from './pipelining.ts';

/**
 * Responds with a problem object to requests that Node's HTTP parser rejects; Node's own response has no body. Such
 * requests are also counted here, since no middleware sees them. A connection that has become a WebSocket is no longer
 * the HTTP server's, and never comes here.
 */
export function answerMalformed(http: Server, onUnreadable: (status: number) => void): void {
  http.on('clientError', (error: NodeJS.ErrnoException, connection) => {
    const problem = problemOf(error.code);
    // Reset by its peer, or in the middle of an answer that must not be garbled.
    if (error.code === 'ECONNRESET' || !connection.writable || hasBegunToAnswer(connection)) {
      connection.destroy();
      return;
    }
    onUnreadable(problem.status);
    connection.end(problemText(problem), () => connection.destroy());
  });
  // An expectation that is not known may be passed over (RFC 9110, 10.1.1); Node would answer a bare 417.
  http.on('checkExpectation', (req, res) => http.emit('request', req, res));
}

function problemOf(code: string | undefined): AppError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new AppError('headers_too_large', 'The URL and headers of a request may have 16 KiB at most.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new AppError('too_large', 'The body is larger than allowed.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new AppError('request_timeout', 'The request did not arrive in time.');
    default:
      return new AppError('malformed', 'The request is not valid HTTP.');
  }
}
