import type { EngineConnection } from '../../library-internals/engine-connection.ts';

/** Unauthenticated connections. They must authenticate within a few seconds. */
export class Unauthenticated {
  /** When each began, by `performance.now()`; the oldest first. */
  readonly #since = new Map<EngineConnection, number>();

  add(conn: EngineConnection): void {
    this.#since.set(conn, performance.now());
  }

  /** Once it has authenticated, or left. */
  remove(conn: EngineConnection): void {
    this.#since.delete(conn);
  }

  /** Ends those that are older. Milliseconds. */
  endOlderThan(age: number): void {
    const before = performance.now() - age;
    for (const [conn, since] of this.#since) {
      if (since > before) return;
      conn.discard();
    }
  }
}
