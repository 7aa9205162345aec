import type { RedisFault } from './redis-faults.ts';
import type { RedisHealth } from './redis-health.ts';
import type { Probe } from './redis-pubsub.ts';

/**
 * How long a node counts as alive after its last message, and how long it may have another epoch, as during a restore.
 * Milliseconds.
 */
const PRESENT = 5000;
const GRACE = 5000;

const twoEpochs: RedisFault = {
  reason: 'two_epochs',
  detail:
    'Nodes of another database use the same prefix on this Redis: give each installation a REDIS_PREFIX of its own.',
};

const replaced: RedisFault = {
  reason: 'database_replaced',
  detail:
    'The database was replaced while this node ran: restart the nodes, one after the other, so that all of them use its prefix.',
};

/**
 * Notices nodes that follow another database on the same channels: a copy of the database whose identity is the same, or two
 * installations that were given one prefix. Nothing of theirs is delivered, but limits are counted together.
 */
export class EpochWatch {
  readonly #epoch: () => string;
  readonly #health: RedisHealth;
  /** Node → since when it has had another epoch, and when it was last heard. Milliseconds since 1970. */
  readonly #others = new Map<string, { since: number; at: number }>();

  #replaced = false;

  constructor(epoch: () => string, health: RedisHealth) {
    this.#epoch = epoch;
    this.#health = health;
  }

  heard({ node, epoch }: Probe): void {
    const now = Date.now();
    for (const [other, { at }] of this.#others) if (now - at > PRESENT) this.#others.delete(other);
    const own = this.#epoch();
    if (own === '' || epoch === '' || epoch === own) this.#others.delete(node);
    else this.#others.set(node, { since: this.#others.get(node)?.since ?? now, at: now });
    this.look();
  }

  /** @param same whether the database is still the one whose identity made the prefix; if not, nodes that start now use another one */
  databaseIs(same: boolean): void {
    this.#replaced = !same;
    this.look();
  }

  /** Call it regularly: silent nodes are removed. */
  look(): void {
    const now = Date.now();
    const stay = [...this.#others.values()].some(
      ({ since, at }) => now - at <= PRESENT && at - since > GRACE,
    );
    if (this.#replaced) this.#health.fail('epochs', replaced);
    else if (stay) this.#health.fail('epochs', twoEpochs);
    else this.#health.prove('epochs');
  }
}
