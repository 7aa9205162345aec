import { QueryTypes } from 'sequelize';
import { prepared } from '../database/prepared.ts';
import type { ReadShare } from '../database/replicas.ts';
import { AppError } from '../errors.ts';
import type { Viewer } from '../identity.ts';
import { NoHead } from '../log/reader.ts';
import { hiddenAuthors } from '../relations/policy.ts';
import { type Cursor, readCursor, type ThreadSort, writeCursor } from './cursor.ts';
import { invalidCursor } from '../keyset-cursor.ts';
import { binding, position } from './list-statement.ts';
import { lookup, postColumns, type PostRow, presentAnswer } from './present.ts';
import type { ListReplies } from './schemas.ts';

/** A page of a thread: the replies below a post. */
export interface ThreadPage {
  epoch: string;
  seq: number;
  /** Whether replies have come or gone that the page counts, and whose events have no number yet. */
  isAhead: boolean;
  replies: object[];
  next: string | undefined;
}

type Say = (value: unknown) => string;

interface Order {
  key: string;
  order: string;
  after: (cursor: Cursor, say: Say) => string;
  /** SQL: the first so many replies of a thread in this order, as its index has them. @param root the thread */
  walk: (root: string, cursor: Cursor | undefined, most: number, say: Say) => string;
}

function byAge(newestFirst: boolean): Order {
  return {
    key: 'p.id',
    order: newestFirst ? 'p.id desc' : 'p.id',
    after: ({ id }, say) => `p.id ${newestFirst ? '<' : '>'} ${say(id)}::bigint`,
    walk: (root, cursor, most, say) =>
      `select * from replies_by_age(${root}, ${newestFirst}, ${say(cursor?.id ?? null)}::bigint, ${say(most)})`,
  };
}

/** What a page is sorted by, and how the next one begins. */
const orders: Record<ThreadSort, Order> = {
  old: byAge(false),
  new: byAge(true),
  top: {
    key: 't.votes',
    order: 't.votes desc, t.post_id desc',
    after: ({ key, id }, say) => `(t.votes, t.post_id) < (${say(key)}::integer, ${say(id)}::bigint)`,
    walk: (root, cursor, most, say) =>
      `select * from top_replies(${root}, ${say(cursor?.key ?? null)}::integer, ${say(cursor?.id ?? null)}::bigint, ${say(most)})`,
  },
};

/**
 * Where some replies of many stand below one reply, the page is found by looking at each of them; where there are more,
 * by the order of the whole thread.
 */
const FEW = 500;
/** How many more replies than a page has are looked at first, in the order of the whole thread: some may be left out. */
const SPARE = 5;

/** So many events that wait for a number are looked at; where there are more, some may be of the thread. */
const WAITING = 1000;

interface Top {
  root_id: number;
  replies: number;
}

/** The thread that a post is in. */
const TOP = prepared(
  `select coalesce(p.root_id, p.id) as root_id, t.replies from posts p join post_tallies t on t.post_id = p.id
   where p.id = $1 and (p.deleted_at is null or t.replies > 0)`,
);

type Row = Omit<PostRow, 'owner_id' | 'username'> & {
  owner_id: number | null;
  username: string | null;
  depth: number;
  deleted: boolean;
  voted: boolean;
  key: string;
};

/**
 * A page of the replies below a post or a reply, at whatever depth, as `viewer` sees them: hidden authors are left out,
 * and a deleted reply with living ones below it has neither text nor owner. It is one statement and so one snapshot,
 * with its position in the stream. Ids only grow, so no reply comes before what it answers in `sort=old`.
 * @throws {AppError} 404; 422 for a cursor of another list
 */
export async function threadPage(
  db: ReadShare,
  viewer: Viewer,
  postId: number,
  { limit, sort, cursor: given }: ListReplies,
): Promise<ThreadPage> {
  const cursor = given === undefined ? undefined : readCursor(given, `thread:${sort}`);
  if (given !== undefined && !cursor) throw invalidCursor();
  // The thread that a post is in never changes; whether it may be seen is looked at with the page.
  const [top] = await db.query<Top>(TOP, { type: QueryTypes.SELECT, bind: [postId] });
  const page = top && (await readPage(db, viewer, postId, top, { limit, sort, cursor }, limit + SPARE));
  if (!page) throw new AppError('not_found', `There is no post ${postId}.`);
  return page;
}

