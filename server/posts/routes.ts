import { pageHeaders, pageHeadersOf } from '../api/list-page.ts';
import { preconditionsOf, readPreconditions, writePreconditions } from '../api/preconditions.ts';
import { requirePreconditions } from '../preconditions.ts';
import { problems } from '../api/problem.ts';
import { Json, Reply, routesOf } from '../api/route.ts';
import { sharedAnswer, sharedPreconditions } from '../api/shared-answer.ts';
import { unauthorized } from '../errors.ts';
import { VISITOR } from '../identity.ts';
import * as commands from './commands.ts';
import type { PostContext } from './context.ts';
import { postEvent } from './event-names.ts';
import { entityTag, isTagOf, type PostAnswer } from './present.ts';
import * as queries from './queries.ts';
import { createReply } from './replies.ts';
import * as schemas from './schemas.ts';
import { threadPage } from './thread-page.ts';

/** What the documents add to a route that everyone may read where the operator allows it. */
const withoutAccount =
  'Without an access token where the operator lets everyone read (`public_read` of `GET /`); a cache may share that answer, and revalidates it each time.';

/** A list without posts. */
const EMPTY = '[]'.length;

const etag = {
  ETag: 'The version of the post and of all that is shown of it, for `If-Match` and `If-None-Match`',
};

/** A post with its tag. */
function tagged(post: PostAnswer, headers: Record<string, string> = {}): Reply {
  const json = JSON.stringify(post);
  return new Reply(new Json(json), { headers: { ...headers, ETag: entityTag(post.version, json) } });
}

const route = routesOf<PostContext>('Posts');

const ofChange = {
  scope: 'write',
  needsVerifiedEmail: true,
  params: schemas.postParams,
  headers: writePreconditions,
  answers: { 200: schemas.post, ...problems(401, 403, 404, 412, 422, 429) },
  answerHeaders: etag,
} as const;

