import type { PostView } from 'tidings-client';
import { say } from '../languages/say.ts';

/** Characters of a name at most. */
const LONGEST = 60;

/** How a question names a post: by its title, and a reply by how it begins. */
export function nameOf({ title, content }: Pick<PostView, 'title' | 'content'>): string {
  return say('post.named', { title: beginningOf(title ?? content) });
}

/** How a text begins: its first line, or as much of it as there is room for. */
export function beginningOf(text: string): string {
  const [line = ''] = text.trim().split('\n');
  const letters = Array.from(line);
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST).join('').trimEnd()}…` : line;
}
