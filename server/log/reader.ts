import type pg from 'pg';
import type { Audience, Departure, RelationChange } from '../topics/event-type.ts';

/** A numbered event as the node carries it: its payload stays the text that PostgreSQL keeps, encoded once. */
export interface LogEntry {
  seq: number;
  name: string;
  /** What it is about: a kind of thing, and which one. */
  entityType: string;
  entityId: number;
  audience: Audience;
  topics: readonly string[];
  /** Fields of the payload that are emptied once a later event of its entity supersedes it. */
  redaction: readonly string[];
  /** Whose words it carries; null if nobody's. */
  authorId: number | null;
  /** What it goes away with, beside its entity: a kind of thing, and which one; null if nothing. */
  containerType: string | null;
  containerId: number | null;
  /** Whether it takes the text out of all earlier events of its container. */
  erasesContainer: boolean;
  /** What is received instead by those who subscribe only to topics that its entity has left. */
  departure: Departure | null;
  /** What it changes between two users. */
  relation: RelationChange | null;
  /** The payload as JSON text. */
  json: string;
  /** When the event was written, in milliseconds since 1970. */
  at: number;
}

/** What an event is about, as one key. */
export function entityOf({ entityType, entityId }: LogEntry): string {
  return `${entityType}:${entityId}`;
}

/** What an event goes away with, as one key; undefined if with nothing but its entity. */
export function containerOf({ containerType, containerId }: LogEntry): string | undefined {
  return containerType === null ? undefined : `${containerType}:${containerId}`;
}

/** Where the log stands: which numbering it is, its newest and its last pruned number. */
export interface Head {
  epoch: string;
  seq: number;
  floor: number;
}

/** A position that was reached: the newest event that somebody has, and when it was written, in milliseconds since 1970. */
export interface Seen {
  epoch: string;
  seq: number;
  at: number | undefined;
  /** How far the database's write-ahead log was on disk then, in bytes; undefined if nobody has looked yet. */
  wal?: number | undefined;
}

/** Events that are read at once at most. */
export const PAGE_ROWS = 500;

/** Text of events that is read at once, if it is more than one event. Bytes. */
export const PAGE_BYTES = 1024 * 1024;

/**
 * The columns of a `LogEntry` but its payload, of an event `e` in SQL. What `number_events` returns has the same names.
 */
export const entryColumns = `e.seq, e.name, e.entity_type as "entityType", e.entity_id as "entityId", e.audience, e.topics,
  e.redaction, e.author_id as "authorId", e.container_type as "containerType", e.container_id as "containerId",
  e.erases_container as "erasesContainer", e.departure, e.relation`;

/**
 * As many events as are asked for, but no further than so many bytes reach: five hundred posts may have 20 MB. What was
 * superseded is cut out of the log piece by piece: what is still to be cut is cut here.
 * @param which the condition on an event `e`; `$1` is the position after which, `$2` how many at most, and `$3` of how
 *   many bytes
 */
const pageOf = (which: string): string => `with next as (
           select ${entryColumns},
                  (case when r.entity_id is null and c.entity_id is null then e.data
                        else redacted(e.data, e.redaction) end)::text as json,
                  (extract(epoch from e.created_at) * 1000)::double precision as at
           from event_log e
           left join event_redactions r
             on r.entity_type = e.entity_type and r.entity_id = e.entity_id and e.seq < r.before_seq
           left join event_redactions c
             on c.entity_type = e.container_type and c.entity_id = e.container_id and e.seq < c.before_seq
           where ${which} order by e.seq limit $2
         )
         select seq, name, "entityType", "entityId", audience, topics, redaction, json, at, "authorId",
                "containerType", "containerId", "erasesContainer", departure, relation
         from (select next.*, sum(octet_length(json)) over (order by seq) as bytes,
                      row_number() over (order by seq) as place from next) measured
         where bytes <= $3 or place = 1 order by seq`;

const page = { name: 'log-page', text: pageOf('e.seq > $1') };

/** Index entries that are read first at most, of all topics and authors together. */
const MOST_ENTRIES = 20_000;

/** SQL: of each row `k` of a list, so many at most of its events behind a position, by an index. */
const ofEach = (list: string, index: string, after: string, limit: string) => `${list}
    cross join lateral (
      select p.seq from ${index} and p.seq > ${after} and p.seq <= $6 order by p.seq limit ${limit}
    ) p`;
const byTopic = 'event_topics p where p.topic = k.topic';
const byAuthor = 'event_log p where p.author_id = k.author';

/**
 * The events of some topics and some authors, by the index of each: the first `$7` of each one, then more of those whose first
 * ones all lie before the place where the page can end. Fewer than `$2` different events do, so these are few, however many
 * are looked up.
 */
const probedPage = {
  name: 'log-probe',
  text: pageOf(`e.seq = any (array(
    with first as materialized (
      select k.topic, null::bigint as author, p.seq from ${ofEach('unnest($4::text[]) as k (topic)', byTopic, '$1', '$7')}
      union all
      select null, k.author, p.seq from ${ofEach('unnest($5::bigint[]) as k (author)', byAuthor, '$1', '$7')}
    ), cut as materialized (
      select topic, author, max(seq) as seq from first group by topic, author
      having count(*) = $7 and max(seq) < coalesce(
        (select distinct seq from first order by seq offset $2 - 1 limit 1), $6)
    )
    select seq from first
    union
    select p.seq from ${ofEach('cut as k', byTopic, 'k.seq', '$2')}
    union
    select p.seq from ${ofEach('cut as k', byAuthor, 'k.seq', '$2')}
    order by seq limit $2
  ))`),
};

