import type { Router } from 'express';
import { singleFlight } from '../async/single-flight.ts';
import { withTimeout } from '../async/timeout.ts';
import { unavailable } from '../errors.ts';

/** How long one check may take. Milliseconds. */
const CHECK_TIMEOUT = 2000;

/** One thing that the service needs, and what it says when it is not well. */
export interface HealthCheck {
  name: string;
  /**
   * Resolves with details for the answer; rejects if it is not well. The text of a `Degraded` is public: it must not
   * contain secrets.
   */
  check: () => Promise<Record<string, unknown>>;
  /** Without it the service cannot do its work. Otherwise it only does it slower. */
  required: boolean;
}

/** Why a part works less well than it should, for operators. */
export class Degraded extends Error {
  override readonly name = 'Degraded';
}

/**
 * Health checks. `/healthz` is liveness: the process runs. `/readyz` is readiness: the node can serve; for load
 * balancers.
 */
export function mountHealth(router: Router, checks: readonly HealthCheck[], draining: () => boolean): void {
  router.get('/healthz', (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ status: 'ok' });
  });
  const all = checks.map((each) => ({ ...each, check: boundedCheck(each) }));
  // Public, so single-flight: concurrent requests share one check of the database.
  const probe = singleFlight(() =>
    Promise.all(
      all.map(async ({ name, check, required }) => {
        try {
          return { name, ok: true, required, details: await check() };
        } catch (error) {
          const reason = error instanceof Degraded ? error.message : 'It does not answer.';
          return { name, ok: false, required, details: { reason } };
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
    if (draining()) throw unavailable('The node is shutting down.', 2, { members: { parts } });
    const down = results.filter((result) => result.required && !result.ok);
    if (down.length > 0) {
      const names = down.map((result) => result.name).join(', ');
      throw unavailable(`Not ready: ${names}.`, 2, { members: { parts } });
    }
    res.json({ status: results.every((result) => result.ok) ? 'ok' : 'degraded', parts });
  });
}

/** One check that is answered in time and is not begun again before it has ended. */
function boundedCheck({ check }: HealthCheck): HealthCheck['check'] {
  const single = singleFlight(check);
  const late = () => new Degraded(`No answer within ${CHECK_TIMEOUT / 1000} s.`);
  return () => withTimeout(CHECK_TIMEOUT, single(), late);
}
