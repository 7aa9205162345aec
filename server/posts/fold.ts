import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import { inPublicThread } from '../public-thread.ts';
import type { EntityFold, LastTold } from '../topics/entity-fold.ts';
import { departureOf, postCreated, postDeleted, postUpdated } from './events.ts';
import { postColumns, type PostRow, presentPost } from './present.ts';

/** The last event of a post tells it as it is, or that it is gone. */
export const postFold: EntityFold = {
  entityType: postCreated.entityType,
  noun: 'Post',
  absent: 'gone or a draft',
  fields: { title: 'title', content: 'content', version: 'version', 'owner.username': "owner's name" },
  visible: `
    select p.id, p.listed_at as since, json_build_object('title', p.title, 'content', p.content, 'version', p.version,
      'owner', json_build_object('username', u.username)) as state
    from posts p join users u on u.id = p.owner_id where p.published and ${inPublicThread}`,
  // Their account is being renamed or deleted in pieces, and these posts' turn is still to come.
  unfinished: 'select p.id from account_tasks a join posts p on p.owner_id = a.user_id',
  tellAnew,
};

/**
 * Tells a post as everyone may see it, or that it is gone: a reply of a withdrawn thread is. Who has seen the version that the
 * log told must not take the row for the same one, or for an older: the row gets a version beyond it.
 */
async function tellAnew(
  tx: Transaction,
  postId: number,
  lastTold: () => Promise<LastTold | undefined>,
): Promise<void> {
  const sequelize = sequelizeOf(tx);
  // With the first post of its thread: that is not withdrawn before the event is written.
  await sequelize.query(
    `select 1 from posts where id = $1 or id = (select root_id from posts where id = $1)
     order by id for no key update`,
    { bind: [postId], type: QueryTypes.SELECT, transaction: tx },
  );
  const told = await lastTold();
  await sequelize.query('update posts set version = $2 + 1 where id = $1 and published and version <= $2', {
    bind: [postId, Number(told?.data.version ?? 0)],
    type: QueryTypes.RAW,
    transaction: tx,
  });
  const [post] = await sequelize.query<
    Omit<PostRow, 'votes' | 'replies' | 'rev'> & {
      votes: number | null;
      replies: number | null;
      rev: number | null;
      shown: boolean;
    }
  >(
    `select ${postColumns}, p.published and ${inPublicThread} as shown
     from posts p join users u on u.id = p.owner_id left join post_tallies t on t.post_id = p.id
     where p.id = $1`,
    { bind: [postId], type: QueryTypes.SELECT, transaction: tx },
  );
  const tags = Array.isArray(told?.data.tags) ? told.data.tags.map(String) : [];
  if (!post?.shown) {
    const owner = post?.owner_id ?? Number(told?.data.owner_id ?? 0);
    const root = told?.data.root_id as number | null | undefined;
    await append(tx, postDeleted, {
      id: postId,
      owner_id: owner,
      root_id: root ?? null,
      tags,
      // Whether anybody has replies of its thread is not known any more.
      hadReplies: true,
    });
    return;
  }
  const isThere = told !== undefined && told.name !== postDeleted.name;
  const view = presentPost({
    ...post,
    votes: post.votes ?? 0,
    replies: post.replies ?? 0,
    rev: post.rev ?? 0,
  });
  if (isThere) await append(tx, postUpdated, view, departureOf({ ...view, tags }, view));
  else await append(tx, postCreated, view);
}
