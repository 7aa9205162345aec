import { pageHeaders, pageHeadersOf } from '../api/list-page.ts';
import { problems } from '../api/problem.ts';
import { Reply, routesOf } from '../api/route.ts';
import * as commands from './commands.ts';
import type { RelationContext } from './context.ts';
import * as queries from './queries.ts';
import * as schemas from './schemas.ts';
import type { RelationKind } from '../topics/event-type.ts';

const route = routesOf<RelationContext>('Relations');

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
    scope: 'write',
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
    scope: 'write',
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
    scope: 'read',
    params: schemas.relationParams,
    query: schemas.listQuery(list),
    answers: { 200: schemas.relations, ...problems(401, 404, 422, 429) },
    answerHeaders: pageHeadersOf('entries'),
    handle: async ({ ctx, params, query, requester, req }) => {
      const page = await queries.relationPage(ctx, list, params.id, query, requester);
      return new Reply(page.relations, {
        headers: pageHeaders(`/users/${params.id}/${list}`, req.url, page),
      });
    },
  }),
);

const ownLists = (['blocks', 'mutes'] as const).map((list) =>
  route({
    method: 'get',
    path: `/users/me/${list}`,
    summary: list === 'blocks' ? 'Whom you block' : 'Whom you mute',
    description: 'The newest first. Nobody else can read it.',
    scope: 'read',
    query: schemas.listQuery(list),
    answers: { 200: schemas.relations, ...problems(401, 422, 429) },
    answerHeaders: pageHeadersOf('entries'),
    handle: async ({ ctx, user, query, requester, req }) => {
      const page = await queries.relationPage(ctx, list, user.id, query, requester);
      return new Reply(page.relations, { headers: pageHeaders(`/users/me/${list}`, req.url, page) });
    },
  }),
);

export const relationRoutes = [...changes, ...publicLists, ...ownLists];
