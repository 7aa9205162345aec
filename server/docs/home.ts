import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import express, { type Request, type Response, type Router } from 'express';
import { toAppError } from '../api/errors.ts';
import { isNotModified } from '../api/preconditions.ts';
import { withTimeout } from '../async/timeout.ts';
import type { Config } from '../config.ts';
import { unavailable } from '../errors.ts';
import { packageRoot } from '../paths.ts';
import { version } from '../version.ts';
import { type SharedLink, withHead } from './page-head.ts';

/** Where `npm run build:web` puts the page. */
const built = join(packageRoot, 'dist/web');
/** Parts of a file are not given: they would be compressed as if each were a whole one. */
const whole = { acceptRanges: false } as const;
/** Their names hold a hash of their content: what is cached once is never asked for again. */
const forGood = { ...whole, immutable: true, maxAge: '365d', index: false, redirect: false } as const;

/** What the build puts beside the page, and what has one address for all builds: it is asked for each time. */
const stable = ['/manifest.webmanifest', '/service-worker.js'];

/**
 * The places of the page: `web/src/places/place.ts` has the same addresses. But for `/notifications` none is a path of
 * the API, whose routes are compared first.
 */
const places =
  /^\/(?:home|drafts|account(?:\/(?:blocks|mutes))?|moderation(?:\/(?:resolved|audit))?|search|tags\/[^/]+|p\/\d+|@[^/]+(?:\/(?:followers|following))?)$/;

/** How long the page waits for what its head is to tell. Milliseconds. */
const HEAD_WITHIN = 1000;

/** What the place at an address is about, where everyone may read it. */
export type SharedPlace = { postId: number } | { tag: string } | { username: string };

export interface HomeOptions extends Pick<Config, 'signUp' | 'publicRead' | 'publicUrl' | 'oidc'> {
  sendsMail: boolean;
  /** Reads what a link to a place tells, as a request of that sender. @throws {AppError} 404, 429, 503 */
  describe: (place: SharedPlace, req: Request, res: Response) => Promise<SharedLink>;
}

/**
 * `GET /`: the live-feed page for a browser; for everyone else who is here and where to read on, which is also what a
 * browser gets from a source tree whose page was never built. A place of the page is only there for a browser. Where
 * everyone may read, its head tells what is there.
 */
export function mountHome(router: Router, options: HomeOptions): void {
  const { signUp, sendsMail, publicRead, oidc } = options;
  const info = {
    name: 'tidings',
    version,
    docs: '/docs',
    sign_up: signUp,
    sends_mail: sendsMail,
    public_read: publicRead,
    oidc: oidc ? { name: oidc.name } : null,
  };
  router.use('/assets', express.static(join(built, 'assets'), forGood));
  router.get(stable, (req, res, next) => {
    const headers = { 'Cache-Control': 'no-cache' };
    res.sendFile(req.path, { ...whole, root: built, cacheControl: false, headers }, (error: unknown) => {
      if (error === undefined || res.headersSent) return;
      // Not there: the page was never built.
      next(error instanceof Error && 'status' in error && error.status === 412 ? error : undefined);
    });
  });
  router.get('/robots.txt', (_req, res) => {
    res.type('text/plain').set('Cache-Control', 'public, max-age=3600').send(robots(publicRead));
  });
  router.get('/', async (req, res) => {
    if (!(await sentPage(req, res, options))) res.json(info);
  });
  router.get(places, async (req, res, next) => {
    if (!(await sentPage(req, res, options))) next();
  });
}

/** The place at a path of the API. */
const sharedPlace = /^\/notifications$/;

/** Whether a path of the API is a place of the page too. */
export function isSharedPlace(path: string): boolean {
  return sharedPlace.test(path);
}

/** A browser that goes to a path of the API which is a place too gets the page. To be mounted before the routes. */
export function mountSharedPlaces(router: Router, options: HomeOptions): void {
  router.get(sharedPlace, async (req, res, next) => {
    res.vary('Accept');
    if (asksForPage(req, options)) await sendPage(req, res, options);
    else next();
  });
}

/** Sends the page to a browser. @returns false if none asks, or none was built: the answer is not sent then */
async function sentPage(req: Request, res: Response, options: HomeOptions): Promise<boolean> {
  res.vary('Accept').set('Cache-Control', 'no-cache');
  if (!asksForPage(req, options)) return false;
  await sendPage(req, res, options);
  return true;
}

/**
 * Whether the page was built and is asked for: by a browser, or, where everyone may read, by whatever follows a link to a
 * place. What makes previews of links often takes anything.
 */
function asksForPage(req: Request, { publicRead }: HomeOptions): boolean {
  const isLink = publicRead && placeAt(req.path) !== undefined;
  return (
    req.accepts(isLink ? ['html', 'json'] : ['json', 'html']) === 'html' &&
    existsSync(join(built, 'index.html'))
  );
}

async function sendPage(req: Request, res: Response, options: HomeOptions): Promise<void> {
  const { status, link } = await linkAt(req, res, options);
  const html = withHead(await readFile(join(built, 'index.html'), 'utf8'), { ...options, link });
  const etag = `"${createHash('sha256').update(html).digest('base64url').slice(0, 16)}"`;
  res.set({ 'Cache-Control': 'no-cache', ETag: etag });
  if (status === 200 && isNotModified(req, etag)) res.status(304).end();
  else res.status(status).type('html').send(html);
}

/**
 * What is told of the place of a request. Where it cannot be told the page comes all the same, with the status that says
 * why: it shows more than a browser's own words.
 */
async function linkAt(
  req: Request,
  res: Response,
  { publicRead, describe }: HomeOptions,
): Promise<{ status: number; link: SharedLink | undefined }> {
  if (!publicRead) return { status: 200, link: undefined };
  if (req.path === '/') return { status: 200, link: home };
  const place = placeAt(req.path);
  if (!place) return { status: 200, link: undefined };
  try {
    const late = () => unavailable('The database takes long to answer.', 2);
    return { status: 200, link: await withTimeout(HEAD_WITHIN, describe(place, req, res), late) };
  } catch (error) {
    const known = toAppError(error);
    if (!known) throw error;
    res.set(known.headers);
    return { status: known.status, link: undefined };
  }
}

const home: SharedLink = {
  title: 'Tidings',
  description: 'Small news, as it happens.',
  path: '/',
  type: 'website',
  listed: true,
};

function placeAt(path: string): SharedPlace | undefined {
  const [, kind, name = ''] = /^\/(p\/|tags\/|@)([^/]+)$/.exec(path) ?? [];
  if (kind === 'p/') return { postId: Number(name) };
  if (kind === undefined) return undefined;
  const decoded = decode(name);
  return kind === '@' ? { username: decoded } : { tag: decoded };
}

/** A part of a path; as it is if it is not encoded well. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Where search engines may look. Where nobody reads without an account there is nothing for them. */
function robots(publicRead: boolean): string {
  const closed = ['home', 'drafts', 'account', 'moderation', 'notifications', 'search', 'documents'];
  const lines = publicRead ? closed.map((path) => `Disallow: /${path}`) : ['Disallow: /'];
  return ['User-agent: *', ...lines, ''].join('\n');
}
