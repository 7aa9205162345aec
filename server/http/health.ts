import type { Router } from 'express';
import { AppError } from '../errors.ts';
import { joined } from './joined.ts';

/** One thing that the service needs, and what it says when it is not well. */
export interface HealthCheck {
  name: string;
  /**
   * Resolves with details for the answer; rejects if it is not well. What a `Degraded` says is told to whoever asks: nothing that
   * is secret may be in it.
   */
  check: () => Promise<Record<string, unknown>>;
  /** Without it the service cannot do its work. Otherwise it only does it slower. */
  required: boolean;
}

/** Why a part works less well than it should, for operators. */
export class Degraded extends Error {
  override readonly name = 'Degraded';
}

/** `/healthz`: the process lives. `/readyz`: it can serve; a load balancer asks this. */
export function mountHealth(router: Router, checks: readonly HealthCheck[], draining: () => boolean): void {
  router.get('/healthz', (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ status: 'ok' });
  });
  // Anybody may ask: however many do, the database is asked once at a time.
  const probe = joined(() =>
    Promise.all(
      checks.map(async ({ name, check, required }) => {
        try {
          return { name, ok: true, required, details: await within(2000, check()) };
        } catch (error) {
          const details = error instanceof Degraded ? { reason: error.message } : {};
          return { name, ok: false, required, details };
        }
      }),
    ),
  );
  router.get('/readyz', async (_req, res) => {
    res.set('Cache-Control', 'no-store');
    const results = await probe();
    const parts = Object.fromEntries(
      results.map(({ name, ok, required, details }) => [
        name,
        { status: ok ? 'ok' : required ? 'down' : 'degraded', ...details },
      ]),
    );
    if (draining())
      throw new AppError('unavailable', 'The node is shutting down.', {
        headers: { 'Retry-After': '2' },
        members: { parts },
      });
    const down = results.filter((result) => result.required && !result.ok).map((result) => result.name);
    if (down.length > 0) {
      throw new AppError('unavailable', `Not ready: ${down.join(', ')}.`, {
        headers: { 'Retry-After': '2' },
        members: { parts },
      });
    }
    res.json({ status: results.every((result) => result.ok) ? 'ok' : 'degraded', parts });
  });
}

function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('too slow')), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
