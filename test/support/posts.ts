import type { PostAnswer } from '../../server/posts/present.ts';
import type { TestUser } from './world.ts';

/** Writes a post; what is not said is a small published one. */
export async function writePost(
  author: TestUser,
  input: { title?: string; content?: string; published?: boolean } = {},
): Promise<PostAnswer> {
  const answer = await author.post<PostAnswer>('/posts', { title: 'Hello', content: 'world', ...input });
  if (answer.status !== 201) throw new Error(`post: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Which post an event is about; undefined if it is about something else. */
export function postIdOf(data: object): number | undefined {
  return 'root_id' in data && 'id' in data && typeof data.id === 'number' ? data.id : undefined;
}
