import type { Violation } from '../checker.ts';
import { type History, isPost, keyOf, type LogRow, type Write } from '../history.ts';

/** Rules 1, 4 (its second half) and 5: the writes against the log. */
export function writeViolations(history: History): Violation[] {
  const seqs = new Map<Write, number>();
  return [
    ...matchEvents(history, seqs),
    ...votesWithoutEffect(history),
    ...outOfOrder(history.writes, seqs),
    ...notKept(history),
  ];
}

/**
 * Explains each event of the log by one write. A post has one writer, who does one thing after the other and leaves the post
 * alone after an unknown outcome; so its events are those of its writes in order, and perhaps one more of the last.
 */
function* matchEvents(history: History, seqs: Map<Write, number>): Iterable<Violation> {
  const { byPost, unplaced } = writesByPost(history.writes);
  for (const [postId, rows] of rowsByPost(history.log)) {
    const made = (byPost.get(postId) ?? []).filter(({ event }) => event !== undefined);
    byPost.delete(postId);
    if (made.length === 0) {
      const created = unplaced.get(firstKey(history, rows));
      if (created) {
        unplaced.delete(created.key);
        made.unshift(created);
      }
    }
    yield* align(history, made, rows, seqs);
  }
  for (const made of byPost.values()) {
    for (const write of made) {
      if (write.outcome === 'ok' && write.event !== undefined) yield lost(write);
    }
  }
  yield* doubledKeys(history);
}

function* align(
  history: History,
  made: Write[],
  rows: LogRow[],
  seqs: Map<Write, number>,
): Iterable<Violation> {
  let next = 0;
  for (const write of made) {
    if (write.outcome === 'refused') continue;
    const row = rows[next];
    if (row && explains(history, write, row)) {
      if (write.outcome === 'ok') seqs.set(write, row.seq);
      next += 1;
    } else if (write.outcome === 'ok') yield lost(write);
  }
  for (const row of rows.slice(next)) {
    yield { rule: 1, what: `event ${row.seq}, ${row.name} of post ${row.postId}, was made by no write` };
  }
}

/** Whether this event is this write's. A title that the log has cut is taken from anyone who saw it. */
function explains(history: History, write: Write, row: LogRow): boolean {
  if (write.event !== row.name) return false;
  if (row.name === 'post:deleted') return true;
  if (!isPost(row.data)) return false;
  if (write.version !== undefined && row.data.version !== write.version) return false;
  if (write.op === 'publish') return true; // it changes no title
  const title = titleOf(history, row);
  return title === undefined || keyOf(title) === write.key;
}

function titleOf({ firstSeen }: History, { seq, data }: LogRow): string | undefined {
  if (isPost(data) && data.redacted !== true) return data.title ?? data.content;
  const seen = firstSeen.get(seq);
  return seen && isPost(seen) && seen.redacted !== true ? (seen.title ?? seen.content) : undefined;
}

function firstKey(history: History, rows: LogRow[]): string {
  const [first] = rows;
  return first ? keyOf(titleOf(history, first) ?? '') : '';
}

function writesByPost(writes: Write[]): { byPost: Map<number, Write[]>; unplaced: Map<string, Write> } {
  const byPost = new Map<number, Write[]>();
  const unplaced = new Map<string, Write>();
  for (const write of writes) {
    if (write.op === 'vote' || write.op === 'unvote') continue;
    if (write.postId === undefined) {
      if (write.outcome !== 'refused') unplaced.set(write.key, write);
    } else byPost.set(write.postId, [...(byPost.get(write.postId) ?? []), write]);
  }
  return { byPost, unplaced };
}

function rowsByPost(log: LogRow[]): Map<number, LogRow[]> {
  const rows = new Map<number, LogRow[]>();
  for (const row of log) {
    const ofPost = rows.get(row.postId);
    if (ofPost) ofPost.push(row);
    else rows.set(row.postId, [row]);
  }
  return rows;
}

function lost({ key, op, postId, event }: Write): Violation {
  return {
    rule: 1,
    what: `${op} ${key} of post ${postId ?? '?'} was acknowledged, but has no ${event ?? 'event'}`,
  };
}

