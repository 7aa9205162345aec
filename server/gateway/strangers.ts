import type { EngineConnection } from './subscriber.ts';

/** So many may stand at the door from one address in any case. */
const LEAST = 100;
/** The share of all places beyond that. Behind a proxy that is not configured everybody has its address, and thousands may return at once. */
const SHARE = 0.25;

/**
 * Connections that have not authenticated, by address. A long-polling session needs no TCP connection to stand: without
 * this, one address could hold all places.
 */
export class Strangers {
  /** Oldest first. */
  readonly #standing = new Map<EngineConnection, { address: string; since: number }>();
  readonly #byAddress = new Map<string, number>();
  readonly #most: number;

  /** @param places for all connections */
  constructor(places: number) {
    this.#most = Math.max(LEAST, Math.floor(places * SHARE));
  }

  isCrowded(address: string): boolean {
    return (this.#byAddress.get(address) ?? 0) >= this.#most;
  }

  add(conn: EngineConnection, address: string): void {
    this.#standing.set(conn, { address, since: performance.now() });
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
  }

  /** Once it has authenticated, or left. */
  remove(conn: EngineConnection): void {
    const stranger = this.#standing.get(conn);
    if (!stranger) return;
    this.#standing.delete(conn);
    const left = (this.#byAddress.get(stranger.address) ?? 0) - 1;
    if (left > 0) this.#byAddress.set(stranger.address, left);
    else this.#byAddress.delete(stranger.address);
  }

  /** Ends those who have stood for so long, in milliseconds. They count until they have gone: one that is being closed holds its place. */
  endOverdue(patience: number): void {
    const before = performance.now() - patience;
    for (const [conn, { since }] of this.#standing) {
      if (since > before) return;
      conn.close(true);
    }
  }
}
