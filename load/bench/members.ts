import { randomUUID } from 'node:crypto';
import { AccessTokens } from '../../server/auth/tokens.ts';
import { SECRET, withClient } from './stage.ts';

const DAY = 86_400_000;

/** Somebody with an account and a session, made in the database: thousands by REST would take minutes. */
export interface Member {
  id: number;
  token: string;
}

/** Makes so many, whose ids follow upon each other. */
export async function makeMembers(databaseUrl: string, count: number): Promise<Member[]> {
  const tokens = new AccessTokens([SECRET], DAY);
  const sessions = Array.from({ length: count }, () => randomUUID());
  const run = randomUUID();
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ user_id: string; id: string }>(
      `with made as (
         insert into users (email, username, password_hash)
         select $1 || n || '@example.org', left($1, 8) || '-' || n, 'x' from generate_series(1, $2::integer) n
         returning id
       )
       insert into sessions (id, user_id, expires_at)
       select s.id, m.id, now() + interval '1 day'
       from (select id, row_number() over (order by id) as place from made) m
       join unnest($3::uuid[]) with ordinality as s (id, place) on s.place = m.place
       returning id, user_id`,
      [run, count, sessions],
    );
    return rows
      .map(({ user_id, id }) => ({ id: Number(user_id), token: tokens.sign(Number(user_id), id) }))
      .sort((one, other) => one.id - other.id);
  });
}

/**
 * Has the stream know that each follows so many of these authors: one of each pair, triple and so on of neighbours in the
 * list, as if by chance, but the same each time. As nobody asks for lists of followers here, that is all there is.
 */
export async function follow(
  databaseUrl: string,
  followers: readonly Member[],
  authors: readonly Member[],
  each: number,
): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    await client.query(
      `insert into stream_relations (user_id, kind, target_id, since_seq)
       select f.id, 'follow', a.id, 0
       from unnest($1::bigint[]) as f (id) cross join generate_series(0, $2::integer - 1) k
       cross join lateral (
         select ($3::bigint[])[1 + k * $4::integer + (hashint8(f.id * 100003 + k) & 2147483647) % $4] as id
       ) a
       where a.id <> f.id`,
      [
        followers.map(({ id }) => id),
        each,
        authors.map(({ id }) => id),
        Math.max(1, Math.floor(authors.length / each)),
      ],
    );
    await client.query('vacuum analyze stream_relations');
  });
}
