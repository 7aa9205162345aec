import { expect } from 'chai';
import { routes } from '../server/app.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf, withoutRequestId } from './support/problems.ts';
import { headOf, rows, tellVotes } from './support/tables.ts';
import { type Answer, type Api, createWorld, logIn, type TestUser, type World } from './support/world.ts';

type Actor = 'anonymous' | 'another' | 'the owner' | 'the owner with a revoked token';
type State = 'published' | 'draft' | 'deleted';

const states: readonly State[] = ['published', 'draft', 'deleted'];

/**
 * Who may call each route. `owner` and `reader` are about one post: its owner alone, or anyone who may see it. The
 * others name nothing of anyone else's: `self` is about the caller's own account and sessions. `moderator` needs the
 * role.
 */
const policies: Record<string, 'anyone' | 'user' | 'self' | 'reader' | 'owner' | 'moderator'> = {
  'post /login': 'anyone',
  'post /refresh': 'anyone',
  'post /password/forgot': 'anyone',
  'post /password/reset': 'anyone',
  'post /login/oidc': 'anyone',
  'get /login/oidc/callback': 'anyone',
  'post /login/oidc/finish': 'anyone',
  'get /users/me/identities': 'self',
  'post /users/me/identities/begin': 'self',
  'post /users/me/identities': 'self',
  'delete /users/me/identities/:id': 'self',
  'post /logout': 'self',
  'post /logout/all': 'self',
  'get /sessions': 'self',
  'delete /sessions/:id': 'self',
  'post /users': 'anyone',
  'get /users/me': 'self',
  'patch /users/me': 'self',
  'delete /users/me': 'self',
  'post /email/verify/request': 'self',
  'post /email/verify': 'anyone',
  'post /email/undo': 'anyone',
  'get /users/:id': 'anyone',
  'get /users/by-name/:username': 'anyone',
  'put /users/:id/follow': 'user',
  'delete /users/:id/follow': 'user',
  'put /users/:id/block': 'user',
  'delete /users/:id/block': 'user',
  'put /users/:id/mute': 'user',
  'delete /users/:id/mute': 'user',
  'get /users/:id/followers': 'user',
  'get /users/:id/following': 'user',
  'get /users/me/blocks': 'self',
  'get /users/me/mutes': 'self',
  'get /users/me/export': 'self',
  'get /users/me/totp': 'self',
  'post /users/me/totp': 'self',
  'post /users/me/totp/confirm': 'self',
  'delete /users/me/totp': 'self',
  'get /users/me/webhooks': 'self',
  'post /users/me/webhooks': 'self',
  'get /users/me/webhooks/:id': 'self',
  'patch /users/me/webhooks/:id': 'self',
  'delete /users/me/webhooks/:id': 'self',
  'post /users/me/webhooks/:id/secret': 'self',
  'post /users/me/webhooks/:id/ping': 'self',
  'post /users/me/webhooks/:id/replay': 'self',
  'get /users/me/webhooks/:id/failures': 'self',
  'get /users/me/keys': 'self',
  'post /users/me/keys': 'self',
  'delete /users/me/keys/:id': 'self',
  'get /posts': 'user',
  'post /posts': 'user',
  'get /posts/:id': 'reader',
  'put /posts/:id': 'owner',
  'patch /posts/:id': 'owner',
  'delete /posts/:id': 'owner',
  'post /posts/:id/replies': 'reader',
  'get /posts/:id/replies': 'reader',
  'post /vote': 'reader',
  'put /posts/:id/vote': 'reader',
  'delete /posts/:id/vote': 'reader',
  'get /notifications': 'self',
  'put /notifications/read': 'self',
  'put /posts/:id/report': 'reader',
  'put /users/:id/report': 'user',
  'get /moderation/cases': 'moderator',
  'post /moderation/actions': 'moderator',
  'get /moderation/log': 'moderator',
  'get /events': 'user',
  'get /events/stream': 'user',
};

interface Action {
  /** Which of the routes above it calls. */
  route: string;
  does: (api: Api, id: number) => Promise<Answer>;
  /** The status of [published, draft, deleted] to somebody else, and to the owner. */
  another: readonly [number, number, number];
  owner: readonly [number, number, number];
  /** Whether a success leaves a trace. */
  changes: boolean;
}

