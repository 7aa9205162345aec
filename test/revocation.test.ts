import { expect } from 'chai';
import type { NewApiKey } from '../server/auth/keys.ts';
import type { LoginSession } from '../server/auth/present.ts';
import { EventStream } from './support/event-stream.ts';
import { query } from './support/postgres.ts';
import { expectProblem } from './support/problems.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import type { NodeProcess } from './support/node-process.ts';
import { startRedis } from './support/redis.ts';
import { startTwoNodes, type TwoNodes } from './support/two-nodes.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { Api, logIn, PASSWORD, signUp, type TestUser } from './support/world.ts';

/** What is promised, of the time in which this process, the nodes and their database had a processor. Milliseconds. */
const ENDED_WITHIN = 1000;
/**
 * One process may have waited for another one that had no processor, which cannot be measured: one of so many times in
 * time is enough. A node that is always late is late each time.
 */
const MOST_TIMES = 3;

/** Does it until it has taken no longer than is promised. @param once returns milliseconds */
async function expectInTime(once: () => Promise<number>): Promise<void> {
  const took: number[] = [];
  while (took.length < MOST_TIMES && !(Math.min(...took) < ENDED_WITHIN)) took.push(await once());
  expect(Math.min(...took), `${took.join(', ')} ms`).to.be.below(ENDED_WITHIN);
}

