import type { Router } from 'express';

/** `GET /`: who is here, and where to read on. */
export function mountHome(router: Router): void {
  router.get('/', (_req, res) => {
    res.json({ name: 'tidings', version: '0.1.0', docs: '/docs' });
  });
}