const body = { title: 'Changed', content: 'by somebody', published: true };
const actions: Record<string, Action> = {
  read: {
    route: 'get /posts/:id',
    does: (api, id) => api.get(`/posts/${id}`),
    another: [200, 404, 404],
    owner: [200, 200, 404],
    changes: false,
  },
  replace: {
    route: 'put /posts/:id',
    does: (api, id) => api.put(`/posts/${id}`, body),
    another: [403, 404, 404],
    owner: [200, 200, 404],
    changes: true,
  },
  edit: {
    route: 'patch /posts/:id',
    does: (api, id) => api.patch(`/posts/${id}`, { title: 'Changed' }),
    another: [403, 404, 404],
    owner: [200, 200, 404],
    changes: true,
  },
  publish: {
    route: 'patch /posts/:id',
    does: (api, id) => api.patch(`/posts/${id}`, { title: 'Published', published: true }),
    another: [403, 404, 404],
    owner: [200, 200, 404],
    changes: true,
  },
  withdraw: {
    route: 'patch /posts/:id',
    does: (api, id) => api.patch(`/posts/${id}`, { title: 'Withdrawn', published: false }),
    another: [403, 404, 404],
    owner: [200, 200, 404],
    changes: true,
  },
  delete: {
    route: 'delete /posts/:id',
    does: (api, id) => api.delete(`/posts/${id}`),
    another: [403, 404, 404],
    owner: [204, 204, 404],
    changes: true,
  },
  'reply to': {
    route: 'post /posts/:id/replies',
    does: (api, id) => api.post(`/posts/${id}/replies`, { content: 'A reply' }),
    another: [201, 404, 404],
    owner: [201, 409, 404],
    changes: true,
  },
  'read the replies of': {
    route: 'get /posts/:id/replies',
    does: (api, id) => api.get(`/posts/${id}/replies`),
    another: [200, 404, 404],
    owner: [200, 200, 404],
    changes: false,
  },
  'vote for (PUT)': {
    route: 'put /posts/:id/vote',
    does: (api, id) => api.put(`/posts/${id}/vote`),
    another: [200, 404, 404],
    owner: [200, 200, 404],
    changes: true,
  },
  'have no vote on (DELETE)': {
    route: 'delete /posts/:id/vote',
    does: (api, id) => api.delete(`/posts/${id}/vote`),
    another: [200, 404, 404],
    owner: [200, 200, 404],
    changes: false,
  },
  report: {
    route: 'put /posts/:id/report',
    does: (api, id) => api.put(`/posts/${id}/report`, { reason: 'spam' }),
    another: [204, 404, 404],
    owner: [422, 404, 404],
    changes: true,
  },
  'vote for': {
    route: 'post /vote',
    does: (api, id) => api.post('/vote', { post_id: id, dir: 1 }),
    another: [201, 404, 404],
    owner: [201, 201, 404],
    changes: true,
  },
  'take a vote back from': {
    route: 'post /vote',
    does: (api, id) => api.post('/vote', { post_id: id, dir: 0 }),
    another: [404, 404, 404],
    owner: [404, 404, 404],
    changes: false,
  },
  'replace with another owner': {
    route: 'put /posts/:id',
    does: (api, id) => api.put(`/posts/${id}`, { ...body, owner_id: 1 }),
    another: [422, 422, 422],
    owner: [422, 422, 422],
    changes: false,
  },
  'set the id of': {
    route: 'patch /posts/:id',
    does: (api, id) => api.patch(`/posts/${id}`, { id: 1 }),
    another: [422, 422, 422],
    owner: [422, 422, 422],
    changes: false,
  },
  'set the votes of': {
    route: 'patch /posts/:id',
    does: (api, id) => api.patch(`/posts/${id}`, { votes: 1000 }),
    another: [422, 422, 422],
    owner: [422, 422, 422],
    changes: false,
  },
  'set the rev of': {
    route: 'patch /posts/:id',
    does: (api, id) => api.patch(`/posts/${id}`, { title: 'x', rev: 1000 }),
    another: [422, 422, 422],
    owner: [422, 422, 422],
    changes: false,
  },
  'set the version of': {
    route: 'patch /posts/:id',
    does: (api, id) => api.patch(`/posts/${id}`, { title: 'x', version: 1000 }),
    another: [422, 422, 422],
    owner: [422, 422, 422],
    changes: false,
  },
};

