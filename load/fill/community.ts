import { hash } from 'bcrypt';
import type pg from 'pg';
import { FOLD } from '../../server/text/fold.ts';
import { withBareTables } from './bare-tables.ts';

/** The sizes of a community. */
export interface Size {
  users: number;
  /** With replies: two of each five. */
  posts: number;
  /** Votes of each user. */
  votesEach: number;
  /** Whom each user follows; the first two of them more. */
  followsEach: number;
}

/** Everybody's. */
export const PASSWORD = 'the password of everybody';

const WHOLE = { users: 100_000, posts: 10_000_000 } as const;
const VOTES_EACH = 500;
const FOLLOWS_EACH = 20;
/** The first user follows so many, the second one so many. */
const FOLLOWS_OF_FIRST = [5000, 500] as const;
/** Replies to one post, the widest thread: fewer below 140,000 posts, of which it has 7 %. */
const WIDE = 10_000;
const TAGS = 1000;
const YEARS = 3;
/** Different words beside those of the sentences. */
const WORDS = 400_000;

/** The sizes at a scale, of which 1 is a large community. A small one has a post for each vote all the same. */
export function sizeAt(scale: number): Size {
  const users = Math.max(50, Math.round(WHOLE.users * scale));
  const posts = Math.max(500, 5 * Math.round((WHOLE.posts * scale) / 5));
  return {
    users,
    posts,
    votesEach: Math.min(VOTES_EACH, Math.floor(posts / 20)),
    followsEach: Math.min(FOLLOWS_EACH, Math.floor(users / 4)),
  };
}

/** Every table that is filled. */
const TABLES = [
  'users',
  'posts',
  'post_tallies',
  'post_tags',
  'post_mentions',
  'votes',
  'relations',
  'stream_relations',
  'event_log',
  'event_topics',
  'search_words',
] as const;

/** From 0 to below 1, in SQL: of the same number and salt the same, so that two runs make the same community. */
function chance(of: string, salt: number): string {
  return `((hashint8extended(${of}, ${salt}) & 9007199254740991)::float8 / 9007199254740992)`;
}

/** Some sentences in small letters, of words of which a few are frequent. */
function sentences(): string[] {
  const syllables = SYLLABLES.match(/../g) ?? [];
  let seed = 1;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const word = () =>
    Array.from(
      { length: 1 + Math.ceil(2 * random()) },
      () => syllables[Math.floor(syllables.length * random() ** 2)] ?? '',
    ).join('');
  return Array.from({ length: 256 }, () => Array.from({ length: 8 }, word).join(' '));
}

const SYLLABLES = 'badelimonuparesitovacedogahilamenipoarsu';

/** One of the words beside those of the sentences, in SQL. */
function wordOf(number: string): string {
  const syllable = (at: number) =>
    `substr('${SYLLABLES}', (1 + 2 * ((${number}) / ${20 ** at} % 20))::integer, 2)`;
  return `'x' || ${[0, 1, 2, 3, 4].map(syllable).join(' || ')}`;
}