describe('a session that is ended at one of three nodes, with Redis dead, at each of them', () => {
  let nodes: TwoNodes;
  let all: NodeProcess[];
  let bystander: TestUser;
  const streams: EventStream[] = [];

  before(async () => {
    const redis = await startRedis();
    nodes = await startTwoNodes({ redis });
    all = [nodes.first, nodes.second, await nodes.another('third', {})];
    bystander = await signUp(nodes.second.url);
    await redis.kill();
    for (const { url } of all)
      await until('the node to miss its Redis', async () => {
        const { body } = await new Api(url).get<{ parts: Record<string, { status: string }> }>('/readyz');
        return body.parts.redis?.status !== 'ok';
      });
  });
  /** The processes whose work is measured: the nodes, and those of the database where they are on this machine. */
  const workers = async () => {
    const backends = await query(nodes.databaseUrl, 'select pid from pg_stat_activity');
    return [...all, ...(backends as { pid: number }[])].map(({ pid }) => pid);
  };
  afterEach(() => {
    endRawClients();
    for (const stream of streams.splice(0)) stream.close();
  });
  after(async () => {
    await nodes.stop();
    expect(all.flatMap(({ misconduct }) => misconduct)).to.deep.equal([]);
  });

  /** Everything of one session that lasts, at a node, which remembers the session: it has just read for it. */
  async function presence({ url }: NodeProcess, token: string) {
    const api = new Api(url, token);
    let head = 0;
    // What the test before has told would answer the poll of a node that is behind.
    await until('the node to be up to date', async () => {
      const [log] = await query(
        nodes.databaseUrl,
        'select (select seq from feed_head) + (select count(*) from event_outbox) as seq',
      );
      ({ head } = (await api.get<{ head: number }>('/events')).body);
      return head === Number((log as { seq: string }).seq);
    });
    const poll = api.get<object>(`/events?after=${head}&wait=30`);
    const stream = await EventStream.open(api);
    streams.push(stream);
    const client = await RawClient.join(url, { token });
    for (let reads = 0; reads < 3; reads += 1) expect((await api.get('/posts')).status).to.equal(200);
    return { api, poll, stream, client };
  }

  /** The last event of a stream that ends. A suspension is told its user by a notification, perhaps before that. */
  async function lastOf(stream: EventStream) {
    while ((await stream.take(1))[0]?.event !== 'session:closed');
    await stream.ended();
    return stream.heard.at(-1);
  }

  const newPassword = { password: 'another horse battery', current_password: PASSWORD };
  const endings: Record<string, (session: TestUser, other: TestUser) => Promise<unknown>> = {
    'a logout': (session) => session.post('/logout'),
    'the end of one session by another of its user': async (session, other) => {
      const sessions = await session.get<LoginSession[]>('/sessions');
      const { id } = sessions.body.find(({ current }) => current)!;
      return other.delete(`/sessions/${id}`);
    },
    'a logout everywhere': (_session, other) => other.post('/logout/all'),
    'a new password': (_session, other) => other.patch('/users/me', newPassword),
    'a new password by the link of a mail': async (session) => {
      const token = `a-token-in-the-link-of-the-mail-${session.id}`;
      await query(
        nodes.databaseUrl,
        `insert into mailed_tokens (hash, user_id, purpose, email, expires_at)
         select sha256('${token}'), id, 'reset', email, now() + interval '1 hour' from users where id = ${session.id}`,
      );
      const answer = await new Api(nodes.first.url).post('/password/reset', { token, password: PASSWORD });
      expect(answer.status).to.equal(204);
    },
    'the deletion of the account': (_session, other) => other.delete('/users/me', { password: PASSWORD }),
    'a suspension': async (session) => {
      const moderator = await signUp(nodes.first.url);
      await query(nodes.databaseUrl, `update users set role = 'moderator' where id = ${moderator.id}`);
      const body = { action: 'suspend', user_id: session.id, reason: 'for a test' };
      expect((await moderator.post('/moderation/actions', body)).status).to.equal(201);
    },
    'the use of a refresh token whose successor has been used': async (session) => {
      const refresh = (token: string) =>
        session.post<{ refresh_token: string }>('/refresh', { refresh_token: token });
      const successor = await refresh(session.refreshToken);
      expect((await refresh(successor.body.refresh_token)).status).to.equal(200);
      expect((await refresh(session.refreshToken)).status).to.equal(401);
    },
  };

  for (const [what, end] of Object.entries(endings))
    it(`writes no more at once, and in a second neither reads nor hears, after ${what}`, () =>
      expectInTime(async () => {
        const code = what === 'a suspension' ? 'suspended' : 'revoked';
        const session = await signUp(nodes.first.url);
        const other = await logIn(nodes.first.url, session);
        const everywhere = await Promise.all(all.map((node) => presence(node, session.token)));
        const stays = await presence(nodes.second, bystander.token);

        const measured = await workers();
        await end(session, other);
        const watch = new Stopwatch(measured);
        const [late, ...refused] = await Promise.all([
          Promise.all(
            everywhere.map(({ api }) => api.post<object>('/posts', { title: 'too late', content: '' })),
          ),
          ...everywhere.map(async ({ api, poll, stream, client }) => {
            await Promise.all([
              until('reads to be refused', async () => (await api.get('/posts')).status === 401),
              until(
                'the socket to be ended',
                () => client.heard('session:closed').length > 0 && client.closed,
              ),
              lastOf(stream).then((closed) => {
                expect(closed?.event).to.equal('session:closed');
                expect(JSON.parse(closed!.data)).to.include({ code });
              }),
            ]);
            return poll;
          }),
        ]);
        const took = watch.ran;
        for (const answer of late) expectProblem(answer, 401);
        for (const answer of refused)
          if (code !== 'suspended' || answer.status !== 200) expectProblem(answer, 401, 'unauthorized');
        for (const { client } of everywhere) {
          expect(client.heard('session:closed')[0]?.[0]).to.include({ code });
          expect(client.events.at(-1)?.name).to.equal('session:closed');
        }

        // Nobody else is meant, and what is written now is for them alone.
        expect((await stays.api.post('/posts', { title: 'not I', content: '' })).status).to.equal(201);
        expect((await stays.poll).status).to.equal(200);
        await until('the bystander’s socket to hear', () => stays.client.seqs().length > 0);
        expect((await stays.stream.take(1))[0]?.event).to.equal('post:created');
        for (const { client } of everywhere) expect(client.heard('post:created')).to.be.empty;
        return took;
      }));

  const keyEndings: Record<string, (user: TestUser, id: string) => Promise<unknown>> = {
    'it is revoked': (user, id) => user.delete(`/users/me/keys/${id}`),
    'its user has a new password': (user) => user.patch('/users/me', newPassword),
  };
  for (const [what, end] of Object.entries(keyEndings))
    it(`does all that with an API key as well, once ${what}`, () =>
      expectInTime(async () => {
        const user = await signUp(nodes.first.url);
        const { body: made } = await user.post<NewApiKey>('/users/me/keys', {
          name: 'a bot',
          scopes: ['read', 'write'],
          password: PASSWORD,
        });
        const { api, poll, stream, client } = await presence(nodes.second, made.key);

        const measured = await workers();
        await end(user, made.id);
        const watch = new Stopwatch(measured);
        const [late, refused] = await Promise.all([
          api.post<object>('/posts', { title: 'too late', content: '' }),
          poll,
          until('reads to be refused', async () => (await api.get('/posts')).status === 401),
          until('the socket to be ended', () => client.heard('session:closed').length > 0 && client.closed),
          lastOf(stream).then((closed) => expect(closed?.event).to.equal('session:closed')),
        ]);
        const took = watch.ran;
        expectProblem(late, 401);
        expectProblem(refused, 401, 'unauthorized');
        expect(client.heard('session:closed')[0]?.[0]).to.include({ code: 'revoked' });
        return took;
      }));
});
