import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/** helmet's defaults, but for what only a TLS terminator in front may promise. */
export const securityHeaders: Parameters<typeof helmet>[0] = {
  strictTransportSecurity: false,
  contentSecurityPolicy: {
    directives: {
      upgradeInsecureRequests: null,
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      fontSrc: ["'self'"],
    },
  },
};

/** Sets what helmet sets. That is the same on every answer, so helmet is asked once, and its dozen layers run once. */
export function secure(): RequestHandler {
  const headers = headersOfHelmet();
  return (_req, res, next) => {
    for (const [name, value] of headers) res.setHeader(name, value);
    next();
  };
}

/** A response that nobody waits for, and what is set on it. */
class Recorder extends ServerResponse {
  readonly set: [name: string, value: string | number | readonly string[]][] = [];

  override setHeader(name: string, value: string | number | readonly string[]): this {
    this.set.push([name, value]);
    return super.setHeader(name, value);
  }
}

/** @throws if helmet does not do its work at once, or fails */
function headersOfHelmet(): Recorder['set'] {
  const req = new IncomingMessage(new Socket());
  const res = new Recorder(req);
  let done = false;
  helmet(securityHeaders)(req, res, (error?: unknown) => {
    if (error !== undefined) throw new Error('helmet could not make its headers', { cause: error });
    done = true;
  });
  if (!done) throw new Error('helmet no longer makes its headers at once');
  return res.set;
}
