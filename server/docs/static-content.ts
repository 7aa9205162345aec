import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Request, Response } from 'express';
import { isNotModified } from '../api/preconditions.ts';

/** Content that does not change while the process runs. */
export interface Content {
  body: Buffer;
  /** A hash of the body: its `ETag`, and its version in addresses. */
  version: string;
  /** The body as such an encoding has it. */
  encoded: Record<Encoding, () => Promise<Buffer>>;
}

/** The encodings that are offered; the one that is preferred first. */
const ENCODINGS = ['br', 'gzip'] as const;
type Encoding = (typeof ENCODINGS)[number];

/** A body that is no longer goes into one packet as it is. Bytes. */
const SHORT = 1024;

/**
 * Content that is built on first use and then cached (static content).
 * @param makeBrotli reads it as Brotli has it, where it is kept so; by default it is compressed here
 */
export function staticContent(
  make: () => string | Buffer | Promise<string | Buffer>,
  makeBrotli?: () => Promise<Buffer>,
): () => Promise<Content> {
  return once(async () => {
    const body = Buffer.from(await make());
    return {
      body,
      version: createHash('sha256').update(body).digest('base64url').slice(0, 16),
      encoded: {
        // Its best takes seconds for what the pages load.
        br: once(
          makeBrotli ?? (() => compressBrotli(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } })),
        ),
        gzip: once(() => compressGzip(body)),
      },
    };
  });
}

const compressBrotli = promisify(brotliCompress);
const compressGzip = promisify(gzip);

/** The outcome of the first call for all; a failure is for those alone who waited for it. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () =>
    (made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    }));
}

/**
 * A URL that names the version may be cached forever; any other is revalidated each time, mostly with a 304. Content is
 * compressed once, not per request: the middleware skips what is already encoded.
 */
export async function sendContent(req: Request, res: Response, content: Content): Promise<void> {
  const { body, version, encoded } = content;
  const forGood = req.query.v === version;
  const etag = `"${version}"`;
  res.set('ETag', etag);
  res.set('Cache-Control', forGood ? 'public, max-age=31536000, immutable' : 'no-cache');
  if (isNotModified(req, etag)) {
    res.removeHeader('Content-Type');
    res.status(304).end();
    return;
  }
  const taken =
    body.length > SHORT && req.headers['accept-encoding'] !== undefined
      ? ENCODINGS.find((encoding) => encoding === req.acceptsEncodings(...ENCODINGS, 'identity'))
      : undefined;
  if (taken === undefined) {
    res.send(body);
    return;
  }
  const bytes = await encoded[taken]();
  res.set('Content-Encoding', taken).send(bytes);
}
