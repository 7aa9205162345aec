import { expect } from 'chai';
import type { PostAnswer } from '../server/posts/present.ts';
import type { OwnUser, PublicUser } from '../server/users/present.ts';
import { duringLock } from './support/locked-rows.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import {
  execute,
  headOf,
  namesOfEvents,
  numberOf,
  postEventsSince,
  rows,
  tellVotes,
} from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('accounts', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  const signUp = (body: object) => world.anonymous.post<OwnUser>('/users', body);

  describe('signing up', () => {
    it('answers with the own view and where the public profile is', async () => {
      const answer = await signUp({ email: 'Ada@Example.org', password: PASSWORD, username: 'Ada.L-1' });
      expect(answer.status).to.equal(201);
      expect(Object.keys(answer.body).sort()).to.deep.equal([
        'bio',
        'created_at',
        'email',
        'email_verified',
        'has_password',
        'id',
        'pending_email',
        'role',
        'username',
      ]);
      expect(answer.body).to.include({ email: 'Ada@Example.org', username: 'Ada.L-1' });
      expect(answer.body.created_at).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(answer.headers.get('location')).to.equal(`/users/${answer.body.id}`);
      const profile = await world.anonymous.get<PublicUser>(`/users/${answer.body.id}`);
      expect(profile.body).to.deep.equal({
        id: answer.body.id,
        username: 'Ada.L-1',
        bio: '',
        created_at: answer.body.created_at,
        posts: 0,
        followers: 0,
        following: 0,
      });
    });

    it('makes up a username that says nothing of the address', async () => {
      const { status, body } = await signUp({ email: 'secretname@example.org', password: PASSWORD });
      expect(status).to.equal(201);
      expect(body.username).to.match(/^[A-Za-z0-9_.-]{3,30}$/);
      expect(body.username).not.to.contain('secretname');
    });

    it('takes one of two that come at once with one address, in whatever case', async () => {
      for (const [first, second] of [
        ['twin@example.org', 'twin@example.org'],
        ['Cased@Example.org', 'cased@example.ORG'],
      ] as const) {
        const answers = await Promise.all(
          [first, second].map((email) => signUp({ email, password: PASSWORD })),
        );
        expect(answers.map((answer) => answer.status).sort()).to.deep.equal([201, 409]);
        const refused = answers.find((answer) => answer.status === 409)!;
        expect(expectProblem(refused, 409).errors?.[0]?.loc).to.deep.equal(['body', 'email']);
        expect(
          await numberOf(world, 'select count(*) from users where lower(email) = lower($1)', [first]),
        ).to.equal(1);
      }
    });

    it('takes one of twenty that come at once with one username', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, at) =>
          signUp({
            email: `name${at}@example.org`,
            password: PASSWORD,
            username: at % 2 ? 'Popular' : 'popular',
          }),
        ),
      );
      const statuses = answers.map((answer) => answer.status).sort();
      expect(statuses).to.deep.equal([201, ...Array<number>(19).fill(409)]);
    });

    it('names every fault of a body at once', async () => {
      expect(faultsOf(await signUp({ email: 'nobody', password: 'short', username: 'a b' }))).to.deep.equal([
        'body.email',
        'body.password',
        'body.username',
      ]);
      expect(faultsOf(await signUp({}))).to.deep.equal(['body.email', 'body.password']);
    });

    it('counts a password in bytes: 72 fit, 73 do not', async () => {
      const fits = `${'é'.repeat(35)}ab`; // 72 bytes, 37 characters
      const answer = await signUp({ email: 'bytes@example.org', password: fits });
      expect(answer.status).to.equal(201);
      await logIn(world.url, answer.body, fits);
      for (const tooLong of [`${fits}c`, '😀'.repeat(19), 'a'.repeat(73), 'a'.repeat(1_000)]) {
        expect(faultsOf(await signUp({ email: 'more@example.org', password: tooLong }))).to.deep.equal([
          'body.password',
        ]);
      }
    });

    it('does not let an account be written from outside', async () => {
      for (const field of ['id', 'created_at', 'password_hash', 'passwordHash', 'is_admin', 'role']) {
        expect(
          faultsOf(await signUp({ email: 'mass@example.org', password: PASSWORD, [field]: 1 })),
        ).to.deep.equal([`body.${field}`]);
      }
      expect(await numberOf(world, `select count(*) from users where email = 'mass@example.org'`)).to.equal(
        0,
      );
    });
  });

  describe('the own account', () => {
    let ada: TestUser;
    beforeEach(async () => {
      ada = await world.user();
    });

    it('is shown to its user alone', async () => {
      const { status, body } = await ada.get<OwnUser>('/users/me');
      expect(status).to.equal(200);
      expect(body).to.include({ id: ada.id, email: ada.email, username: ada.username });
      expectProblem(await world.anonymous.get('/users/me'), 401);
    });

    it('changes its name, and tells it of each published post', async () => {
      const published = await writePost(ada);
      const draft = await writePost(ada, { published: false });
      const before = await headOf(world);
      const name = `n${ada.username}`;
      const { status, body } = await ada.patch<OwnUser>('/users/me', { username: name });
      expect(status).to.equal(200);
      expect(body.username).to.equal(name);
      const events = await postEventsSince(world, before);
      expect(events.map(({ name: event, post_id }) => [event, post_id])).to.deep.equal([
        ['post:updated', published.id],
      ]);
      expect(events[0]?.data).to.deep.include({
        owner: { id: ada.id, username: name },
        version: published.version + 1,
      });
      const seen = await ada.get<PostAnswer>(`/posts/${published.id}`);
      expect(seen.body).to.include({ version: published.version + 1 });
      const hidden = await ada.get<PostAnswer>(`/posts/${draft.id}`);
      expect(hidden.body.owner.username).to.equal(name);
    });

    it('tells of thousands of posts, each once and as it is shown, a bounded piece at a time', async () => {
      await writePost(ada, { title: 'tab\t "quoted" \\ \u0001 \u2028 \u{1F426} </script>', content: '' });
      const plain = await writePost(ada);
      await ada.put(`/posts/${plain.id}/vote`);
      await execute(
        world,
        `with written as (
           insert into posts (owner_id, title, content, created_at, updated_at)
           select $1, 'post ' || n, repeat(chr(1), case when n % 20 = 0 then 10000 else 100 end), now() - n * interval '1.000123 s', now() - n * interval '77 us'
           from generate_series(1, 3000) n returning id
         ) insert into post_tallies (post_id, hot) select id, 0 from written`,
        [ada.id],
      );
      await tellVotes(world);
      const before = await headOf(world);
      // The answer here is that after the end, however slow the machine.
      Object.assign(world.ctx.accountTasks, { timeLimit: 60_000 });
      const answer = await ada.patch('/users/me', { username: `m${ada.username}` });
      expect(answer.status).to.equal(200);
      const tasks = () => rows(world, 'select 1 from account_tasks');
      await until('the last piece', async () => (await tasks()).length === 0);
      await headOf(world);
      const told = await rows<{ post_id: number; data: { id: number } }>(
        world,
        `select entity_id as post_id, data from event_log where seq > $1 and (seq - $1 <= 20 or seq - $1 > 2990) order by seq`,
        [before],
      );
      expect(await headOf(world)).to.equal(before + 3002);
      expect(told).to.have.lengthOf(32);
      const distinct = await rows(
        world,
        `select count(distinct entity_id)::int as posts from event_log where seq > $1 and name = 'post:updated'`,
        [before],
      );
      expect(distinct).to.deep.equal([{ posts: 3002 }]);
      for (const { post_id, data } of told) {
        const { voted: _voted, ...shown } = (await ada.get<PostAnswer>(`/posts/${post_id}`)).body;
        expect(data).to.deep.equal(shown);
        // To the byte, and in the same order.
        expect(JSON.stringify(data)).to.equal(JSON.stringify(shown));
      }
    });

    it('tells nobody of a name that stays', async () => {
      await writePost(ada);
      const names = await namesOfEvents(world, () => ada.patch('/users/me', { username: ada.username }));
      expect(names).to.be.empty;
    });

    it('may change the case of its own name and address', async () => {
      const { status, body } = await ada.patch<OwnUser>('/users/me', {
        username: ada.username.toUpperCase(),
        email: ada.email.toUpperCase(),
        current_password: PASSWORD,
      });
      expect(status).to.equal(200);
      expect(body).to.include({ username: ada.username.toUpperCase(), email: ada.email.toUpperCase() });
    });

    it('refuses a name or an address that is taken, and changes nothing', async () => {
      const bob = await world.user();
      const byName = await ada.patch('/users/me', { username: bob.username.toUpperCase() });
      expect(expectProblem(byName, 409).errors?.[0]?.loc).to.deep.equal(['body', 'username']);
      const byEmail = await ada.patch('/users/me', {
        username: `free-${ada.username}`,
        email: bob.email,
        current_password: PASSWORD,
      });
      expect(expectProblem(byEmail, 409).errors?.[0]?.loc).to.deep.equal(['body', 'email']);
      expect((await ada.get<OwnUser>('/users/me')).body).to.include({
        username: ada.username,
        email: ada.email,
      });
    });

    it('wants the current password for a new address or password', async () => {
      expectProblem(await ada.patch('/users/me', { email: 'new@example.org' }), 422, 'invalid');
      expectProblem(await ada.patch('/users/me', { password: 'another good one' }), 422, 'invalid');
      for (const change of [{ email: `new-${ada.email}` }, { password: 'another good one' }]) {
        expectProblem(
          await ada.patch('/users/me', { ...change, current_password: 'not this one' }),
          403,
          'invalid_credentials',
        );
      }
      await logIn(world.url, ada);
      expectProblem(await ada.patch('/users/me', {}), 422, 'invalid');
    });

    it('ends all other sessions with a new password, and not this one', async () => {
      const other = await logIn(world.url, ada);
      const { status } = await ada.patch('/users/me', {
        password: 'another good one',
        current_password: PASSWORD,
      });
      expect(status).to.equal(200);
      expect((await ada.get('/users/me')).status).to.equal(200);
      expectProblem(await other.get('/users/me'), 401);
      expectProblem(await world.anonymous.post('/refresh', { refresh_token: other.refreshToken }), 401);
      expectProblem(await world.anonymous.post('/login', { email: ada.email, password: PASSWORD }), 403);
      await logIn(world.url, ada, 'another good one');
    });

    it('cannot be given another id, hash or date', async () => {
      for (const field of ['id', 'created_at', 'password_hash', 'passwordHash']) {
        const answer = await ada.patch('/users/me', { username: 'changed', [field]: 1 });
        expect(faultsOf(answer)).to.deep.equal([`body.${field}`]);
      }
      expect((await ada.get<OwnUser>('/users/me')).body.username).to.equal(ada.username);
    });
  });

  describe('deleting an account', () => {
    it('wants the password, and a wrong one changes nothing', async () => {
      const ada = await world.user();
      const post = await writePost(ada);
      expect(faultsOf(await ada.delete('/users/me', {}))).to.deep.equal(['body.password']);
      expectProblem(await ada.delete('/users/me', { password: 'not this one' }), 403, 'invalid_credentials');
      expect((await ada.get(`/posts/${post.id}`)).status).to.equal(200);
    });

    for (const [what, then] of [
      ['is being deleted', "update users set deleted_at = now(), password_hash = ''"],
      ['is gone', 'delete from users'],
    ] as const)
      it(`makes a 401 of whatever asks for the password when the account ${what}`, async () => {
        const asks: ((user: TestUser) => Promise<Answer>)[] = [
          (user) => user.delete('/users/me', { password: PASSWORD }),
          (user) => user.patch('/users/me', { password: 'another good one', current_password: PASSWORD }),
          (user) => user.post('/users/me/totp', { password: PASSWORD }),
        ];
        for (const ask of asks) {
          const user = await world.user();
          const answer = await duringLock(world, {
            lock: 'lock table users',
            send: () => ask(user),
            then: `${then} where id = ${user.id}`,
          });
          expectProblem(answer, 401);
        }
      });

    it('takes posts, votes and sessions along; tallies follow, every client is told, and the text is gone', async () => {
      const ada = await world.user();
      const bob = await world.user();
      const eve = await world.user();
      const first = await writePost(ada, { title: 'unrepeatable-one', content: 'unrepeatable-text' });
      const draft = await writePost(ada, { title: 'unrepeatable-draft', published: false });
      const second = await writePost(ada, { title: 'unrepeatable-two' });
      await ada.patch(`/posts/${second.id}`, { title: 'unrepeatable-three' });
      const withdrawn = await writePost(ada, { title: 'unrepeatable-four' });
      await ada.patch(`/posts/${withdrawn.id}`, { published: false });
      const other = await writePost(bob);
      await Promise.all([ada.put(`/posts/${other.id}/vote`), eve.put(`/posts/${other.id}/vote`)]);
      await Promise.all([ada.put(`/posts/${first.id}/vote`), bob.put(`/posts/${first.id}/vote`)]);
      const rev = (await bob.get<PostAnswer>(`/posts/${other.id}`)).body.rev;
      const before = await headOf(world);

      expect((await ada.delete('/users/me', { password: PASSWORD })).status).to.equal(204);
      await until('the last piece', async () => {
        return (await numberOf(world, 'select count(*) from account_tasks')) === 0;
      });

      const events = await postEventsSince(world, before);
      expect(events.map(({ name, data }) => [name, data])).to.deep.equal([
        ['post:deleted', { id: first.id, root_id: null }],
        ['post:deleted', { id: second.id, root_id: null }],
      ]);
      for (const id of [first.id, draft.id, second.id, withdrawn.id])
        expectProblem(await bob.get(`/posts/${id}`), 404);
      const { body } = await bob.get<PostAnswer>(`/posts/${other.id}`);
      expect(body).to.include({ votes: 1, rev: rev + 1 });
      expect(await numberOf(world, 'select count(*) from votes where post_id = $1', [other.id])).to.equal(1);
      for (const table of ['posts where owner_id', 'votes where user_id', 'sessions where user_id'])
        expect(await numberOf(world, `select count(*) from ${table} = $1`, [ada.id]), table).to.equal(0);
      expect(
        await numberOf(
          world,
          `select count(*) from votes where post_id in (select id from posts where owner_id = $1)`,
          [ada.id],
        ),
      ).to.equal(0);

      const kept = await rows<{ data: string }>(
        world,
        `select data::text as data from event_log union all select answer::text from idempotency_keys`,
      );
      for (const { data } of kept) {
        expect(data).not.to.contain('unrepeatable');
        expect(data).not.to.contain(ada.username);
      }
      expectProblem(await ada.get('/users/me'), 401);
      expectProblem(await world.anonymous.get(`/users/${ada.id}`), 404);
      expectProblem(await world.anonymous.post('/refresh', { refresh_token: ada.refreshToken }), 401);
      expectProblem(
        await world.anonymous.post('/login', { email: ada.email, password: PASSWORD }),
        403,
        'invalid_credentials',
      );
      expect((await signUp({ email: ada.email, password: PASSWORD })).status).to.equal(201);
    });

    it('goes well together with votes on the posts and by the user, all at once', async () => {
      const ada = await world.user();
      const voters = await Promise.all(Array.from({ length: 8 }, () => world.user()));
      const own = await writePost(ada);
      const others = await Promise.all(voters.map((voter) => writePost(voter)));
      const statuses = await Promise.all([
        ...voters.map(async (voter) => (await voter.put(`/posts/${own.id}/vote`)).status),
        ...others.map(async (post) => (await ada.put(`/posts/${post.id}/vote`)).status),
        ...voters.map(async (voter, at) => (await voter.put(`/posts/${others[at]!.id}/vote`)).status),
        ada.delete('/users/me', { password: PASSWORD }).then((answer) => answer.status),
      ]);
      expect(statuses.at(-1)).to.equal(204);
      for (const status of statuses.slice(0, -1)) expect(status).to.be.oneOf([200, 401, 404]);
      const wrong = await rows(
        world,
        `select t.post_id from post_tallies t
         where t.votes <> (select count(*) from votes v where v.post_id = t.post_id)`,
      );
      expect(wrong).to.be.empty;
    });

    it('is done once when asked for twice at once', async () => {
      const ada = await world.user();
      const post = await writePost(ada);
      const before = await headOf(world);
      const answers = await Promise.all([1, 2].map(() => ada.delete('/users/me', { password: PASSWORD })));
      expect(answers.map((answer) => answer.status).sort()).to.deep.equal([204, 401]);
      expect((await postEventsSince(world, before)).map(({ post_id }) => post_id)).to.deep.equal([post.id]);
    });
  });

  it('shows an e-mail address nowhere but in the own view', async () => {
    const ada = await world.user();
    const bob = await world.user();
    const post = await writePost(ada);
    await bob.put(`/posts/${post.id}/vote`);
    await ada.patch('/users/me', { username: `again-${ada.username}`.slice(0, 30) });
    await headOf(world);
    const key = { 'idempotency-key': 'for-the-address' };
    await ada.post('/posts', { title: 'once', content: '' }, key);
    const seen = [
      await bob.get(`/posts/${post.id}`),
      await bob.get('/posts?limit=100'),
      await bob.get(`/posts?owner_id=${ada.id}`),
      await bob.get(`/posts?search=${encodeURIComponent(ada.email)}`),
      await bob.get(`/users/${ada.id}`),
      await bob.get('/events?after=0&limit=500'),
      await ada.post('/posts', { title: 'once', content: '' }, key),
      await bob.patch('/users/me', { email: ada.email, current_password: PASSWORD }),
      await world.anonymous.post('/users', { email: ada.email, password: PASSWORD }),
      await world.anonymous.post('/login', { email: ada.email, password: 'not this one' }),
      await world.anonymous.get('/metrics'),
      await world.anonymous.get('/readyz'),
    ];
    for (const answer of seen) {
      expect(answer.status).to.be.oneOf([200, 201, 403, 409]);
      expect(JSON.stringify([answer.body, [...answer.headers]])).not.to.contain(ada.email);
    }
    const told = await rows<{ data: string }>(
      world,
      `select data::text as data from event_log union all select data::text from event_outbox
       union all select answer::text from idempotency_keys where answer is not null`,
    );
    for (const { data } of told) expect(data).not.to.contain('@');
  });

  it('keeps a hash and never a password', async () => {
    const ada = await world.user();
    const [row] = await rows<{ account: string }>(
      world,
      'select u::text as account from users u where id = $1',
      [ada.id],
    );
    expect(row?.account).to.match(/\$2b\$04\$/);
    expect(row?.account).not.to.contain(PASSWORD);
  });

  it('has the database itself refuse what validation should have', async () => {
    for (const [email, username] of [
      ['no-address', 'somebody'],
      ['some@example.org', 'a b'],
    ]) {
      const refused = await execute(
        world,
        `insert into users (email, username, password_hash) values ($1, $2, 'x')`,
        [email, username],
      ).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(String(refused)).to.match(/users_(email|username)_check/);
    }
  });
});