/** A key that made two posts: its repetition was done again. */
function* doubledKeys(history: History): Iterable<Violation> {
  const creations = new Map<string, number>();
  for (const row of history.log) {
    if (row.name !== 'post:created' || !isPost(row.data) || row.data.version !== 1) continue;
    const title = titleOf(history, row);
    if (title === undefined || title === '') continue;
    const key = keyOf(title);
    const first = creations.get(key);
    if (first !== undefined) yield { rule: 4, what: `key ${key} was written twice: ${first} and ${row.seq}` };
    creations.set(key, row.seq);
  }
  const rows = new Map<string, number>();
  for (const { id, title, version } of history.atRest.posts) {
    if (version !== 1) continue;
    const first = rows.get(keyOf(title));
    if (first !== undefined)
      yield { rule: 4, what: `key ${keyOf(title)} made two posts: ${first} and ${id}` };
    rows.set(keyOf(title), id);
  }
}

/** A vote has no event; its effect is its row. A pair with an unknown outcome is not touched again, and may be either. */
function* votesWithoutEffect({ writes, atRest }: History): Iterable<Violation> {
  const rows = new Set(atRest.votes.map(({ userId, postId }) => `${userId}:${postId}`));
  const standing = new Set(atRest.posts.map(({ id }) => id));
  const last = new Map<string, Write>();
  for (const write of writes) {
    if ((write.op !== 'vote' && write.op !== 'unvote') || write.outcome === 'refused') continue;
    last.set(`${write.userId}:${write.postId ?? 0}`, write);
  }
  for (const [pair, { op, outcome, key, postId }] of last) {
    const has = rows.delete(pair);
    if (outcome === 'unknown' || postId === undefined || !standing.has(postId)) continue;
    if (has !== (op === 'vote'))
      yield {
        rule: 1,
        what: `${op} ${key} of ${pair} was acknowledged, but the row ${has ? 'is still' : 'is not'} there`,
      };
  }
  for (const pair of rows) yield { rule: 1, what: `the vote ${pair} was cast by nobody` };
}

/** An acknowledged post that nobody deleted is a row, at least at the version that was acknowledged. */
function* notKept({ writes, atRest }: History): Iterable<Violation> {
  const posts = new Map(atRest.posts.map((post) => [post.id, post]));
  const expected = new Map<number, { version: number; gone: boolean; settled: boolean }>();
  for (const { op, outcome, postId, version } of writes) {
    if (postId === undefined || outcome === 'refused' || op === 'vote' || op === 'unvote') continue;
    const state = expected.get(postId) ?? { version: 0, gone: false, settled: true };
    if (outcome === 'unknown') state.settled = false;
    else if (op === 'delete') state.gone = true;
    else state.version = version ?? state.version;
    expected.set(postId, state);
  }
  for (const [postId, { version, gone, settled }] of expected) {
    const post = posts.get(postId);
    if (gone && post) yield { rule: 1, what: `post ${postId} was deleted, and is there` };
    if (!settled || gone) continue;
    if (!post) yield { rule: 1, what: `post ${postId} was acknowledged, and is not there` };
    else if (post.version !== version)
      yield {
        rule: 1,
        what: `post ${postId} was acknowledged at version ${version}, and has ${post.version}`,
      };
  }
}

/** Rule 5, in one sweep over the writes by their beginning: none may have a lower seq than one that had ended by then. */
function* outOfOrder(writes: Write[], seqs: Map<Write, number>): Iterable<Violation> {
  const numbered = writes.filter((write) => seqs.has(write));
  const byEnd = numbered.toSorted((a, b) => a.end - b.end);
  let ended = 0;
  let highest: { seq: number; key: string } = { seq: 0, key: '' };
  for (const write of numbered.toSorted((a, b) => a.begin - b.begin)) {
    for (let past = byEnd[ended]; past && past.end < write.begin; past = byEnd[++ended]) {
      const seq = seqs.get(past) ?? 0;
      if (seq > highest.seq) highest = { seq, key: past.key };
    }
    const seq = seqs.get(write) ?? 0;
    if (seq < highest.seq)
      yield {
        rule: 5,
        what: `${write.key} has ${seq}, and ${highest.key}, which had ended before it began, ${highest.seq}`,
      };
  }
}