describe('the policies', () => {
  it('are declared for every route that is mounted, and for no other', () => {
    expect(routes.map(({ method, path }) => `${method} ${path}`)).to.have.members(Object.keys(policies));
  });

  it('let nobody in without a token but where anyone may come', () => {
    for (const { method, path, access } of routes) {
      const name = `${method} ${path}`;
      expect(['anyone', 'optional'].includes(access), name).to.equal(policies[name] === 'anyone');
    }
  });

  it('let everyone read posts alone where the operator allows it', () => {
    const open = routes.filter(({ access }) => access === 'reader');
    expect(open.map(({ method, path }) => `${method} ${path}`)).to.have.members([
      'get /posts',
      'get /posts/:id',
      'get /posts/:id/replies',
    ]);
  });

  it('ask for a role exactly where moderators alone may come', () => {
    for (const { method, path, role } of routes)
      expect(role, `${method} ${path}`).to.equal(
        policies[`${method} ${path}`] === 'moderator' ? 'moderator' : undefined,
      );
  });

  it('about a post are each put to the test, and say of it what the test does', () => {
    const tried = Object.values(actions);
    const aboutAPost = Object.keys(policies).filter((name) => /^(reader|owner)$/.test(policies[name]!));
    expect([...new Set(tried.map(({ route }) => route))]).to.have.members(aboutAPost);
    for (const { route, another } of tried)
      // A fault in the body is told before anything is looked up: there is nothing to see in it.
      if (another[0] !== 422) expect(another[0] === 403, route).to.equal(policies[route] === 'owner');
  });

  it('have one for whatever names a post in its path', () => {
    for (const { method, path } of routes)
      if (path.startsWith('/posts/:id'))
        expect(policies[`${method} ${path}`]).to.be.oneOf(['reader', 'owner']);
  });
});