export const postRoutes = [
  route({
    method: 'get',
    path: '/posts',
    summary: 'A page of the feed',
    description:
      'Published posts and your own drafts, newest first, by votes or by rank. To continue live without a gap, connect to the live feed with `after` = `X-Feed-Seq` and `epoch` = `X-Feed-Epoch`. A user may run four searches, or requests for pages beyond the thousandth post, at once. ' +
      `${withoutAccount} Home and drafts need a token.`,
    access: 'reader',
    scope: 'read',
    query: schemas.listPosts,
    headers: sharedPreconditions,
    answers: {
      200: schemas.posts,
      304: 'The list has not changed.',
      ...problems(401, 422, 429),
    },
    answerHeaders: pageHeadersOf('posts'),
    handle: async ({ ctx, user, query, requester, req }) => {
      if (!user && (query.view === 'home' || query.published === false))
        throw unauthorized('Your home page and your drafts need an access token.');
      const page = await ctx.feedReader.read((user ?? VISITOR).id, query, requester);
      // An empty table is no empty list.
      if (page.json.length <= EMPTY) await ctx.schema.confirm();
      const headers = pageHeaders('/posts', req.url, page);
      if (!user) return sharedAnswer(page.json, headers);
      return new Reply(new Json(page.json), {
        headers: {
          ...headers,
          // Compressed together, the length would reveal a draft to the author of the text beside it.
          ...(page.hasDrafts ? { 'Cache-Control': 'private, no-cache, no-transform' } : {}),
        },
      });
    },
  }),
  route({
    method: 'post',
    path: '/posts',
    summary: 'Publish a post, or write a draft',
    description: `Every client receives a published post as \`${postEvent.added}\`.`,
    scope: 'write',
    needsVerifiedEmail: true,
    body: schemas.createPost,
    headers: {
      'Idempotency-Key': {
        description:
          'Valid for a day: a request with the same key and the same body gets the first response again and is not executed again. With another body it is a 422; if the post has been deleted since, a 404',
        schema: schemas.idempotencyKey,
      },
    },
    answers: { 201: schemas.post, ...problems(401, 403, 404, 422, 429) },
    answerHeaders: { Location: 'Where the post is', ...etag },
    handle: async ({ ctx, user, body, requester, req }) => {
      const post = await commands.createPost(ctx, user, body, requester, req.get('idempotency-key'));
      return tagged(post, { Location: `/posts/${post.id}` });
    },
  }),
  route({
    method: 'get',
    path: '/posts/:id',
    summary: 'One post',
    description: `Another's draft is a 404, like a post that does not exist. ${withoutAccount}`,
    access: 'reader',
    scope: 'read',
    params: schemas.postParams,
    headers: readPreconditions,
    answers: { 200: schemas.post, 304: 'The post has not changed.', ...problems(401, 404, 412, 422) },
    answerHeaders: etag,
    handle: async ({ ctx, user, params, requester, req }) => {
      const post = await queries.postById(ctx.db.share(requester), user ?? VISITOR, params.id);
      const { ifMatch } = preconditionsOf(req);
      if (ifMatch !== undefined)
        requirePreconditions(
          { ifMatch },
          {
            matches: (tag) => isTagOf(post.version, tag),
            state: `The post is at version ${post.version}.`,
          },
        );
      return tagged(post, { 'Cache-Control': user ? 'private, no-cache' : 'public, no-cache' });
    },
  }),
  route({
    ...ofChange,
    method: 'put',
    path: '/posts/:id',
    summary: 'Replace a post',
    description: 'All fields at once; only its owner may. Of a reply that is `content` alone.',
    body: schemas.replacePost,
    handle: async ({ ctx, user, params, body, requester, req }) => {
      const post = await ctx.edits.run(requester, () =>
        commands.updatePost(ctx, user, params.id, body, preconditionsOf(req), { whole: true }),
      );
      return tagged(post);
    },
  }),
  route({
    ...ofChange,
    method: 'patch',
    path: '/posts/:id',
    summary: 'Change parts of a post; publish or withdraw it',
    description:
      'What the body does not name stays as it is; only its owner may. A reply has neither a title nor drafts. A post that is withdrawn or published takes its thread along: meanwhile its replies are a 404 for all others.',
    body: schemas.editPost,
    handle: async ({ ctx, user, params, body, requester, req }) => {
      const post = await ctx.edits.run(requester, () =>
        commands.updatePost(ctx, user, params.id, body, preconditionsOf(req)),
      );
      return tagged(post);
    },
  }),
  route({
    method: 'delete',
    path: '/posts/:id',
    summary: 'Delete a post with its votes',
    description: `Every client receives \`${postEvent.removed}\`; only its owner may. A post takes its thread along. A reply with replies below it stays in the list of its thread, without text and owner.`,
    scope: 'write',
    params: schemas.postParams,
    headers: writePreconditions,
    answers: { 204: 'The post is deleted.', ...problems(401, 403, 404, 412, 422, 429) },
    handle: ({ ctx, user, params, requester, req }) =>
      ctx.edits.run(requester, () => commands.deletePost(ctx, user, params.id, preconditionsOf(req))),
  }),
  route({
    method: 'post',
    path: '/posts/:id/replies',
    summary: 'Reply to a post or to a reply',
    description: `Every client receives \`${postEvent.added}\`, with \`parent_id\` and \`root_id\`. Another's draft, and a post of a thread that was withdrawn, is a 404; a deleted reply, and one that is fifty replies deep, a 409.`,
    scope: 'write',
    needsVerifiedEmail: true,
    params: schemas.postParams,
    body: schemas.createReply,
    headers: {
      'Idempotency-Key': {
        description: 'Valid for a day, as for a post',
        schema: schemas.replyIdempotencyKey,
      },
    },
    answers: { 201: schemas.post, ...problems(401, 403, 404, 409, 422, 429) },
    answerHeaders: { Location: 'Where the reply is', ...etag },
    handle: async ({ ctx, user, params, body, requester, req }) => {
      const key = req.get('idempotency-key');
      const reply = await createReply(ctx, user, params.id, body, requester, key);
      return tagged(reply, { Location: `/posts/${reply.id}` });
    },
  }),
  route({
    method: 'get',
    path: '/posts/:id/replies',
    summary: 'The replies below a post or a reply',
    description:
      'Flat, at whatever depth, each with `parent_id` and `depth`. A deleted reply with living ones below it is there without text and owner. Replies of authors who are hidden from you are left out. To continue live without a gap, connect to the live feed with `after` = `X-Feed-Seq` and `epoch` = `X-Feed-Epoch`. ' +
      withoutAccount,
    access: 'reader',
    scope: 'read',
    params: schemas.postParams,
    query: schemas.listReplies,
    headers: sharedPreconditions,
    answers: {
      200: schemas.replyList,
      304: 'The list has not changed.',
      ...problems(401, 404, 422, 429),
    },
    answerHeaders: {
      ...pageHeadersOf('replies'),
      'X-Feed-Ahead':
        '`true` where the thread has changed so shortly before that `replies` may count what events after `X-Feed-Seq` tell',
    },
    handle: async ({ ctx, user, params, query, requester, req }) => {
      const page = await threadPage(await ctx.reads.share(requester), user ?? VISITOR, params.id, query);
      const headers = {
        ...pageHeaders(`/posts/${params.id}/replies`, req.url, page),
        'X-Feed-Ahead': String(page.isAhead),
      };
      return user
        ? new Reply(page.replies, { headers })
        : sharedAnswer(JSON.stringify(page.replies), headers);
    },
  }),
];
