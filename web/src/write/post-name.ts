import type { PostView } from 'tidings-client';

/** Characters of a name at most. */
const LONGEST = 60;

/** How a question names a post: by its title, and a reply by how it begins. */
export function nameOf({ title, content }: Pick<PostView, 'title' | 'content'>): string {
  const [line = ''] = (title ?? content).trim().split('\n');
  const letters = Array.from(line);
  return `“${letters.length > LONGEST ? `${letters.slice(0, LONGEST).join('').trimEnd()}…` : line}”`;
}
