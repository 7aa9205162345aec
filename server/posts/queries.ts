import { QueryTypes, type Transaction } from 'sequelize';
import type { Identity } from '../auth/identity.ts';
import type { Context } from '../context.ts';
import { AppError } from '../errors.ts';
import { type Cursor, readCursor, writeCursor } from './cursor.ts';
import { requireVisible } from './policy.ts';
import { type PostAnswer, type PostRow, presentAnswer } from './present.ts';
import type { ListPosts, Sort } from './schemas.ts';

const columns = `p.id, p.title, p.content, p.published, p.created_at, p.updated_at, p.version, p.owner_id,
  u.username, t.votes, t.rev, v.user_id is not null as voted`;
const joined = `posts p join users u on u.id = p.owner_id join post_tallies t on t.post_id = p.id
  left join votes v on v.post_id = p.id and v.user_id = $1`;

type Row = PostRow & { voted: boolean };

/** One post as `viewer` sees it. @throws {AppError} 404 */
export async function postById(
  ctx: Context,
  viewer: Identity,
  id: number,
  tx?: Transaction,
): Promise<PostAnswer> {
  const [row] = await ctx.db.sequelize.query<Row>(`select ${columns} from ${joined} where p.id = $2`, {
    type: QueryTypes.SELECT,
    bind: [viewer.id, id],
    ...(tx ? { transaction: tx } : {}),
  });
  return presentAnswer(requireVisible(row && { ...row, ownerId: row.owner_id }, viewer, id));
}

export interface FeedPage {
  posts: PostAnswer[];
  /** The stream position that the page reflects. */
  epoch: string;
  seq: number;
  /** Where the next page begins; undefined on the last. */
  next: string | undefined;
}

/** What a page is sorted by, newest or highest first, with the id as the tie-breaker, and how a cursor says it. */
const keys: Record<Sort, { column: string; id: string; cast: string }> = {
  // Microseconds as a number: a JavaScript Date would cut them and so repeat or lose neighbours.
  new: { column: 'p.listed_at', id: 'p.id', cast: 'timestamptz' },
  top: { column: 't.votes', id: 't.post_id', cast: 'integer' },
  hot: { column: 't.hot', id: 't.post_id', cast: 'double precision' },
};

/**
 * A page of the feed: published posts and the viewer's own drafts, with the position in the event stream. Both come from
 * one statement and so from one snapshot: an event up to `seq` is in the page, one after it is still to come.
 * @throws {AppError} 422 for a cursor of another list
 */
export async function feedPage(ctx: Context, viewer: Identity, list: ListPosts): Promise<FeedPage> {
  const key = keys[list.sort];
  const bind: unknown[] = [viewer.id];
  const say = (value: unknown) => `$${bind.push(value)}`;
  const where = ['(p.published or p.owner_id = $1)'];
  if (list.owner_id !== undefined) where.push(`p.owner_id = ${say(list.owner_id)}`);
  if (list.search !== '') {
    const pattern = say(`%${list.search.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`);
    where.push(`(p.title ilike ${pattern} or p.content ilike ${pattern})`);
  }
  const cursor: Cursor | undefined =
    list.cursor === undefined ? undefined : readCursor(list.cursor, list.sort);
  if (list.cursor !== undefined && !cursor) {
    throw new AppError('invalid', 'The cursor is not one of this list.', {
      errors: [{ loc: ['query', 'cursor'], msg: '"cursor" is not one of this list', type: 'any.invalid' }],
    });
  }
  if (cursor)
    where.push(`(${key.column}, ${key.id}) < (${say(cursor.key)}::${key.cast}, ${say(cursor.id)}::bigint)`);

  const rows = await ctx.db.sequelize.query<Partial<Row> & { epoch: string; seq: number; key: string }>(
    `select h.epoch, h.seq, page.*
     from feed_head h left join lateral (
       select ${columns}, ${key.column}::text as key, row_number() over (order by ${key.column} desc, ${key.id} desc) as place
       from ${joined}
       where ${where.join(' and ')}
       order by ${key.column} desc, ${key.id} desc
       limit ${say(list.limit + 1)} offset ${say(list.skip)}
     ) page on true
     order by page.place`,
    { type: QueryTypes.SELECT, bind },
  );
  const [first] = rows;
  if (!first) throw new Error('feed_head has no row');
  const found = rows.filter(
    (row): row is Row & typeof first => row.id !== undefined && (row.id as number | null) !== null,
  );
  const shown = found.slice(0, list.limit);
  const last = shown.at(-1);
  return {
    posts: shown.map(presentAnswer),
    epoch: first.epoch,
    seq: first.seq,
    next:
      found.length > list.limit && last ? writeCursor(list.sort, { key: last.key, id: last.id }) : undefined,
  };
}
