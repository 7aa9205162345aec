import { isUtf8 } from 'node:buffer';
import express, { type Request, type RequestHandler } from 'express';
import { AppError, invalid } from '../errors.ts';

/** Twice what the largest valid body needs: 10,000 characters, each escaped as twelve. */
const LIMIT = '256kb';

/** The caller has looked at the media type. */
const any = () => true;
const json = express.json({ type: any, limit: LIMIT, strict: false, inflate: false, verify: requireUtf8 });
const form = express.urlencoded({
  type: any,
  limit: '16kb',
  extended: false,
  inflate: false,
  parameterLimit: 20,
  verify: requireUtf8,
});

/** Enough to tell a body that says nothing. */
const raw = express.raw({ type: any, limit: '1kb', inflate: false });

const FORM = 'application/x-www-form-urlencoded';

/** Whether the body is a form, as the sender says. */
export function isForm(req: Request): boolean {
  return req.is(FORM) !== false && req.is(FORM) !== null;
}

/** Reads a body of one of these media types. A compressed one is refused: a small one could unfold without a bound. */
export function bodyReader(consumes: readonly string[]): RequestHandler {
  return (req, res, next) => {
    const type = req.get('content-length') === '0' ? null : req.is([...consumes]);
    if (type === null) {
      // No body: validation reports what is missing.
      req.body = {};
      next();
    } else if (type === false) {
      next(new AppError('unsupported_media_type', `The body must be ${consumes.join(' or ')}.`));
    } else {
      nameUtf8(req);
      // The parsers pass over a request whose sender has gone, or has closed its side, and leave no body behind.
      (type === FORM ? form : json)(req, res, (error?: unknown) =>
        next(
          error ??
            (req.body === undefined ? new AppError('malformed', 'The body was not received.') : undefined),
        ),
      );
    }
  };
}

/** Whether a request says that a body follows. */
export function hasBody({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/**
 * Refuses the body of a request where none is taken, as an unknown field is refused elsewhere: its sender means something
 * by it. Some clients send an empty object, or null, in every request.
 */
export const refuseBody: RequestHandler = (req, res, next) => {
  raw(req, res, (error?: unknown) => {
    const body: unknown = req.body;
    const isEmpty = Buffer.isBuffer(body) && /^\s*(\{\s*\}|null)?\s*$/.test(body.toString('latin1'));
    next(
      error ??
        (isEmpty
          ? undefined
          : invalid([{ loc: ['body'], msg: 'No body is taken here', type: 'any.unknown' }], 1)),
    );
  });
};

/** UTF-8 has several names (`utf8` is the usual one), of which the parsers know one. */
function nameUtf8(req: Request): void {
  const header = req.headers['content-type'];
  const charset = /;\s*charset\s*=\s*("?)([^\s;"]+)\1\s*(?=;|$)/i;
  const label = header && charset.exec(header)?.[2];
  if (label && isUtf8Label(label)) req.headers['content-type'] = header.replace(charset, '; charset=utf-8');
}

/** As the Encoding standard has it. */
function isUtf8Label(label: string): boolean {
  try {
    return new TextDecoder(label).encoding === 'utf-8';
  } catch {
    return false;
  }
}

/** The parsers would read other bytes as U+FFFD, and what is kept would not be what was sent. */
function requireUtf8(_req: unknown, _res: unknown, body: Buffer, charset: string): void {
  if (charset !== 'utf-8') {
    throw Object.assign(new Error('another character set than UTF-8'), { type: 'charset.unsupported' });
  }
  if (!isUtf8(body)) throw Object.assign(new Error('not UTF-8'), { type: 'entity.not.utf8' });
}
