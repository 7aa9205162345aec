import type { Transaction } from 'sequelize';
import { select } from '../database/select.ts';
import { append, appendAll } from '../log/append.ts';
import {
  blockRemoved,
  erasing,
  followRemoved,
  type FollowNews,
  type HideNews,
  muteRemoved,
} from '../relations/events.ts';
import type { EventType, RelationKind } from '../topics/event-type.ts';

/** Events whose own text one piece of a deletion takes out of the log. */
const MOST_EVENTS = 2000;

interface Ended {
  user_id: number;
  kind: RelationKind;
  target_id: number;
  /** Of the other user. */
  username: string;
}

/**
 * Ends the next follows, blocks and mutes of a deleted user, and by others of that user, and tells the others. The
 * user's row is locked: nobody can begin one.
 * @param most in one piece
 * @returns whether none is left
 */
export async function endRelations(tx: Transaction, userId: number, most: number): Promise<boolean> {
  const ended = await select<Ended>(
    tx,
    `with page as (
       (select user_id, kind, target_id from relations where user_id = $1 limit $2)
       union
       (select user_id, kind, target_id from relations where target_id = $1 limit $2)
       limit $2
     ), ended as (
       delete from relations r using page p
       where r.user_id = p.user_id and r.kind = p.kind and r.target_id = p.target_id
       returning r.user_id, r.kind, r.target_id
     )
     select e.user_id, e.kind, e.target_id, o.username from ended e
     join users o on o.id = case e.user_id when $1 then e.target_id else e.user_id end
     order by e.user_id, e.kind, e.target_id`,
    userId,
    most,
  );
  const nobody = { id: userId, username: '' };
  const follows = ended
    .filter(({ kind }) => kind === 'follow')
    .map(({ user_id, target_id, username }): FollowNews => {
      const isFollower = user_id === userId;
      const other = { id: isFollower ? target_id : user_id, username };
      return {
        follower: isFollower ? nobody : other,
        followee: isFollower ? other : nobody,
        to: isFollower ? 'followee' : 'follower',
        takesEffect: true,
      };
    });
  await appendErasing(tx, followRemoved, follows);
  for (const [kind, type] of [
    ['block', blockRemoved],
    ['mute', muteRemoved],
  ] as const) {
    const hidden = ended
      .filter((each) => each.kind === kind)
      .map(({ user_id, target_id }): HideNews => ({
        userId: user_id,
        target: { id: target_id, username: '' },
      }));
    // What the deleted user hid is told to nobody who could hear it: so the stream forgets it.
    const isOwn = (news: HideNews) => news.userId === userId;
    await appendAll(tx, type, hidden.filter(isOwn));
    await appendErasing(
      tx,
      type,
      hidden.filter((news) => !isOwn(news)),
    );
  }
  return ended.length < most;
}

/** Each of them is about the deleted user: the last one takes the name out of all that was told before. */
async function appendErasing<Subject, Payload extends object>(
  tx: Transaction,
  type: EventType<string, Subject, Payload>,
  subjects: readonly Subject[],
): Promise<void> {
  const last = subjects.at(-1);
  if (last === undefined) return;
  await appendAll(tx, type, subjects.slice(0, -1));
  await append(tx, erasing(type), last);
}

/**
 * Takes the name of a deleted user out of the log: of what the user was told, and of what others were. After the last
 * event that names the user has its number.
 * @returns whether none is left, or whether that event still waits for its number
 */
export async function eraseName(tx: Transaction, userId: number): Promise<'done' | 'more' | 'waits'> {
  const [waiting] = await select(
    tx,
    `select 1 from event_outbox where audience = 'user:' || $1::bigint or (container_type = 'account' and container_id = $1::bigint) limit 1`,
    userId,
  );
  if (waiting) return 'waits';
  const [own] = await select<{ found: number }>(
    tx,
    `with found as (
       delete from event_topics where (topic, seq) in (
         select topic, seq from event_topics where topic = 'user:' || $1::bigint order by seq limit $2) returning seq
     ), emptied as (
       update event_log e set data = redacted(e.data, e.redaction) from found
       where e.seq = found.seq and e.redaction <> '{}'
     )
     select count(*) as found from found`,
    userId,
    MOST_EVENTS,
  );
  if (own?.found === MOST_EVENTS) return 'more';
  await select(
    tx,
    `insert into event_redactions as r (entity_type, entity_id, next_seq, before_seq)
     select 'account', $1::bigint, 0, h.seq + 1 from feed_head h
     where exists (
       select from event_log e where e.container_type = 'account' and e.container_id = $1::bigint
         and e.redaction <> '{}' and e.data -> 'redacted' is null)
     on conflict (entity_type, entity_id) do update
     set next_seq = 0, before_seq = greatest(r.before_seq, excluded.before_seq)`,
    userId,
  );
  return 'done';
}
