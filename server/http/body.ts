import express, { type RequestHandler } from 'express';
import { AppError } from '../errors.ts';

/** Twice what the largest valid body needs: 10,000 characters, each escaped as twelve. */
const LIMIT = '256kb';

const json = express.json({ limit: LIMIT, strict: false, inflate: false });
const form = express.urlencoded({ limit: '16kb', extended: false, inflate: false, parameterLimit: 20 });

/** Reads a body of one of these media types. A compressed one is refused: a small one could unfold without a bound. */
export function bodyReader(consumes: readonly string[]): RequestHandler {
  return (req, res, next) => {
    const type = req.is([...consumes]);
    if (type === null) {
      // No body at all: validation says what is missing.
      req.body = {};
      next();
    } else if (type === false) {
      next(new AppError('unsupported_media_type', `The body must be ${consumes.join(' or ')}.`));
    } else (type === 'application/json' ? json : form)(req, res, next);
  };
}
