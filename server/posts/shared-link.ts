import { AppError } from '../errors.ts';
import { VISITOR } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { tagOf } from '../text/tags.ts';
import type { PostContext } from './context.ts';
import { postById } from './queries.ts';
import { type ListPosts, listPosts } from './schemas.ts';

/** What a link to a post or a reply tells those without an account. @throws {AppError} 404 */
export async function postLink(ctx: Pick<PostContext, 'db'>, id: number, requester: Requester) {
  if (!Number.isSafeInteger(id)) throw new AppError('not_found', 'There is no such post.');
  const { title, content, owner, published_at } = await postById(ctx.db.share(requester), VISITOR, id);
  const by = `By ${owner.username}`;
  return {
    title: title ?? `Reply by ${owner.username}`,
    description: content.trim() === '' ? by : `${by}: ${content}`,
    path: `/p/${id}`,
    type: 'article' as const,
    publishedAt: published_at,
    listed: true,
  };
}

/** The same of the posts with a tag. @throws {AppError} 404 for what is no tag; 503 */
export async function tagLink(ctx: Pick<PostContext, 'feedReader'>, name: string, requester: Requester) {
  const tag = tagOf(name);
  if (tag === undefined) throw new AppError('not_found', 'There is no such tag.');
  const list = listPosts.validate({ tag, limit: 1 }).value as ListPosts;
  const page = await ctx.feedReader.read(VISITOR.id, list, requester);
  return {
    title: `#${tag}`,
    description: `Posts with the tag #${tag}, as they come.`,
    path: `/tags/${encodeURIComponent(tag)}`,
    type: 'website' as const,
    // Anybody can make up an address.
    listed: page.json.length > '[]'.length,
  };
}