/** What the log is read through. */
export interface LogSource {
  query(query: { name: string; text: string; values: unknown[] }): Promise<{ rows: object[] }>;
}

/**
 * The events that follow a position, in order: at most `limit`, and at most a megabyte of them, but one at least. Fewer than
 * `limit` are therefore not the end of the log. They end where a number is missing, so that nobody takes what is behind a
 * hole for what comes next; the first is another than the next where the log does not reach back so far.
 */
export async function readLog(source: LogSource, after: number, limit = PAGE_ROWS): Promise<LogEntry[]> {
  const { rows } = await source.query({ ...page, values: [after, limit, PAGE_BYTES] });
  const entries = rows as LogEntry[];
  const hole = entries.findIndex(({ seq }, at) => seq !== (entries[0]?.seq ?? 0) + at);
  return hole < 0 ? entries : entries.slice(0, hole);
}

/**
 * How many events there are after a position, up to another.
 * @returns also the highest number that is missing among them, 0 if none is, and the floor of the log at that moment
 */
export async function countLog(
  source: LogSource,
  after: number,
  upTo: number,
): Promise<{ count: number; missing: number; floor: number }> {
  const { rows } = await source.query({
    name: 'log-count',
    text: `with counted as (select count(*) as count from event_log where seq > $1 and seq <= $2)
           select counted.count::double precision as count, h.floor::double precision as floor,
             coalesce(case when counted.count < $2::bigint - $1::bigint then (
               select max(n) from (
                 select n from generate_series($1::bigint + 1, $2::bigint) n
                 except select seq from event_log where seq > $1 and seq <= $2
               ) missing) end, 0)::double precision as missing
           from counted cross join feed_head h`,
    values: [after, upTo],
  });
  const [counted] = rows as { count: number; missing: number; floor: number }[];
  if (!counted) throw new NoHead();
  return counted;
}

/** Whose events are looked up: those of topics that the log is indexed by, and those of authors. */
export interface Probe {
  topics: readonly string[];
  authors: readonly number[];
}

/**
 * The events of some topics and authors between two positions, without the first one, in order: at most `limit`, and at
 * most a megabyte of them, but one at least if there is one. Beside one look-up for each topic and author it reads some
 * 30,000 entries of the indexes at most, whatever the log has.
 * @returns undefined if the log does not reach back to the first position
 */
export async function probeLog(
  source: LogSource,
  { topics, authors }: Probe,
  after: number,
  upTo: number,
  limit: number,
): Promise<LogEntry[] | undefined> {
  const each = Math.min(limit, Math.max(1, Math.floor(MOST_ENTRIES / (topics.length + authors.length))));
  const values = [after, limit, PAGE_BYTES, topics, authors, upTo, each];
  const { rows } = await source.query({ ...probedPage, values });
  // Asked afterwards: what was not pruned by then had not been pruned before.
  const floor = await source.query({ name: 'log-floor', text: 'select floor from feed_head', values: [] });
  const [head] = floor.rows as { floor: number }[];
  return head && head.floor <= after ? (rows as LogEntry[]) : undefined;
}

/** Runs a read of the log on a source that has everything that is committed by now. */
export type LogReads = <T>(read: (source: LogSource) => Promise<T>) => Promise<T>;

/**
 * Reads a log that may have been emptied: an empty table is no log that has been pruned.
 * @param tables both throw while the tables are away
 */
export function wholeLog(
  reads: LogReads,
  tables: { confirm: () => Promise<void>; require: () => void },
): (after: number, limit: number) => Promise<LogEntry[]> {
  return async (after, limit) => {
    const page = await reads((source) => readLog(source, after, limit));
    if (page[0]?.seq !== after + 1) await tables.confirm();
    else tables.require();
    return page;
  };
}

/** As many of these events as `readLog` would give at once. */
export function shortened(entries: LogEntry[]): LogEntry[] {
  let bytes = 0;
  const end = entries.findIndex(({ json }, at) => (bytes += Buffer.byteLength(json)) > PAGE_BYTES && at > 0);
  return end < 0 ? entries : entries.slice(0, end);
}

/**
 * Where the log stands, after making sure that this is the database it was numbered in. A restored, copied or promoted
 * database, or one whose log is shorter than what this node has already seen or holds another event there, gets a new
 * epoch.
 * @param seen the newest event that the node has, if it has one
 */
export async function openFeed(pool: pg.Pool, seen?: Seen): Promise<Head> {
  const { rows } = await pool.query<Head>('select epoch, seq, floor from open_feed($1, $2, $3, $4)', [
    seen?.epoch ?? null,
    seen?.seq ?? null,
    seen?.at ?? null,
    seen?.wal ?? null,
  ]);
  const head = rows[0];
  if (!head) throw new NoHead();
  return head;
}

/** The row of the head is not there, as while a backup is restored: as good as no table, by its SQLSTATE. */
export class NoHead extends Error {
  override readonly name = 'NoHead';
  readonly code = '3F000';

  constructor() {
    super('feed_head has no row');
  }
}
