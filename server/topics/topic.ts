import { tagOf } from '../text/tags.ts';

/** Everything whose audience is everyone: what one receives who names no topic. It is not mixed with others. */
export const EVERYTHING = 'public';
/** Top-level posts by oneself and by those whom one follows. */
export const HOME = 'home';
/** Top-level posts. */
export const FEED = 'feed';

/** Topics of one subscription at most. */
export const MAX_TOPICS = 100;
/** Characters of a topic as a client names it. A tag is shorter in its normal form than in some others. */
export const MAX_TOPIC_LENGTH = 400;

const ID = /^[1-9]\d{0,15}$/;
/** What a topic may be, for the sentence that refuses one. */
export const TOPIC_FORMS = 'public, feed, home, author:ID, thread:ID or tag:NAME';

/**
 * A topic as a client names it, in the form that events name it in.
 * @returns undefined if it is none
 */
export function parseTopic(given: string): string | undefined {
  if (given === EVERYTHING || given === HOME || given === FEED) return given;
  const colon = given.indexOf(':');
  const kind = given.slice(0, colon);
  const name = given.slice(colon + 1);
  switch (kind) {
    case 'author':
    case 'thread':
      return ID.test(name) && Number.isSafeInteger(Number(name)) ? given : undefined;
    case 'tag': {
      const tag = tagOf(name);
      return tag === undefined ? undefined : `tag:${tag}`;
    }
    default:
      return undefined;
  }
}

/** The user of `author:7`; undefined if the topic is another. */
export function authorOf(topic: string): number | undefined {
  return topic.startsWith('author:') ? Number(topic.slice('author:'.length)) : undefined;
}
