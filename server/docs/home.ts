import { existsSync } from 'node:fs';
import { join } from 'node:path';
import express, { type Router } from 'express';
import type { Config } from '../config.ts';
import { packageRoot } from '../paths.ts';
import { version } from '../version.ts';

/** Where `npm run build:web` puts the page. */
const built = join(packageRoot, 'dist/web');
/** Their names hold a hash of their content: what is cached once is never asked for again. */
const forGood = { immutable: true, maxAge: '365d', index: false, redirect: false } as const;

/**
 * `GET /`: the live-feed page for a browser; for everyone else who is here and where to read on, which is also what a
 * browser gets from a source tree whose page was never built.
 * @param signUp who may sign up: the page asks for it
 */
export function mountHome(router: Router, signUp: Config['signUp']): void {
  router.use('/assets', express.static(join(built, 'assets'), forGood));
  router.get('/', (req, res) => {
    res.vary('Accept');
    res.set('Cache-Control', 'no-cache');
    if (req.accepts(['json', 'html']) === 'html' && existsSync(join(built, 'index.html'))) {
      res.sendFile('index.html', { root: built, cacheControl: false });
    } else {
      res.json({ name: 'tidings', version, docs: '/docs', sign_up: signUp });
    }
  });
}
