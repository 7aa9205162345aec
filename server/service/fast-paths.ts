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
        `the fast path ${name} is switched off: the installed libraries do not match what it expects. Everything works without it, more slowly`,
      );
    },
  });
  const verification = verify(fastPaths, wanted, (error) =>
    log.warn(
      { err: error, libraries: libraryVersions() },
      'pg does not match what is expected: only its documented API is used, so the error of a cut connection lacks the reason',
    ),
  );
  return { fastPaths, verified: { start: () => verification } };
}
