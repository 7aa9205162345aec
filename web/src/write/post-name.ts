import type { PostView } from 'tidings-client';
import { say } from '../languages/say.ts';

/** Characters of a name at most. */
const LONGEST = 60;

/** How a question names a post: by its title, and a reply by how it begins. */
export function nameOf({ title, content }: Pick<PostView, 'title' | 'content'>): string {
  const [line = ''] = (title ?? content).trim().split('\n');
  const letters = Array.from(line);
  const named = letters.length > LONGEST ? `${letters.slice(0, LONGEST).join('').trimEnd()}…` : line;
  return say('post.named', { title: named });
}