describe('who may do what to a post', () => {
  let world: World;
  let owner: TestUser;
  let actors: Record<Actor, Api>;
  let tables: string[];
  before(async () => {
    world = await createWorld();
    const found = await rows<{ name: string }>(
      world,
      `select table_name as name from information_schema.tables
       where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'vote_notices' order by 1`,
    );
    tables = found.map(({ name }) => name);
    owner = await world.user();
    const revoked = await logIn(world.url, owner);
    await revoked.get('/users/me');
    await revoked.post('/logout');
    actors = {
      anonymous: world.anonymous,
      another: await world.user(),
      'the owner': owner,
      'the owner with a revoked token': revoked,
    };
  });
  after(() => world.close());

  async function postIn(state: State): Promise<PostAnswer> {
    const post = await writePost(owner, { published: state === 'published' });
    if (state === 'deleted') await owner.delete(`/posts/${post.id}`);
    return post;
  }

  /** How many rows each table has, and the sum of their hashes, once votes are told and what is committed has its number; but not what only notes when that was, or when sessions were used. */
  async function everything(): Promise<Record<string, unknown>> {
    await tellVotes(world);
    await headOf(world);
    const content = `count(*) || ' ' || coalesce(sum(hashtextextended((to_jsonb(t) - 'last_seen_at')::text, 0)), 0)`;
    const [row] = await rows<Record<string, unknown>>(
      world,
      `select ${tables.map((name) => `(select ${content} from "${name}" t) as "${name}"`).join()}`,
    );
    return row!;
  }

  for (const [name, action] of Object.entries(actions)) {
    for (const [at, state] of states.entries()) {
      for (const actor of ['anonymous', 'another', 'the owner', 'the owner with a revoked token'] as const) {
        const status =
          actor === 'another' ? action.another[at]! : actor === 'the owner' ? action.owner[at]! : 401;
        it(`${actor} who would ${name} a ${state} post gets ${status}`, async () => {
          const post = await postIn(state);
          const before = await everything();
          const answer = await action.does(actors[actor], post.id);
          if (status >= 400) expectProblem(answer, status);
          expect(answer.status).to.equal(status);
          const after = await everything();
          if (status >= 400 || !action.changes) expect(after).to.deep.equal(before);
          else expect(after).not.to.deep.equal(before);
        });
      }
    }
  }

  it('is judged by every table there is', () => {
    expect(tables).to.include.members(
      'event_log event_outbox idempotency_keys post_tallies posts refresh_tokens revocations sessions users votes'.split(
        ' ',
      ),
    );
  });

  describe('that does not exist yet', () => {
    const input = { title: 'Hello', content: 'world' };
    /** With a key, of which nothing may be left either when it is refused. */
    const create = (actor: Actor, sent: object) =>
      actors[actor].post<PostAnswer>('/posts', sent, { 'idempotency-key': crypto.randomUUID() });

    for (const [actor, status] of [
      ['anonymous', 401],
      ['another', 201],
      ['the owner', 201],
      ['the owner with a revoked token', 401],
    ] as const) {
      it(`${actor} who would create one gets ${status}`, async () => {
        const before = await everything();
        const answer = await create(actor, input);
        expect(answer.status).to.equal(status);
        if (status === 201) {
          const author = actor === 'the owner' ? owner : (actors.another as TestUser);
          expect(answer.body).to.deep.include({
            ...input,
            owner_id: author.id,
            votes: 0,
            rev: 0,
            version: 1,
          });
        } else expect(await everything()).to.deep.equal(before);
      });

      for (const [field, value] of Object.entries({
        id: 1,
        owner_id: 1,
        votes: 1000,
        rev: 1000,
        version: 1000,
        created_at: '2020-01-01T00:00:00.000Z',
      }))
        it(`${actor} who would create one with a ${field} of their own gets ${status === 201 ? 422 : 401}`, async () => {
          const before = await everything();
          const answer = await create(actor, { ...input, [field]: value });
          if (status === 201) expect(faultsOf(answer)).to.deep.equal([`body.${field}`]);
          else expectProblem(answer, 401);
          expect(await everything()).to.deep.equal(before);
        });
    }
  });

  describe('that two have voted for', () => {
    for (const [how, done, takeBack] of [
      ['POST', 201, (api: Api, id: number) => api.post<object>('/vote', { post_id: id, dir: 0 })],
      ['DELETE', 200, (api: Api, id: number) => api.delete<object>(`/posts/${id}/vote`)],
    ] as const)
      for (const [at, state] of states.entries())
        for (const actor of [
          'anonymous',
          'another',
          'the owner',
          'the owner with a revoked token',
        ] as const) {
          const status =
            actor === 'another'
              ? [done, 404, 404][at]!
              : actor === 'the owner'
                ? [done, done, 404][at]!
                : 401;
          it(`${actor} who would take a vote back (${how}) from a ${state} post gets ${status}`, async () => {
            const { id } = await writePost(owner);
            for (const api of [owner, actors.another])
              expect((await api.put(`/posts/${id}/vote`)).status).to.equal(200);
            if (state === 'draft') await owner.patch(`/posts/${id}`, { published: false });
            if (state === 'deleted') await owner.delete(`/posts/${id}`);
            const before = await everything();
            const answer = await takeBack(actors[actor], id);
            if (status >= 400) {
              expectProblem(answer, status);
              expect(await everything()).to.deep.equal(before);
              return;
            }
            expect(answer.status).to.equal(status);
            expect(answer.body).to.deep.include({ post_id: id, votes: 1, voted: false });
            // Their own, and nobody else's.
            const others = await rows<{ user_id: number }>(
              world,
              'select user_id from votes where post_id = $1',
              [id],
            );
            const stays = actor === 'another' ? owner : (actors.another as TestUser);
            expect(others.map(({ user_id }) => user_id)).to.deep.equal([stays.id]);
          });
        }
  });

  for (const [name, { does, another }] of Object.entries(actions)) {
    if (another[1] !== 404) continue;
    it(`another who would ${name} a draft is told what is told of a post that was never there`, async () => {
      const draft = await postIn('draft');
      const never = 2 ** 40;
      const tellOf = async (id: number) => {
        const answer = await does(actors.another, id);
        expectProblem(answer, 404);
        const headers = [...answer.headers.keys()].sort();
        return { headers, body: JSON.stringify(withoutRequestId(answer)).replaceAll(String(id), 'ID') };
      };
      const ofDraft = await tellOf(draft.id);
      expect(ofDraft).to.deep.equal(await tellOf(never));
      expect(ofDraft.body).to.contain('ID');
    });
  }

  it('another cannot tell by the time that it takes whether a draft exists', async () => {
    const draft = await postIn('draft');
    const took: Record<'draft' | 'never', number[]> = { draft: [], never: [] };
    // Of those that the machine was least busy in.
    const quartile = (times: number[]) =>
      [...times].sort((a, b) => a - b)[Math.floor(times.length / 4)] ?? Infinity;
    const isAlike = () => Math.abs(Math.log(quartile(took.draft) / quartile(took.never))) < Math.log(4 / 3);
    // In turns, each as often the first, so that whatever else the machine does meets both. A busy machine takes more of them.
    for (let turn = 0; turn < 200 || (turn < 2000 && !isAlike()); turn += 1) {
      const asked = [
        ['draft', draft.id],
        ['never', 2 ** 40 + turn],
      ] as const;
      for (const [which, id] of turn % 2 === 0 ? asked : asked.toReversed()) {
        const began = performance.now();
        expectProblem(await actors.another.get(`/posts/${id}`), 404);
        took[which].push(performance.now() - began);
      }
    }
    expect(isAlike(), `${quartile(took.draft)} and ${quartile(took.never)} ms`).to.be.true;
  });

  it('an own account is nobody else’s to read, change or delete by its number', async () => {
    const other = actors.another;
    for (const [method, sent] of [
      ['PATCH', { username: 'changed' }],
      ['PUT', { username: 'changed' }],
      ['DELETE', { password: owner.password }],
    ] as const) {
      const answer = await other.request<object>(method, `/users/${owner.id}`, sent);
      expectProblem(answer, 405);
      expect(answer.headers.get('allow')).to.equal('GET');
    }
    expect((await other.get(`/users/${owner.id}`)).body).not.to.have.property('email');
  });
});
