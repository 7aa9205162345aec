import { prepared } from '../database/prepared.ts';
import { namesIn } from '../text/mentions.ts';
import { tagsIn } from '../text/tags.ts';
import type { OwnerView } from './event-payloads.ts';
import { usernameKey } from '../text/username-key.ts';

/** Distinct users that one post mentions at most; the first ones count. */
const MOST_MENTIONS = 20;

/** What a text refers to: tags in their normal form, and users, each by the name that is written there. */
export interface References {
  tags: string[];
  mentions: OwnerView[];
}

export const NOTHING: References = { tags: [], mentions: [] };

/** The text of a post; a reply has no title. */
export interface PostText {
  title: string | null;
  content: string;
}

/**
 * In SQL, the users who have one of the names `$1`, in small letters: `id`, `name`. An account that was deleted has
 * none. Of two accounts that had one name before names were compared as they are now, the older one has it.
 */
export const USERS_OF_NAMES = prepared(
  `select u.id, lower(u.username collate "C") as name from users u
   where ${usernameKey} = any($1::text[]) and u.deleted_at is null`,
);

/** Runs `USERS_OF_NAMES`. */
export type FindUsers = (names: string[]) => Promise<{ id: number; name: string }[]>;

/** The names that a text may mention users by, as the database compares them. */
export function namesOf({ title, content }: PostText): string[] {
  return namesIn(title ?? '', content).flatMap(({ whole, trimmed }) => [key(whole), key(trimmed)]);
}

/**
 * What each of several texts refers to. Names are looked up together, and only if there are any.
 * @param find gives those of the names, in small letters, that are users
 */
export async function referencesIn(texts: readonly PostText[], find: FindUsers): Promise<References[]> {
  const named = texts.map(({ title, content }) => namesIn(title ?? '', content));
  const names = new Set(named.flat().flatMap(({ whole, trimmed }) => [key(whole), key(trimmed)]));
  const users = new Map<string, number>();
  if (names.size > 0) for (const { id, name } of await find([...names])) users.set(name, id);
  return texts.map(({ title, content }, at) => {
    const mentions = new Map<number, OwnerView>();
    for (const { whole, trimmed } of named[at] ?? []) {
      const username = users.has(key(whole)) ? whole : trimmed;
      const id = users.get(key(username));
      if (id !== undefined && !mentions.has(id)) mentions.set(id, { id, username });
      if (mentions.size === MOST_MENTIONS) break;
    }
    return { tags: tagsIn(title ?? '', content), mentions: [...mentions.values()] };
  });
}

/** As the database compares names. */
function key(name: string): string {
  return name.toLowerCase();
}
