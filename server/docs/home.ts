import { existsSync } from 'node:fs';
import { join } from 'node:path';
import express, { type Request, type Response, type Router } from 'express';
import type { Config } from '../config.ts';
import { packageRoot } from '../paths.ts';
import { version } from '../version.ts';

/** Where `npm run build:web` puts the page. */
const built = join(packageRoot, 'dist/web');
/** Their names hold a hash of their content: what is cached once is never asked for again. */
const forGood = { immutable: true, maxAge: '365d', index: false, redirect: false } as const;

/**
 * The places of the page: `web/src/places/place.ts` has the same addresses. But for `/notifications` none is a path of
 * the API, whose routes are compared first.
 */
const places =
  /^\/(?:home|drafts|account(?:\/(?:blocks|mutes))?|moderation(?:\/(?:resolved|audit))?|search|tags\/[^/]+|p\/\d+|@[^/]+(?:\/(?:followers|following))?)$/;

/**
 * `GET /`: the live-feed page for a browser; for everyone else who is here and where to read on, which is also what a
 * browser gets from a source tree whose page was never built. A place of the page is only there for a browser.
 * @param offer who may sign up, whether mails are sent, and whether everyone may read: the page asks for it
 */
export function mountHome(
  router: Router,
  { signUp, sendsMail, publicRead }: Pick<Config, 'signUp' | 'publicRead'> & { sendsMail: boolean },
): void {
  const info = {
    name: 'tidings',
    version,
    docs: '/docs',
    sign_up: signUp,
    sends_mail: sendsMail,
    public_read: publicRead,
  };
  router.use('/assets', express.static(join(built, 'assets'), forGood));
  router.get('/', (req, res) => {
    if (!sentPage(req, res)) res.json(info);
  });
  router.get(places, (req, res, next) => {
    if (!sentPage(req, res)) next();
  });
}

/** The place at a path of the API. */
const sharedPlace = /^\/notifications$/;

/** A browser that goes to a path of the API which is a place too gets the page. To be mounted before the routes. */
export function mountSharedPlaces(router: Router): void {
  router.get(sharedPlace, (req, res, next) => {
    res.vary('Accept');
    if (asksForPage(req)) sendPage(res);
    else next();
  });
}

/** Sends the page to a browser. @returns false if none asks, or none was built: the answer is not sent then */
function sentPage(req: Request, res: Response): boolean {
  res.vary('Accept').set('Cache-Control', 'no-cache');
  if (!asksForPage(req)) return false;
  sendPage(res);
  return true;
}

/** Whether a browser asks for the page, and it was built. */
function asksForPage(req: Request): boolean {
  return req.accepts(['json', 'html']) === 'html' && existsSync(join(built, 'index.html'));
}

function sendPage(res: Response): void {
  res.set('Cache-Control', 'no-cache').sendFile('index.html', { root: built, cacheControl: false });
}
