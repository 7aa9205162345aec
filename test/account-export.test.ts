import { expect } from 'chai';
import { Secret, TOTP } from 'otpauth';
import type { TotpSetup } from '../server/auth/totp.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import type { ReplyAnswer } from '../client/src/index.ts';
import { grantRole } from '../server/moderation/roles.ts';
import {
  countsOf,
  EXPORT,
  exported,
  ofKind,
  readLines,
  SlowDownload,
  withLargePosts,
} from './support/account-export.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { execute, numberOf, tellVotes } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('the export of an account', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ RATE_LIMITS: 'on' });
  });
  after(() => world.close());

  const running = (user: TestUser) =>
    numberOf(world, 'select count(*) from account_exports where user_id = $1', [user.id]);
  const isOver = (user: TestUser) => until('the export to be over', async () => (await running(user)) === 0);
  const outcomes = async (outcome: string) => {
    const { values } = await world.ctx.metrics.exports.get();
    return values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
  };

  it('has all that a user wrote and set, and nothing of another', async () => {
    const [ada, bob, carol, dave, moderator] = await Promise.all(
      ['ada', 'bob', 'carol', 'dave', 'moderator'].map((name) => world.user(`${name}-exported`)),
    );
    await world.ctx.db.transaction((tx) => grantRole(tx, moderator!.username, 'moderator', ''));
    const second = await logIn(world.url, ada!);
    const post = await writePost(ada!, { title: 'Engines', content: 'Notes #engines @bob-exported' });
    const draft = await writePost(ada!, { title: 'A draft', published: false });
    const bad = await writePost(ada!, { title: 'Removed', content: 'a bad word' });
    const gone = await writePost(ada!, { title: 'Deleted', content: 'deleted is gone' });
    await ada!.delete(`/posts/${gone.id}`);
    const ofBob = await writePost(bob!, { title: 'Of Bob' });
    await writePost(bob!, { title: 'The secret of Bob', published: false });
    const reply = (await ada!.post<ReplyAnswer>(`/posts/${ofBob.id}/replies`, { content: 'A reply' })).body;
    await bob!.post(`/posts/${post.id}/replies`, { content: 'The reply of Bob' });
    await ada!.put(`/posts/${ofBob.id}/vote`);
    await bob!.put(`/posts/${post.id}/vote`);
    await ada!.put(`/users/${bob!.id}/follow`);
    await bob!.put(`/users/${ada!.id}/follow`);
    await ada!.put(`/users/${carol!.id}/block`);
    await ada!.put(`/users/${dave!.id}/mute`);
    await dave!.put(`/users/${ada!.id}/report`, { reason: 'spam', note: 'the note of Dave' });
    await ada!.put(`/posts/${ofBob.id}/report`, { reason: 'other', note: 'my note' });
    const act = (action: string, target: object) =>
      moderator!.post<{ id: number }>('/moderation/actions', { action, reason: `to ${action}`, ...target });
    await act('remove', { post_id: bad.id });
    await act('lock', { post_id: post.id });
    await act('dismiss', { user_id: ada!.id });
    await tellVotes(world);
    const today = new Date().toISOString().slice(0, 10);
    const { secret: totpSecret } = (await ada!.post<TotpSetup>('/users/me/totp', { password: PASSWORD }))
      .body;
    const code = TOTP.generate({ secret: Secret.fromBase32(totpSecret) });
    const { recovery_codes: codes } = (
      await ada!.post<{ recovery_codes: string[] }>('/users/me/totp/confirm', { code })
    ).body;

    const answer = await ada!.get<string>(EXPORT);
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('content-type')).to.equal('application/x-ndjson; charset=utf-8');
    expect(answer.headers.get('cache-control')).to.equal('private, no-store');
    expect(answer.headers.get('accept-ranges')).to.equal('none');
    expect(answer.headers.get('content-disposition')).to.match(
      /^attachment; filename="tidings-ada-exported-\d{4}-\d{2}-\d{2}\.ndjson"$/,
    );
    const lines = readLines(answer.body);
    expect(lines[0]).to.deep.equal({
      kind: 'export',
      data: {
        version: 1,
        started_at: lines[0]?.data.started_at,
        service: world.ctx.config.serviceUrl,
        user_id: ada!.id,
        username: 'ada-exported',
      },
    });
    expect(String(lines[0]?.data.started_at) >= today).to.equal(true);
    expect(lines[1]).to.deep.equal({ kind: 'account', data: (await ada!.get('/users/me')).body });

    const shown = async (id: number) => {
      const { voted, ...view } = (await ada!.get<PostAnswer>(`/posts/${id}`)).body;
      expect(voted).to.equal(false);
      return view;
    };
    expect(ofKind(lines, 'post')).to.deep.equal([await shown(post.id), await shown(draft.id)]);
    expect(ofKind(lines, 'reply')).to.deep.equal([await shown(reply.id)]);
    const [removed, ...others] = ofKind(lines, 'removed_post');
    expect(others).to.be.empty;
    expect(removed).to.deep.include({ id: bad.id, title: 'Removed', content: 'a bad word', tags: [] });
    expect(ofKind(lines, 'vote').map(({ post_id }) => post_id)).to.deep.equal([ofBob.id]);
    const named = ({ id, username }: TestUser) => ({ id, username });
    for (const [kind, target] of [
      ['follow', bob!],
      ['follower', bob!],
      ['block', carol!],
      ['mute', dave!],
    ] as const)
      expect(
        ofKind(lines, kind).map(({ user }) => user),
        kind,
      ).to.deep.equal([named(target)]);
    const notifications = (await ada!.get<{ notifications: { id: number }[] }>('/notifications')).body
      .notifications;
    expect(notifications).to.have.lengthOf.at.least(3);
    expect(ofKind(lines, 'notification')).to.have.deep.members(notifications);
    const sessions = (await ada!.get<{ id: string }[]>('/sessions')).body;
    const steady = ({ id, current, client }: Record<string, unknown>) => ({ id, current, client });
    expect(ofKind(lines, 'session').map(steady)).to.have.deep.members(
      sessions.map((session) => steady({ ...session })),
    );
    expect(sessions).to.have.lengthOf(2);
    expect(
      ofKind(lines, 'audit').map(({ action, reason, post_id }) => [action, reason, post_id]),
    ).to.deep.equal([
      ['remove', 'to remove', bad.id],
      ['lock', 'to lock', post.id],
    ]);
    const [report] = ofKind(lines, 'report');
    expect(report).to.deep.include({ post_id: ofBob.id, user_id: bob!.id, reason: 'other', note: 'my note' });
    const [factor, ...noOther] = ofKind(lines, 'second_factor');
    expect(noOther).to.be.empty;
    expect(factor).to.deep.equal({ since: factor!.since, recovery_codes: 10 });
    expect(String(factor!.since) >= today).to.equal(true);
    expect(lines.at(-1)?.kind).to.equal('end');
    expect(countsOf(lines)).to.deep.equal({
      api_key: 0,
      webhook: 0,
      account: 1,
      post: 2,
      reply: 1,
      removed_post: 1,
      vote: 1,
      follow: 1,
      block: 1,
      mute: 1,
      follower: 1,
      notification: notifications.length,
      session: 2,
      second_factor: 1,
      identity: 0,
      audit: 2,
      report: 1,
    });
    for (const secret of [
      totpSecret,
      ...codes,
      ...[bob!, carol!, dave!, moderator!].map(({ email }) => email),
      'The secret of Bob',
      'The reply of Bob',
      'the note of Dave',
      'deleted is gone',
      'dismiss',
      'moderator-exported',
      '$2b$',
      ada!.token,
      ada!.refreshToken,
      second.refreshToken,
    ])
      expect(answer.body, secret).not.to.include(secret);
    expect(await running(ada!)).to.equal(0);
  });

  it('is a line for each thing to readers that end a line at other characters too', async () => {
    const ida = await world.user('ida-exported');
    const content = 'one\u2028paragraph\u2029and\u0085another';
    const { id } = await writePost(ida, { title: 'Pasted', content });
    const { body } = await ida.get<string>(EXPORT);
    expect(body).not.to.match(/[\u0085\u2028\u2029]/);
    expect(ofKind(readLines(body), 'post')).to.have.nested.property('[0].content', content);
    expect(ofKind(readLines(body), 'post')).to.have.nested.property('[0].id', id);
  });

  it('has each of many things once, over all its pages', async () => {
    const [user, other] = [await world.user(), await world.user()];
    // Many at one moment: then the id decides.
    await execute(
      world,
      `with written as (
         insert into posts (owner_id, title, content, published, created_at, listed_at)
         select o, 'post ' || n, 'text', n % 3 > 0, moment, moment
         from generate_series(1, 260) n cross join unnest(array[$1::bigint, $2::bigint]) o
           cross join lateral (select now() - n / 60 * interval '1 hour' as moment) at
         returning id, owner_id
       ), tallied as (insert into post_tallies (post_id, hot) select id, 0 from written)
       insert into votes (user_id, post_id) select owner_id, id from written`,
      [user.id, other.id],
    );
    await execute(
      world,
      `insert into votes (user_id, post_id) select $1, id from posts where owner_id <> $1 on conflict do nothing`,
      [user.id],
    );
    await execute(
      world,
      `insert into notifications (user_id, group_key, kind, actor_id, rev)
       select $1, 'follow:' || n, 'follow', $2, n from generate_series(1, 2100) n`,
      [user.id, other.id],
    );
    const lines = await exported(user);
    const ids = (kind: string, key = 'id') => ofKind(lines, kind).map((data) => data[key] as number);
    for (const [kind, key, table, owner] of [
      ['post', 'id', 'posts', 'owner_id'],
      ['vote', 'post_id', 'votes', 'user_id'],
      ['notification', 'id', 'notifications', 'user_id'],
    ] as const) {
      const found = await world.pool.query<{ key: number }>(
        `select ${key} as key from ${table} where ${owner} = $1`,
        [user.id],
      );
      expect(found.rows.length).to.be.greaterThan(250);
      expect(ids(kind, key), kind).to.have.members(found.rows.map((row) => row.key));
    }
  });

  it('is made once at a time, and again when it is over', async () => {
    const user = await withLargePosts(world);
    const download = await SlowDownload.begin(user);
    const answer = await user.get<object>(EXPORT);
    expect(answer.status).to.equal(429);
    expectProblem(answer, 429, 'too_many_requests');
    expect(answer.headers.get('retry-after')).to.equal('30');
    // Others may.
    await exported(await world.user());
    const lines = await download.finish();
    expect(download.whole).to.equal(true);
    expect(countsOf(lines)?.post).to.equal(300);
    await exported(user);
  });

  it('needs a token, and has a head', async () => {
    expectProblem(await world.anonymous.get(EXPORT), 401, 'unauthorized');
    const user = await world.user();
    const head = await user.request<string>('HEAD', EXPORT);
    expect([head.status, head.body]).to.deep.equal([200, '']);
    expect(await running(user)).to.equal(0);
  });

  it('of a node that has failed is left to another one after a while', async () => {
    const user = await world.user();
    const leave = (seconds: number) =>
      execute(
        world,
        `insert into account_exports (user_id, holder, expires_at)
         values ($1, gen_random_uuid(), now() + $2 * interval '1 second')
         on conflict (user_id) do update set expires_at = excluded.expires_at`,
        [user.id, seconds],
      );
    await leave(60);
    expectProblem(await user.get(EXPORT), 429);
    await leave(-1);
    await exported(user);
    expect(await running(user)).to.equal(0);
  });

  it('is made ten times a day', async () => {
    const user = await world.user();
    for (let left = 9; left >= 0; left -= 1) {
      const answer = await user.get(EXPORT);
      expect(answer.headers.get('ratelimit-policy')).to.equal('"export";q=10;w=86400');
      expect(answer.headers.get('ratelimit')).to.match(new RegExp(`^"export";r=${left};`));
    }
    const answer = await user.get<object>(EXPORT);
    expectProblem(answer, 429, 'too_many_requests');
    expect(Number(answer.headers.get('retry-after'))).to.be.within(86_000, 86_400);
    expect(await running(user)).to.equal(0);
  });

  it('ends with its client', async () => {
    const user = await withLargePosts(world);
    const before = await outcomes('left');
    const download = await SlowDownload.begin(user);
    expect(await running(user)).to.equal(1);
    download.leave();
    await isOver(user);
    expect(await outcomes('left')).to.equal(before + 1);
    await exported(user);
  });

  for (const [what, act] of [
    ['the session', (user: TestUser) => user.post('/logout')],
    ['all sessions', async (user: TestUser) => (await logIn(world.url, user)).post('/logout/all')],
    ['the account', (user: TestUser) => user.delete('/users/me', { password: PASSWORD })],
  ] as const)
    it(`is cut off by the end of ${what}`, async () => {
      const user = await withLargePosts(world);
      const before = await outcomes('session');
      const download = await SlowDownload.begin(user);
      expect((await act(user)).status).to.be.within(202, 204);
      const lines = await download.finish();
      expect(download.whole).to.equal(false);
      expect(lines[0]?.kind).to.equal('export');
      expect(ofKind(lines, 'end')).to.be.empty;
      await isOver(user);
      expect(await outcomes('session')).to.equal(before + 1);
    });

  it('loses no post that comes back meanwhile', async () => {
    const [user, moderator] = [await withLargePosts(world), await world.user()];
    await world.ctx.db.transaction((tx) => grantRole(tx, moderator.username, 'moderator', ''));
    const post = await writePost(user, { title: 'restored' });
    await execute(world, `update posts set listed_at = now() - interval '2 days' where id = $1`, [post.id]);
    const act = async (action: string) => {
      const body = { action, post_id: post.id, reason: 'because' };
      expect((await moderator.post('/moderation/actions', body)).status).to.equal(201);
    };
    await act('remove');
    const download = await SlowDownload.begin(user);
    await act('restore');
    const lines = await download.finish();
    const found = ofKind(lines, 'post').filter(({ title }) => title === 'restored');
    // Twice if it came back before its place was read.
    expect(found).not.to.be.empty;
    expect(new Set(found.map(({ version }) => version))).to.have.lengthOf(1);
    expect(ofKind(lines, 'removed_post')).to.deep.equal([]);
    expect(countsOf(lines)?.post).to.equal(300 + found.length);
  });

  it('loses no draft that is published meanwhile', async () => {
    const user = await withLargePosts(world);
    const early = await writePost(user, { title: 'early', published: false });
    await execute(
      world,
      `update posts set listed_at = now() - interval '2 days', created_at = now() - interval '2 days' where id = $1`,
      [early.id],
    );
    const late = await writePost(user, { title: 'late', published: false });
    const download = await SlowDownload.begin(user);
    for (const { id } of [early, late])
      expect((await user.patch(`/posts/${id}`, { published: true })).status).to.equal(200);
    const posts = ofKind(await download.finish(), 'post').filter(
      ({ title }) => !String(title).startsWith('large'),
    );
    expect(posts.map(({ title, published, version }) => [title, published, version])).to.deep.equal([
      ['early', false, 1],
      ['early', true, 2],
      ['late', true, 2],
    ]);
  });
});
