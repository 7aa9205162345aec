import { QueryTypes, type Transaction } from 'sequelize';
import type { Database } from '../database/connection.ts';
import { appendAll } from '../log/append.ts';
import type { OwnerView } from './event-payloads.ts';
import { departureOf, postUpdated } from './events.ts';
import { PostBacklog } from './post-backlog.ts';
import { type PostRow, presentPost, publishedPosts } from './present.ts';
import { type References, referencesIn, USERS_OF_NAMES } from './references.ts';

/** Which posts (`posts p`) have text in which tags and mentions are still to be found. */
export const UNPARSED = 'p.parsed_at is null';

/** Posts in one piece. */
const PIECE = 200;

interface Unparsed {
  id: number;
  title: string | null;
  content: string;
  /** What its last event told; null if that was written before there were tags. */
  tags: string[] | null;
  mentions: OwnerView[] | null;
}

/**
 * Finds tags and mentions of posts whose text was written without: those that were there before, and those that a node
 * of the version before writes or edits during an upgrade. The latter are told again where they have any, since others
 * heard of them without these; of the former nobody is told, or an upgrade would send every client every old post with
 * a tag.
 */
export class UnparsedPosts extends PostBacklog {
  /**
   * @param onFailed told of what is tried again in a second
   * @param mayWrite asked before each piece
   */
  constructor(db: Database, onFailed: (error: unknown) => void, mayWrite?: () => boolean) {
    super(db, UNPARSED, () => db.transaction((tx) => parsePiece(db, tx)), onFailed, mayWrite);
  }
}

/** @returns how many posts it had */
async function parsePiece(db: Database, tx: Transaction): Promise<number> {
  const query = <T extends object>(sql: string, ...bind: unknown[]) =>
    db.sequelize.query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind });
  const rows = await query<Unparsed>(
    // No thread is withdrawn before the events of its replies are written.
    `select p.id, p.title, p.content, p.tags, p.mentions
     from posts p join posts r on r.id = coalesce(p.root_id, p.id) where ${UNPARSED}
     order by p.id limit ${PIECE} for no key update of p, r skip locked`,
  );
  if (rows.length === 0) return 0;
  const found = await referencesIn(rows, (names) => query(USERS_OF_NAMES, names));
  const mentioned = new Set(found.flatMap(({ mentions }) => mentions.map(({ id }) => id)));
  // A post that mentions somebody whom somebody else has locked is left for later: to wait with posts locked could be a
  // deadlock.
  const locked = await query<{ id: number }>(
    `select u.id from users u where u.id = any($1::bigint[]) and u.deleted_at is null order by u.id for key share skip locked`,
    [...mentioned],
  );
  const free = new Set(locked.map(({ id }) => id));
  const parsed = rows.flatMap((row, at) => {
    const { tags, mentions } = found[at] ?? { tags: [], mentions: [] };
    if (mentions.some(({ id }) => !free.has(id))) return [];
    return [{ ...row, tags, mentions, before: row.tags, toldAnew: isToldAnew(row, { tags, mentions }) }];
  });
  await query(
    `update posts p set tags = string_to_array(f.tags, chr(10)), mentions = f.mentions::jsonb,
       parsed_at = clock_timestamp(), version = p.version + f.told_anew::integer
     from unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[]) as f (id, tags, mentions, told_anew)
     where p.id = f.id`,
    parsed.map(({ id }) => id),
    parsed.map(({ tags }) => tags.join('\n')),
    parsed.map(({ mentions }) => JSON.stringify(mentions)),
    parsed.map(({ toldAnew }) => toldAnew),
  );
  const before = new Map(
    parsed.filter(({ toldAnew }) => toldAnew).map((post) => [post.id, post.before ?? []]),
  );
  const posts = (await query<PostRow>(publishedPosts, [...before.keys()])).map(presentPost);
  await appendAll(
    tx,
    postUpdated,
    posts,
    posts.map((post) => departureOf({ ...post, tags: before.get(post.id) ?? [] }, post)),
  );
  return rows.length;
}

function isToldAnew({ tags, mentions }: Unparsed, found: References): boolean {
  if (tags === null) return false;
  return JSON.stringify([tags, mentions ?? []]) !== JSON.stringify([found.tags, found.mentions]);
}
