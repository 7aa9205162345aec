import type { FeedEvents, PostView } from '../../server/contract.ts';
import { fingerprint, type History, isPost, type LogRow, type View } from './history.ts';

/** What a client with topics must be given: of each event the fingerprint of what it says to that client, by seq. */
export type Wanted = Map<number, number | 'the event'>;

/** An event of the log with the topics that its post says it has. */
interface Placed {
  row: LogRow;
  topics: readonly string[];
  ownerId: number;
  /** Topics of the event before it, of the same post. */
  before: readonly string[];
}

/** What the posts say of whom their events are for, whatever the log says. */
export class Places {
  readonly #placed: Placed[] = [];

  constructor({ log, firstSeen }: Pick<History, 'log' | 'firstSeen'>) {
    const posts = new Map<number, { topics: readonly string[]; ownerId: number }>();
    for (const row of log) {
      const before = posts.get(row.postId);
      const told = isPost(row.data)
        ? { topics: topicsOf(row.data, row.topics, firstSeen.get(row.seq)), ownerId: row.data.owner_id }
        : before;
      posts.set(row.postId, told ?? { topics: [], ownerId: 0 });
      if (told) this.#placed.push({ row, ...told, before: before?.topics ?? [] });
    }
  }

  /** Events that the log has under other topics than those of their post, as sentences. */
  *misplaced(): Iterable<string> {
    for (const { row, topics } of this.#placed) {
      const logged = row.topics.toSorted().join(' ');
      const said = topics.toSorted().join(' ');
      if (logged !== said)
        yield `${row.seq}, ${row.name} of post ${row.postId}, is under "${logged}", not "${said}"`;
    }
  }

  /** What a view is to be given of the log. */
  wantedIn(view: View): Wanted {
    const wanted: Wanted = new Map();
    for (const { row, topics, ownerId, before } of this.#placed) {
      if (wants(view, topics, ownerId)) wanted.set(row.seq, 'the event');
      else if (row.name === 'post:updated' && isPost(row.data) && wants(view, before, ownerId)) {
        // The post has left the topics of the view: there it is gone.
        const { id, root_id } = row.data;
        wanted.set(row.seq, fingerprint('post:deleted', root_id ? { id, root_id } : { id }));
      }
    }
    return wanted;
  }
}

/** Whether a view holds what has these topics. */
function wants(
  { topics: named, userId, follows }: View,
  topics: readonly string[],
  ownerId: number,
): boolean {
  if (topics.some((topic) => named.includes(topic))) return true;
  return (
    named.includes('home') && topics.includes('feed') && (ownerId === userId || follows.includes(ownerId))
  );
}

/** Whether a view holds a post, as clients are told of it. */
export function wantsPost(view: View, post: PostView): boolean {
  return wants(view, topicsWith(post, tagsOf(post)), post.owner_id);
}

/**
 * @param logged the topics that the log says
 * @param seen what a client was told of it, before the log lost its text: with the text the tags are gone
 */
function topicsOf(
  post: PostView,
  logged: readonly string[],
  seen: FeedEvents[LogRow['name']] | undefined,
): string[] {
  const whole = [post, seen ?? post].find((told) => isPost(told) && told.redacted !== true);
  // Where nobody was told of it in time there is only the log.
  const tags = whole && isPost(whole) ? tagsOf(whole) : logged.filter((topic) => topic.startsWith('tag:'));
  return topicsWith(post, tags);
}

function tagsOf({ tags = [] }: PostView): string[] {
  return tags.map((tag) => `tag:${tag}`);
}

function topicsWith({ id, owner_id, root_id }: PostView, tags: readonly string[]): string[] {
  return [...(root_id ? [] : ['feed']), `author:${owner_id}`, `thread:${root_id ?? id}`, ...tags];
}
