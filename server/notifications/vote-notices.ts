import { QueryTypes } from 'sequelize';
import { WokenLoop } from '../async/woken-loop.ts';
import type { Database } from '../database/connection.ts';
import { announce } from '../log/append.ts';

/** Posts in one statement. */
const PIECE = 100;
/** How often it is looked for what other nodes have left. Milliseconds. */
const LOOK = 2000;
/** Votes that come within this time are told together. Milliseconds. */
const WINDOW = 100;

export interface VoteNoticesOptions {
  db: Database;
  mayWrite: () => boolean;
  onFailed: (error: unknown) => void;
  /** Told how many posts were looked at. */
  onSettled: (posts: number) => void;
}

/**
 * Tells owners how many people voted for their posts. A vote only notes that there is something to tell, in its own
 * transaction (the trigger `note_votes`), so it costs no round trip and nothing is lost with a node: any node tells it
 * (`settle_notifications`), and takes away what remains of the notifications of a large thread (`purge_notifications`).
 */
export class VoteNotices extends WokenLoop {
  readonly #options: VoteNoticesOptions;

  constructor(options: VoteNoticesOptions) {
    const { mayWrite, onFailed } = options;
    super({
      next: () => this.#piece(),
      may: mayWrite,
      window: WINDOW,
      every: LOOK,
      onFailed,
    });
    this.#options = options;
  }

  override start(): void {
    super.start(LOOK * Math.random());
  }

  /** @returns whether anything was found */
  async #piece(): Promise<boolean> {
    const votes = await this.#found('settle_notifications');
    if (votes > 0) this.#options.onSettled(votes);
    // In a transaction of its own: each locks the users whose notifications it changes in their order.
    const removals = await this.#found('purge_notifications');
    if (votes + removals === 0) return false;
    announce(this.#options.db.sequelize);
    return true;
  }

  async #found(task: 'settle_notifications' | 'purge_notifications'): Promise<number> {
    const [row] = await this.#options.db
      .share('service')
      .query<{ found: number }>(`select ${task}($1) as found`, { type: QueryTypes.SELECT, bind: [PIECE] });
    return row?.found ?? 0;
  }
}
