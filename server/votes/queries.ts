import { QueryTypes } from 'sequelize';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { MicroBatcher } from '../database/micro-batcher.ts';
import type { Tally } from '../protocol.ts';
import type { Senders } from '../queues/queue-limit.ts';

interface Ask {
  userId: number;
  senders: Senders;
  postIds: readonly number[];
  resolve: (tallies: Tally[]) => void;
  reject: (error: unknown) => void;
}

/** Ten thousand clients that reconnect at once track the posts on their screens, mostly the same ones. */
const ROUNDS = 2;
const MOST = 200;

/** Reads tallies, for everyone who asks at the same moment in one statement. */
export class TallyReader {
  readonly #db: DatabaseShare;
  readonly #asks = new MicroBatcher<Ask>({
    atOnce: ROUNDS,
    most: MOST,
    sendersOf: ({ senders }) => senders,
    round: (asks) => this.#read(asks),
  });

  constructor(db: DatabaseShare) {
    this.#db = db;
  }

  /**
   * The tallies of those of these posts that the user may see, by post.
   * @param senders whose turn it takes
   */
  of(userId: number, senders: Senders, postIds: readonly number[]): Promise<Tally[]> {
    if (postIds.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => this.#asks.add({ userId, senders, postIds, resolve, reject }));
  }

  async #read(asks: readonly Ask[]): Promise<void> {
    try {
      const rows = await this.#db.query<Tally & { hidden_from_others: boolean; owner_id: number | null }>(
        // A thread that was withdrawn only the owner of its first post sees.
        `select t.post_id, t.votes, t.replies, t.rev, not coalesce(r.published, p.published) as hidden_from_others,
           case when p.root_id is null then p.owner_id else r.owner_id end as owner_id
         from post_tallies t join posts p on p.id = t.post_id left join posts r on r.id = p.root_id
         where t.post_id = any($1) and p.deleted_at is null`,
        { type: QueryTypes.SELECT, bind: [[...new Set(asks.flatMap((ask) => ask.postIds))]] },
      );
      const found = new Map(rows.map((row) => [row.post_id, row]));
      for (const { userId, postIds, resolve } of asks) {
        const tallies: Tally[] = [];
        for (const id of [...new Set(postIds)].sort((a, b) => a - b)) {
          const row = found.get(id);
          if (!row || (row.hidden_from_others && row.owner_id !== userId)) continue;
          tallies.push({ post_id: row.post_id, votes: row.votes, replies: row.replies, rev: row.rev });
        }
        resolve(tallies);
      }
    } catch (error) {
      for (const { reject } of asks) reject(error);
    }
  }
}
