import type { Config } from '../config.ts';
import { FastPaths } from '../library-internals/fast-paths.ts';
import { libraryVersions, verify } from '../library-internals/self-check.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { Part } from './part.ts';

/** The uses of what libraries do not document, of which each is looked at before the service serves. */
export function createFastPaths(
  { fastPaths: wanted }: Readonly<Config>,
  { log, metrics }: { log: Logger; metrics: Metrics },
): { fastPaths: FastPaths; verified: Part } {
  const fastPaths = new FastPaths({
    wanted,
    onFailed: (name, error) => {
      metrics.fastPathsFailed.inc();
      log.warn(
        { err: error, fast_path: name, libraries: libraryVersions() },
        `the fast path ${name} is switched off: the libraries are not as it expects them. All works without it, slower`,
      );
    },
  });
  const verification = verify(fastPaths, wanted, (error) =>
    log.warn(
      { err: error, libraries: libraryVersions() },
      'pg is not as expected: only what it documents is used, so a connection that is cut off does not tell why',
    ),
  );
  return { fastPaths, verified: { start: () => verification } };
}