/** A time as the JSON of the service has it, in SQL. */
const json = (time: string) => `to_char((${time}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

interface Step {
  what: string;
  /** Whether it fills the log alone. */
  isLog?: boolean;
  sql: string;
  values?: unknown[];
}

/** The statements that fill the tables, in order. */
function steps(size: Size, passwordHash: string, withLog: boolean): Step[] {
  const { users, posts, votesEach, followsEach } = size;
  const groups = posts / 5;
  const wideGroup = Math.floor(groups / 10);
  const wideShare = Math.min(0.2, WIDE / (2 * (groups - wideGroup)));
  const stratum = Math.floor(posts / votesEach);
  const vocabulary = Math.min(WORDS, posts);
  const age = `(${posts} - n) * interval '${(YEARS * 365 * 86_400) / posts} seconds'`;
  const picked = (salt: number) => `s.list[1 + floor(256 * ${chance('n', salt)})::integer]`;
  const tagOf = (salt: number) => `'topic' || floor(${TAGS} * ${chance('n', salt)} ^ 3)::integer`;
  const text = `case when title is null then content else title || ' ' || content end`;
  const payload = (isCut: boolean) => `json_build_object('id', p.id,
    'title', ${isCut ? `case when p.title is not null then '' end` : 'p.title'}, 'content', ${isCut ? `''` : 'p.content'},
    'published', true, 'created_at', ${json('p.created_at')}, 'published_at', ${json('p.created_at')},
    'updated_at', ${json(`p.created_at + (e.version - 1) * interval '1 minute'`)}, 'version', e.version,
    'owner_id', p.owner_id, 'owner', json_build_object('id', p.owner_id, 'username', ${isCut ? `''` : `'user' || p.owner_id`}),
    'parent_id', p.parent_id, 'root_id', p.root_id, 'tags', ${isCut ? `'{}'::text[]` : 'p.tags'},
    'mentions', ${isCut ? `'[]'::json` : 'p.mentions'}, 'votes', 0, 'replies', 0, 'rev', 0${isCut ? `, 'redacted', true` : ''})`;
  return [
    {
      what: `${users} users`,
      sql: `
        insert into users (id, email, username, password_hash, created_at)
        select n, 'user' || n || '@example.org', 'user' || n, $1, now() - interval '${YEARS} years'
        from generate_series(1, ${users}) n`,
      values: [passwordHash],
    },
    {
      // Of each five the fourth answers some post before it, and the fifth answers the fourth.
      what: `${posts} posts`,
      sql: `
        insert into posts (id, owner_id, title, content, version, created_at, updated_at, listed_at, parent_id, root_id,
          ancestors, tags, mentions, parsed_at, search_text, search_keys, search_fold)
        select n, owner_id, title, content, version, at, at + (version - 1) * interval '1 minute', at, parent_id, root_id,
          case when parent_id = root_id then array[root_id] when parent_id is not null then array[root_id, parent_id] end,
          tags, coalesce(mentions, '[]'), now(), ${text},
          case when is_odd then search_keys_of(${text}) else array_to_tsvector(string_to_array(${text}, ' ')) end, ${FOLD}
        from (
          select n, at, owner_id, root_id, case p when 3 then root_id when 4 then n - 1 end as parent_id,
            case when p in (0, 1, 3) then 2 else 1 end as version, tags, is_odd,
            case when p < 3 then 'about ' || word end as title,
            concat_ws(' ', ${picked(21)}, word, ${picked(22)}, case when p = 1 then 'ferry' end, ${picked(23)},
              case when p = 2 then 'ef' end, case when is_odd then 'zugzwang qx 鯨鯨 หายาก' end, ${picked(24)},
              case when tags[1] is not null then '#' || tags[1] end, case when tags[2] is not null then '#' || tags[2] end,
              case when mentioned is not null then '@user' || mentioned end) as content,
            case when mentioned is not null
              then jsonb_build_array(jsonb_build_object('id', mentioned, 'username', 'user' || mentioned)) end as mentions
          from (
            select n, (n - 1) % 5 as p, now() - ${age} as at,
              1 + floor(${users} * ${chance('n', 1)} ^ 2)::bigint as owner_id,
              case when (n - 1) % 5 > 2 then
                case when g > ${wideGroup} and ${chance('g', 2)} < ${wideShare} then ${wideGroup * 5 + 1}
                  else (g - floor(${chance('g', 3)} ^ 3 * least(g, 2000))::bigint) * 5 + 1 + floor(2 * ${chance('g', 4)})::bigint
                end end as root_id,
              ${wordOf(`floor(${vocabulary} * ${chance('n', 5)} ^ 2)::bigint`)} as word,
              case when ${chance('n', 6)} < 0.5 then array[${tagOf(7)}]
                || case when ${chance('n', 8)} < 0.3 and ${tagOf(9)} <> ${tagOf(7)} then array[${tagOf(9)}] else '{}' end
                else '{}' end as tags,
              case when ${chance('n', 10)} < 0.02 then 1 + floor(${users} * ${chance('n', 11)})::bigint end as mentioned,
              n % ${Math.max(1, Math.floor(posts / 20))} = 7 as is_odd
            from (select n, (n - 1) / 5 as g from generate_series(1, ${posts}::bigint) n) numbered
            offset 0 -- each expression is computed once, not wherever it is used
          ) drawn, (select $1::text[] as list) s
          offset 0
        ) told`,
      values: [sentences()],
    },
    {
      what: 'tags',
      sql: `insert into post_tags (tag, listed_at, post_id)
        select t.tag, p.listed_at, p.id from posts p, unnest(p.tags) as t (tag)`,
    },
    {
      what: 'mentions',
      sql: `insert into post_mentions (user_id, post_id)
        select (m ->> 'id')::bigint, p.id from posts p, jsonb_array_elements(p.mentions) m where p.mentions <> '[]'`,
    },
    {
      what: 'words',
      sql: `insert into search_words (word)
        select w.word from unnest($1::text[]) as s (sentence), unnest(string_to_array(s.sentence, ' ')) as w (word)
        union select ${wordOf('n')} from generate_series(0, ${vocabulary - 1}) n
        union select '#topic' || n from generate_series(0, ${TAGS - 1}) n
        union select '@user' || user_id from post_mentions
        union select unnest('{about,ferry,ef,zugzwang,qx}'::text[])`,
      values: [sentences()],
    },
    {
      // Each user votes in each stretch of the list of all posts, mostly for what stands at its beginning.
      what: `${users * votesEach} votes`,
      sql: `insert into votes (user_id, post_id)
        select u, k * ${stratum} + 1 + floor(${stratum} * ${chance(`u * ${votesEach} + k`, 12)} ^ 4)::bigint
        from generate_series(1, ${users}::bigint) u, generate_series(0, ${votesEach - 1}::bigint) k`,
    },
    {
      what: 'tallies',
      sql: `insert into post_tallies (post_id, root_id, votes, replies, rev, hot)
        select p.id, p.root_id, c.votes, c.replies, c.votes + c.replies, hot_rank(c.votes, p.listed_at)
        from posts p
        left join (select post_id, count(*)::integer as n from votes group by post_id) v on v.post_id = p.id
        left join (
          select a.id, count(*)::integer as n from posts q, unnest(q.ancestors) as a (id) where q.ancestors is not null group by a.id
        ) r on r.id = p.id
        cross join lateral (select coalesce(v.n, 0) as votes, coalesce(r.n, 0) as replies) c`,
    },
    {
      what: 'follows',
      sql: `insert into relations (user_id, kind, target_id, created_at)
        select u.id, 'follow', f.id, now() - (u.id * ${followsEach} + k) * interval '1 second'
        from users u
        cross join lateral (
          select least(case u.id when 1 then ${FOLLOWS_OF_FIRST[0]} when 2 then ${FOLLOWS_OF_FIRST[1]} else ${followsEach} end,
            ${Math.floor(users / 2)})::bigint as follows
        ) w
        cross join lateral generate_series(0, w.follows - 1) k
        cross join lateral (
          select 1 + (k * ${users}) / w.follows + floor(${users} / w.follows * ${chance('u.id * 10000 + k', 13)} ^ 3)::bigint as id
        ) f
        where f.id <> u.id`,
    },
    {
      what: 'events of follows',
      isLog: true,
      sql: `insert into event_log (seq, outbox_id, name, entity_type, entity_id, audience, topics, redaction, data,
          container_type, container_id, relation, created_at)
        select e.seq, e.seq, 'follow:added', 'follow', 1 + floor(${2 ** 48 - 2} * ${chance('e.seq', 14)})::bigint,
          'user:' || e.reader, array['user:' || e.reader],
          '{follower.username,followee.username}',
          json_strip_nulls(json_build_object('follower', json_build_object('id', f.user_id, 'username', 'user' || f.user_id),
            'followee', json_build_object('id', f.target_id, 'username', 'user' || f.target_id),
            'refresh', case when e.takes_effect then true end)),
          'account', f.user_id + f.target_id - e.reader,
          case when e.takes_effect then
            json_build_object('kind', 'follow', 'user_id', f.user_id, 'target_id', f.target_id, 'added', true) end,
          now() - interval '${YEARS} years'
        from (select r.user_id, r.target_id, row_number() over (order by r.user_id, r.target_id) as n from relations r) f
        cross join lateral (values (2 * f.n - 1, f.target_id, false), (2 * f.n, f.user_id, true)) as e (seq, reader, takes_effect)`,
    },
    {
      what: 'follows of the stream',
      sql: `insert into stream_relations (user_id, kind, target_id, since_seq)
        select user_id, kind, target_id, 2 * row_number() over (order by user_id, target_id) from relations`,
    },
    {
      // Five are created, then the first, the second and the fourth of them are edited.
      what: 'events of posts',
      isLog: true,
      sql: `insert into event_log (seq, outbox_id, name, entity_type, entity_id, audience, topics, redaction, data, author_id,
          container_type, container_id, created_at)
        select s.seq, s.seq, case e.version when 2 then 'post:updated' else 'post:created' end, 'post', p.id, 'public',
          case when p.root_id is null then '{feed}'::text[] else '{}' end || ('author:' || p.owner_id)
            || ('thread:' || coalesce(p.root_id, p.id)) || array(select 'tag:' || t.tag from unnest(p.tags) as t (tag)),
          '{title,content,owner.username,tags,mentions}',
          case when e.cut then ${payload(true)} else ${payload(false)} end,
          p.owner_id, case when p.root_id is not null then 'thread' end, p.root_id, p.created_at
        from posts p
        cross join (select 2 * count(*) as seq from relations) base
        cross join lateral (
          select version, version < p.version as cut from generate_series(1, p.version) version
        ) e
        cross join lateral (
          select base.seq + (p.id - 1) / 5 * 8
            + case when e.version = 1 then 1 + (p.id - 1) % 5 else 6 + case (p.id - 1) % 5 when 3 then 2 else (p.id - 1) % 5 end end as seq
        ) s`,
    },
    {
      what: 'topics of events',
      isLog: true,
      sql: `insert into event_topics (topic, seq)
        select t.topic, e.seq from event_log e, unnest(e.topics) as t (topic)
        where t.topic <> 'feed' and t.topic not like 'author:%'`,
    },
    {
      what: 'the head',
      sql: `with head as (
          select seq, setval(pg_get_serial_sequence('users', 'id'), ${users}),
            setval(pg_get_serial_sequence('posts', 'id'), ${posts}),
            setval(pg_get_serial_sequence('event_outbox', 'id'), seq)
          from (select 2 * count(*) + ${groups * 8} as seq from relations) counted
        )
        update feed_head set seq = head.seq${withLog ? '' : ', floor = head.seq'} from head where id = 1`,
    },
  ];
}

/** The database holds something already. */
export class NotEmpty extends Error {
  override readonly name = 'NotEmpty';

  constructor() {
    super('This database has users, posts or events already. Only an empty one is filled.');
  }
}

/**
 * Fills a database that has been migrated and holds nothing with a community of some years, in one transaction: users,
 * posts with replies, tags and mentions, votes, follows, and the log of all of them. Nobody has been notified of
 * anything, and nobody has a session.
 * @param say told what begins
 * @param withLog false leaves the log empty, as if all of it had been pruned
 * @throws {NotEmpty}
 */
export async function fillCommunity(
  client: pg.ClientBase,
  size: Size,
  say: (what: string) => void = () => undefined,
  withLog = true,
): Promise<void> {
  const passwordHash = await hash(PASSWORD, 10);
  await client.query('begin');
  try {
    await client.query('lock table users, posts, event_log in access exclusive mode');
    const { rows } = await client.query<{ filled: boolean }>(
      `select exists (select from users) or exists (select from posts) or exists (select from event_log)
         or exists (select from event_outbox) as filled`,
    );
    if (rows[0]?.filled) throw new NotEmpty();
    await client.query(
      `set local maintenance_work_mem = '1GB'; set local work_mem = '256MB'; set local synchronous_commit = off;
       set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; set local jit = off`,
    );
    await withBareTables(
      client,
      TABLES,
      async () => {
        for (const { what, isLog = false, sql, values } of steps(size, passwordHash, withLog)) {
          if (isLog && !withLog) continue;
          say(what);
          await client.query(sql, values);
        }
      },
      say,
    );
    say('commit');
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
  say('vacuum analyze');
  await client.query('vacuum analyze');
}
