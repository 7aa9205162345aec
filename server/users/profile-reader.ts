import { QueryTypes } from 'sequelize';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { MicroBatcher } from '../database/micro-batcher.ts';
import { AppError, unavailable } from '../errors.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { presentProfile, type ProfileRow, type PublicUser } from './present.ts';
import { usernameKey } from '../text/username-key.ts';

/** Whose profile: by number, or by name in any case. */
export type ProfileKey = { id: number } | { username: string };

interface Ask {
  key: ProfileKey;
  viewerId: number | undefined;
  requester: Requester;
  resolve: (profile: PublicUser) => void;
  reject: (error: unknown) => void;
}

/** Batches in progress at once, profiles in one of them at most, and requests that wait at most. */
const ROUNDS = 2;
const MOST = 100;
const MAX_WAITING = 3000;

/**
 * Reads profiles for everyone who asks at the same moment. What they count are rows, by an index, not counters: so the
 * counts are those of the lists at any moment, and a user who is followed by thousands at once is no hot row. A profile
 * that many ask for is counted once for all of them.
 */
export class ProfileReader {
  readonly #db: DatabaseShare;
  readonly #asks: MicroBatcher<Ask>;

  /** @param onCrowded called for each request that is refused since too many wait */
  constructor(db: DatabaseShare, onCrowded: () => void) {
    this.#db = db;
    this.#asks = new MicroBatcher<Ask>({
      atOnce: ROUNDS,
      most: MOST,
      sendersOf: ({ requester }) => requester.senders,
      bound: {
        most: MAX_WAITING,
        refuse: ({ reject }) => {
          onCrowded();
          reject(unavailable('Too many profiles are waiting. Try again.', 1));
        },
      },
      round: (asks) => this.#read(asks),
    });
  }

  /** Profiles that wait to be read. */
  get waiting(): number {
    return this.#asks.waiting;
  }

  /**
   * @param viewerId who asks, if somebody is logged in
   * @throws {AppError} 404, 503
   */
  of(key: ProfileKey, viewerId: number | undefined, requester: Requester): Promise<PublicUser> {
    return new Promise((resolve, reject) => this.#asks.add({ key, viewerId, requester, resolve, reject }));
  }

  async #read(asks: readonly Ask[]): Promise<void> {
    try {
      const keys = asks.map(({ key }) => key);
      const ids = keys.flatMap((key) => ('id' in key ? key.id : []));
      const names = keys.flatMap((key) => ('username' in key ? key.username.toLowerCase() : []));
      const rows = await this.#db.query<ProfileRow & { name_key: string }>(profiles, {
        type: QueryTypes.SELECT,
        bind: [[...new Set(ids)], [...new Set(names)]],
      });
      const byId = new Map(rows.map((row) => [row.id, row]));
      const byName = new Map(rows.map((row) => [row.name_key, row]));
      const found = asks.map(({ key }) =>
        'id' in key ? byId.get(key.id) : byName.get(key.username.toLowerCase()),
      );
      const relations = await this.#relations(asks, found);
      for (const [at, { key, viewerId, resolve, reject }] of asks.entries()) {
        const row = found[at];
        if (!row)
          reject(new AppError('not_found', `There is no user ${'id' in key ? key.id : key.username}.`));
        else
          resolve(
            presentProfile(
              row,
              viewerId === undefined ? undefined : (relations.get(`${viewerId}:${row.id}`) ?? []),
            ),
          );
      }
    } catch (error) {
      for (const { reject } of asks) reject(error);
    }
  }

  /** What those who are logged in are to the users: `viewer:user` → kinds. */
  async #relations(
    asks: readonly Ask[],
    found: readonly (ProfileRow | undefined)[],
  ): Promise<Map<string, string[]>> {
    const viewers: number[] = [];
    const users: number[] = [];
    for (const [at, { viewerId }] of asks.entries()) {
      const row = found[at];
      if (viewerId === undefined || !row) continue;
      viewers.push(viewerId);
      users.push(row.id);
    }
    if (viewers.length === 0) return new Map();
    const rows = await this.#db.query<{ pair: string; kinds: string[] }>(
      `select r.user_id || ':' || r.target_id as pair, array_agg(distinct r.kind) as kinds
       from unnest($1::bigint[], $2::bigint[]) as asked (viewer, id)
       join relations r on r.user_id = asked.viewer and r.target_id = asked.id group by 1`,
      { type: QueryTypes.SELECT, bind: [viewers, users] },
    );
    return new Map(rows.map(({ pair, kinds }) => [pair, kinds]));
  }
}

/** SQL: accounts that are being deleted are in no list, and so in no count. */
const notGone = (user: string) => `${user} not in (
  select a.user_id from account_tasks a join users g on g.id = a.user_id where g.deleted_at is not null)`;

/**
 * SQL: the profiles with the ids in `$1` and the keys of their names in `$2`. Published posts are all posts without
 * those that are not: an index alone tells either, so that no row of a post is read.
 */
const profiles = `
  select u.id, u.username, u.bio, u.created_at, ${usernameKey} as name_key,
    ((select count(*) from posts p where p.owner_id = u.id and p.parent_id is null)
      - (select count(*) from posts p where p.owner_id = u.id and p.parent_id is null and not p.published))::integer as posts,
    (select count(*) from relations r
     where r.target_id = u.id and r.kind = 'follow' and ${notGone('r.user_id')})::integer as followers,
    (select count(*) from relations r
     where r.user_id = u.id and r.kind = 'follow' and ${notGone('r.target_id')})::integer as following
  from users u
  where u.deleted_at is null
    and (u.id = any($1::bigint[]) or ${usernameKey} = any($2::text[]))`;
