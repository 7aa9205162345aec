import { problems } from '../api/problem.ts';
import { Reply, routesOf } from '../api/route.ts';
import * as commands from './commands.ts';
import type { RelationContext } from './context.ts';
import * as queries from './queries.ts';
import * as schemas from './schemas.ts';
import type { RelationKind } from '../topics/event-type.ts';

const route = routesOf<RelationContext>();

const pageHeaders = {
  Link: 'RFC 8288: `rel="next"` is the next page, by a cursor that new entries do not shift',
  'X-Feed-Seq': 'The position in the event stream that this page reflects',
  'X-Feed-Epoch': 'The epoch of that position',
};

/** How the documents tell of setting one and of ending it. */
const told: Record<RelationKind, { set: string; aboutSet: string; end: string; aboutEnd: string }> = {
  follow: {
    set: 'Follow a user (idempotent)',
    aboutSet: `Their posts are on your home page (\`GET /posts?view=home\`) and in the topic \`home\` from the event \`seq\` on. At most ${commands.MOST_RELATIONS}. Refused between two of whom one blocks the other.`,
    end: 'Stop following a user (idempotent)',
    aboutEnd: 'Their posts leave your home page, and the topic `home` from the event `seq` on.',
  },
  block: {
    set: 'Block a user (idempotent)',
    aboutSet:
      'Neither of you sees the posts of the other in lists, searches and streams, or may follow, mention, answer or vote for the other. Follows between you end. The other one is not told. The response takes a second: by then nothing of them is sent to any of your connections.',
    end: 'Stop blocking a user (idempotent)',
    aboutEnd: 'Follows that the block has ended do not come back.',
  },
  mute: {
    set: 'Mute a user (idempotent)',
    aboutSet:
      'You no longer see their posts in lists, searches and streams, except where you ask for them: in the list of their posts and in the topic of this author. The other one is not told.',
    end: 'Stop muting a user (idempotent)',
    aboutEnd: 'You see their posts again.',
  },
};

const changes = (['follow', 'block', 'mute'] as const).flatMap((kind) => [
  route({
    method: 'put',
    path: `/users/:id/${kind}`,
    summary: told[kind].set,
    description: told[kind].aboutSet,
    tag: 'Relations',
    access: 'user',
    limit: 'write',
    params: schemas.relationParams,
    answers: {
      200: schemas.relation,
      ...(kind === 'follow' ? problems(401, 403, 404, 409, 422, 429) : problems(401, 404, 409, 422, 429)),
    },
    handle: ({ ctx, user, params, requester }) =>
      commands.setRelation(ctx, user, kind, params.id, true, requester),
  }),
  route({
    method: 'delete',
    path: `/users/:id/${kind}`,
    summary: told[kind].end,
    description: told[kind].aboutEnd,
    tag: 'Relations',
    access: 'user',
    limit: 'write',
    params: schemas.relationParams,
    answers: { 200: schemas.relation, ...problems(401, 404, 422, 429) },
    handle: ({ ctx, user, params, requester }) =>
      commands.setRelation(ctx, user, kind, params.id, false, requester),
  }),
]);

/** Lists of a user that every other user may read, since both users of a follow know of it. */
const publicLists = (['followers', 'following'] as const).map((list) =>
  route({
    method: 'get',
    path: `/users/:id/${list}`,
    summary: list === 'followers' ? 'Who follows a user' : 'Whom a user follows',
    description: 'The newest first.',
    tag: 'Relations',
    access: 'user',
    limit: 'read',
    params: schemas.relationParams,
    query: schemas.listQuery(list),
    answers: { 200: schemas.relations, ...problems(401, 404, 422, 429) },
    answerHeaders: pageHeaders,
    handle: async ({ ctx, params, query, requester, req }) =>
      paged(
        `/users/${params.id}/${list}`,
        req.url,
        await queries.relationPage(ctx, list, params.id, query, requester),
      ),
  }),
);

const ownLists = (['blocks', 'mutes'] as const).map((list) =>
  route({
    method: 'get',
    path: `/users/me/${list}`,
    summary: list === 'blocks' ? 'Whom you block' : 'Whom you mute',
    description: 'The newest first. Nobody else can read it.',
    tag: 'Relations',
    access: 'user',
    limit: 'read',
    query: schemas.listQuery(list),
    answers: { 200: schemas.relations, ...problems(401, 422, 429) },
    answerHeaders: pageHeaders,
    handle: async ({ ctx, user, query, requester, req }) =>
      paged(`/users/me/${list}`, req.url, await queries.relationPage(ctx, list, user.id, query, requester)),
  }),
);

export const relationRoutes = [...changes, ...publicLists, ...ownLists];

function paged(path: string, url: string, { relations, seq, epoch, next }: queries.RelationPage): Reply {
  return new Reply(relations, {
    headers: {
      'X-Feed-Seq': String(seq),
      'X-Feed-Epoch': epoch,
      'Cache-Control': 'private, no-cache',
      ...(next === undefined ? {} : { Link: `<${nextPage(path, url, next)}>; rel="next"` }),
    },
  });
}

/** A path of ours with the query of the request; its own address may name another host. */
function nextPage(path: string, url: string, cursor: string): string {
  // A query may hold question marks of its own.
  const at = url.indexOf('?');
  const params = new URLSearchParams(at < 0 ? '' : url.slice(at));
  params.set('cursor', cursor);
  return `${path}?${params.toString()}`;
}
