import { QueryTypes, type Sequelize } from 'sequelize';
import { queryOf } from '../text/grams.ts';
import {
  binding,
  conditions,
  type FeedPage,
  joined,
  keys,
  type ListScope,
  pageOf,
  type PageRow,
  position,
  shown,
} from './list-statement.ts';
import type { ListPosts } from './schemas.ts';
import { UNFOLDED } from './unfolded-posts.ts';

/** How many posts are walked through at first, for each that is wanted. */
const WALKED = 50;
/** How many times more the next try is about. */
const GROWTH = 8;
/** How many that the index finds cost as much as one that is walked through. */
const FOUND = 8;

/** Accounts that are deleted and still have posts: few, found without reading all accounts. */
const BEING_DELETED = `select u.id from account_tasks a join users u on u.id = a.user_id where u.deleted_at is not null`;

/** There are posts that are not folded yet: the search would miss them. */
export class Unfolded extends Error {
  override readonly name = 'Unfolded';
}

export interface Search extends ListScope {
  /** Folded: see `wordsOf`. */
  words: readonly string[];
}

/**
 * Finds a page of posts that contain all of the words, however many there are and whatever the planner believes. Where they
 * are many, the next ones are soon met on a walk through the list; where they are few, the index knows all of them. Which it
 * is shows by trying both in turn, each time about more posts: so it costs a few times the better of the two at most, and
 * neither needs statistics. The index is asked for as many as a walk to the end of the page may cost, by how often the walk
 * so far has met the words: a word that only old posts have is in none of the first, and may be in very many.
 * Each try is one statement, and the one that is enough is the answer.
 * @throws {Unfolded}
 */
export async function searchPage(sequelize: Sequelize, search: Search): Promise<FeedPage> {
  const { list } = search;
  const wanted = list.skip + list.limit + 1;
  for (let most = wanted * WALKED; ; most *= GROWTH) {
    const walked = await read(sequelize, search, walkThrough, most);
    if (walked.looked < most || isFull(walked.rows, list)) return pageOf(list, walked.rows);
    const atMost = Math.ceil(most * FOUND * Math.min(GROWTH, wanted / walked.hits));
    const found = await read(sequelize, search, lookUp, atMost);
    if (found.looked < atMost) return pageOf(list, found.rows);
  }
}

function isFull(rows: readonly PageRow[], { limit }: ListPosts): boolean {
  return rows.filter(({ id }) => id !== null).length > limit;
}

/** Tells in SQL which posts are looked at, as the tables `looked` (of any columns) and `hits (id, key)`. */
type Look = (search: Search, most: number, say: (value: unknown) => string) => string;

/** The next posts of the list, in its order. */
const walkThrough: Look = (search, most, say) => {
  const { column, id } = keys[search.list.sort];
  return `looked as materialized (
      select p.id, p.owner_id, ${column} as key, p.search_text like all (${say(patternsOf(search))}::text[]) as hit
      from posts p ${talliesOf(search)} where ${conditions(search, say)}
      order by ${column} desc, ${id} desc limit ${say(most)}
    ), hits as (
      select l.id, l.owner_id, l.key from looked l where l.hit
    )`;
};

/** What the index finds of all posts; if that is more than may be looked at, nothing is done with it. */
const lookUp: Look = (search, most, say) => {
  const { column } = keys[search.list.sort];
  const atMost = say(most);
  return `looked as materialized (
      select * from find_posts(${say(queryOf(search.words))}::tsquery, ${say(patternsOf(search))}, ${atMost})
    ), hits as (
      select p.id, p.owner_id, ${column} as key from looked p ${talliesOf(search)}
      where (select count(*) from looked) < ${atMost} and ${conditions(search, say)}
    )`;
};

/** @returns also how many posts were looked at, and how many of them have the words */
async function read(
  sequelize: Sequelize,
  search: Search,
  look: Look,
  most: number,
): Promise<{ looked: number; hits: number; rows: PageRow[] }> {
  const { list } = search;
  const { bind, say } = binding();
  const rows = await sequelize.query<PageRow & { looked: number; hits: number; unfolded: boolean }>(
    `with ${look(search, most, say)}
     select ${position}, (select count(*) from looked) as looked, (select count(*) from hits) as hits,
            exists (select from posts p where ${UNFOLDED}) as unfolded, page.*
     from feed_head h left join lateral (
       select ${shown}, c.key::text as key, row_number() over (order by c.key desc, c.id desc) as place
       from (
         select * from hits where owner_id not in (${BEING_DELETED})
         order by key desc, id desc limit ${say(list.limit + 1)} offset ${say(list.skip)}
       ) c join (${joined}) on p.id = c.id
     ) page on true
     order by page.place`,
    { type: QueryTypes.SELECT, bind },
  );
  const [first] = rows;
  if (first?.unfolded) throw new Unfolded();
  return { looked: first?.looked ?? 0, hits: first?.hits ?? 0, rows };
}

function patternsOf({ words }: Search): string[] {
  return words.map((word) => `%${word.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`);
}

/** Where the key of the list stands, if it is not in the posts. */
function talliesOf({ list }: Search): string {
  return list.sort === 'new' ? '' : 'join post_tallies t on t.post_id = p.id';
}