/** @param most replies of the whole thread that are looked at, where the page is found by its order */
async function readPage(
  db: ReadShare,
  viewer: Viewer,
  postId: number,
  top: Top,
  asked: { limit: number; sort: ThreadSort; cursor: Cursor | undefined },
  most: number,
): Promise<ThreadPage | undefined> {
  const { root_id, replies } = top;
  const { limit, sort, cursor } = asked;
  const { say, bind } = binding();
  const { key, order, after, walk } = orders[sort];
  const root = `${say(root_id)}::bigint`;
  const user = `${say(viewer.id)}::bigint`;
  const where: string[] = [];
  // The condition on the thread and its tallies at once would have PostgreSQL read all tallies in the order of their ids.
  const inOrder = postId === root_id || replies > FEW;
  if (inOrder) {
    if (postId !== root_id) where.push(`p.ancestors @> array[${say(postId)}::bigint]`);
  } else if (cursor) where.push(after(cursor, say));
  const walked = inOrder ? walk(root, cursor, most, say) : below(`${say(postId)}::bigint`);
  // What is left of an account that is being deleted looks as it will.
  where.push(
    // One that a moderator has removed has a row as long as it may be restored.
    '(p.deleted_at is null or t.replies > 0)',
    // No `exists`: it would be a hash of all posts.
    '(u.deleted_at is null or (select true from posts c where c.parent_id = p.id limit 1))',
    `(p.owner_id is null or p.owner_id not in (${hiddenAuthors(user)}))`,
  );
  const rows = await db.query<
    (Row | { id: null }) & { epoch: string; seq: number; shown: boolean; walked: number; is_ahead: boolean }
  >(
    prepared(`with walked as materialized (${walked})
     select ${position}, page.*, ${inOrder ? '(select count(*)::integer from walked)' : '0'} as walked,
       exists (select from posts r left join users u on u.id = r.owner_id
               where r.id = ${root} and r.deleted_at is null and u.deleted_at is null
                 and (r.published or r.owner_id = ${user})) as shown,
       exists (select from (select o.topics, row_number() over () as place from event_outbox o limit ${WAITING}) o
               where o.place = ${WAITING} or o.topics @> array['thread:' || ${root}]) as is_ahead
     from feed_head h left join lateral (
       select ${postColumns}, cardinality(p.ancestors) as depth, v.user_id is not null as voted,
         p.deleted_at is not null or u.deleted_at is not null as deleted,
         ${key}::text as key, row_number() over (order by ${order}) as place
       from ${tablesOf(user)}
       where ${where.join(' and ')}
       order by ${order} limit ${say(limit + 1)}
     ) page on true
     order by page.place`),
    { type: QueryTypes.SELECT, bind },
  );
  const [head] = rows;
  if (!head) throw new NoHead();
  if (!head.shown) return undefined;
  const found = rows.filter((row) => row.id !== null);
  if (found.length <= limit && head.walked === most)
    return readPage(db, viewer, postId, top, asked, 8 * most);
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  return {
    epoch: head.epoch,
    seq: head.seq,
    isAhead: head.is_ahead,
    replies: shown.map(presentReply),
    next:
      found.length > limit && last
        ? writeCursor(`thread:${sort}`, { key: last.key, id: last.id })
        : undefined,
  };
}

/**
 * SQL: the replies `p` that were `walked`, with their tallies `t`, owners `u` and the votes `v` of a user, each looked up.
 */
function tablesOf(user: string): string {
  return `walked w
    ${lookup('post_tallies', 't', 't.post_id = w.post_id')} ${lookup('posts', 'p', 'p.id = w.post_id')}
    left join lateral (select * from users u where u.id = p.owner_id offset 0) u on true
    left join lateral (select v.user_id from votes v where v.post_id = p.id and v.user_id = ${user} offset 0) v on true`;
}

/** SQL: all replies below another one. */
function below(top: string): string {
  return `with recursive below as (
      select c.id from posts c where c.parent_id = ${top}
      union all
      select c.id from below b join posts c on c.parent_id = b.id
    ) select id as post_id from below`;
}

/** A reply in the list of its thread. */
function presentReply({ depth, deleted, ...row }: Row): object {
  const { owner_id, username } = row;
  if (!deleted && owner_id !== null && username !== null)
    return { ...presentAnswer({ ...row, owner_id, username }), depth };
  const shape = presentAnswer({
    ...row,
    title: null,
    content: '',
    published: true,
    owner_id: 0,
    username: '',
    tags: [],
    mentions: [],
  });
  return { ...shape, owner_id: null, owner: null, depth, deleted: true };
}
