import { expect } from 'chai';
import { type Client, createClient, memoryStorage } from '../client/src/index.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { postIdOf } from './support/posts.ts';
import { refusal } from './support/refusal.ts';
import { caughtUp } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

describe('the client, over REST', () => {
  let world: World;
  let proxy: FrameProxy;
  let alice: Client;
  let bob: Client;

  before(async () => {
    world = await createWorld();
    proxy = await createFrameProxy(world.url);
    alice = createClient({ url: proxy.url });
    bob = createClient({ url: world.url });
    await alice.signUp({ email: 'alice@example.org', password: PASSWORD, username: 'alice' });
    await bob.signUp({ email: 'bob@example.org', password: PASSWORD, username: 'bob' });
  });
  after(async () => {
    await proxy.close();
    await world.close();
  });
  afterEach(() => {
    proxy.losesAnswer = () => false;
  });

  it('signs up and is logged in, and tells others no e-mail address', async () => {
    const me = await alice.me();
    expect(me).to.include({ username: 'alice', email: 'alice@example.org' });
    expect(await bob.user(me.id)).to.deep.equal({
      id: me.id,
      username: 'alice',
      bio: '',
      created_at: me.created_at,
      posts: 0,
      followers: 0,
      following: 0,
      followed: false,
      blocked: false,
      muted: false,
    });
  });

  it('downloads all that one has written, and sees a download that is cut off or too large', async () => {
    const dora = createClient({ url: world.url });
    const me = await dora.signUp({ email: 'dora@example.org', password: PASSWORD, username: 'dora' });
    await dora.posts.create({ title: 'Engines', content: 'Zahlen über Zahlen' });
    const { name, content, counts } = await dora.export();
    expect(name).to.match(/^tidings-dora-\d{4}-\d{2}-\d{2}\.ndjson$/);
    expect(counts).to.deep.include({ account: 1, post: 1, reply: 0, session: 1 });
    const lines = (await content.text()).trimEnd().split('\n');
    expect(lines).to.have.lengthOf(5);
    expect(JSON.parse(lines[1]!)).to.deep.equal({ kind: 'account', data: me });
    expect(await refusal(dora.export({ maxBytes: 100 }))).to.include({ code: 'too_large' });

    const storage = memoryStorage();
    const cut = createClient({
      url: world.url,
      storage,
      // A proxy that ends an answer without an error.
      fetch: async (url, init) => {
        const answer = await fetch(url, init);
        if (!url.endsWith('/export')) return answer;
        return new Response((await answer.text()).replace(/[^\n]*\n$/, ''), { headers: answer.headers });
      },
    });
    await cut.logIn({ email: 'dora@example.org', password: PASSWORD });
    const error = await refusal(cut.export());
    expect(error).to.include({ code: 'network', message: 'The export was cut off. Download it again.' });
  });

  it('hands on what a link of a mail says, and keeps the session if it is not good', async () => {
    for (const [call, code] of [
      [() => alice.requestVerification(), 'no_mail'],
      [() => alice.forgotPassword('alice@example.org'), 'no_mail'],
      [() => alice.verifyEmail('x'), 'unauthorized'],
      [() => alice.undoEmailChange('x'), 'unauthorized'],
      [() => alice.resetPassword({ token: 'x', password: PASSWORD }), 'unauthorized'],
    ] as const)
      expect((await refusal(call())).code).to.equal(code);
    expect(await alice.me()).to.include({ email_verified: false, pending_email: null });
  });

  it('tells every fault of an input by its field', async () => {
    const error = await refusal(alice.posts.create({ title: '', content: 'x'.repeat(10_001) }));
    expect(error).to.include({ code: 'invalid', status: 422 });
    expect(error.fields).to.have.keys('title', 'content');
    expect(error.problem?.request_id).to.be.a('string');
  });

  it('names what was refused by its code', async () => {
    expect(await refusal(alice.posts.get(999_999))).to.include({ code: 'not_found', status: 404 });
    const post = await alice.posts.create({ title: 'Mine', content: '' });
    expect(await refusal(bob.posts.remove(post.id))).to.include({ code: 'forbidden', status: 403 });
    const taken = createClient({ url: world.url });
    const again = taken.signUp({ email: 'ALICE@example.org', password: PASSWORD });
    expect((await refusal(again)).fields).to.have.keys('email');
    expect(await refusal(taken.logIn({ email: 'alice@example.org', password: 'wrong' }))).to.include({
      code: 'invalid_credentials',
    });
    expect(await refusal(taken.me())).to.include({ code: 'logged_out', status: 401 });
  });

  it('goes through a list page by page, each with the position that it reflects', async () => {
    const author = createClient({ url: world.url });
    const { id: ownerId } = await author.signUp({ email: 'carol@example.org', password: PASSWORD });
    const before = await caughtUp(world);
    for (let at = 1; at <= 5; at += 1) await author.posts.create({ title: `Post ${at}`, content: '100%' });
    await until('the node has the five posts', () => world.ctx.feed.seq === before + 5);
    const titles: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await author.posts.list({ ownerId, limit: 2, search: '0%', cursor });
      titles.push(...page.posts.map((post) => post.title ?? ''));
      expect(page.position).to.deep.equal({ seq: world.ctx.feed.seq, epoch: world.ctx.feed.epoch });
      cursor = page.next;
    } while (cursor !== undefined);
    expect(titles).to.deep.equal(['Post 5', 'Post 4', 'Post 3', 'Post 2', 'Post 1']);
  });

  it('changes a post only at the version in hand', async () => {
    const post = await alice.posts.create({ title: 'One', content: 'first' });
    const edited = await alice.posts.update(post.id, { title: 'Two' }, { ifMatch: post });
    expect(edited).to.include({ title: 'Two', content: 'first', version: 2 });
    const stale = alice.posts.replace(post.id, { title: 'Three', content: '' }, { ifMatch: post });
    expect(await refusal(stale)).to.include({ code: 'version_mismatch', status: 412 });
    const draft = await alice.posts.update(post.id, { published: false }, { ifMatch: edited });
    expect(draft.published).to.equal(false);
    expect(await refusal(bob.posts.get(post.id))).to.include({ code: 'not_found' });
  });

  it('votes and takes back, and saying it twice is no error', async () => {
    const post = await alice.posts.create({ title: 'Vote', content: '' });
    expect(await bob.votes.cast(post.id)).to.include({ votes: 1, voted: true });
    expect(await bob.votes.cast(post.id)).to.include({ votes: 1, voted: true });
    expect(await bob.votes.takeBack(post.id)).to.include({ votes: 0, voted: false });
    expect(await bob.votes.takeBack(post.id)).to.include({ votes: 0, voted: false });
  });

  it('writes a post once when the answer is lost on the way', async () => {
    let lost = 0;
    proxy.losesAnswer = (method, path) => method === 'POST' && path === '/posts' && ++lost <= 2;
    const post = await alice.posts.create({ title: 'Once', content: 'and no more' });
    expect(lost).to.equal(3);
    const { posts } = await alice.posts.list({ search: 'and no more' });
    expect(posts.map(({ id }) => id)).to.deep.equal([post.id]);
  });

  it('takes a post for deleted when the answer to that was lost', async () => {
    const post = await alice.posts.create({ title: 'Away', content: '' });
    let lost = 0;
    proxy.losesAnswer = (method) => method === 'DELETE' && ++lost === 1;
    await alice.posts.remove(post.id);
    expect(lost).to.equal(2);
    expect(await refusal(alice.posts.get(post.id))).to.include({ code: 'not_found' });
  });

  it('does not repeat by itself what would not be the same twice', async () => {
    const post = await alice.posts.create({ title: 'Careful', content: '' });
    let asked = 0;
    proxy.losesAnswer = (method) => method === 'PATCH' && ++asked > 0;
    const edit = alice.posts.update(post.id, { title: 'Changed' }, { ifMatch: post });
    expect(await refusal(edit)).to.include({ code: 'network', status: 0, temporary: true });
    expect(asked).to.equal(1);
    expect(await bob.posts.get(post.id)).to.include({ title: 'Changed', version: 2 });
  });

  it('gives up when it is told to', async () => {
    const early = new AbortController();
    const unsent = alice.events({ wait: 30, signal: early.signal });
    early.abort();
    expect(await refusal(unsent)).to.include({ code: 'aborted' });
    const waits = () => world.ctx.connectionLimits.taken;
    await until('nobody waits', () => waits() === 0);
    const late = new AbortController();
    const waiting = refusal(alice.events({ wait: 30, signal: late.signal }));
    await until('it waits', () => waits() === 1);
    late.abort();
    expect(await waiting).to.include({ code: 'aborted' });
    await until('the server has heard of it', () => waits() === 0);
  });

  it('reads the log, and is told when a position is no longer served', async () => {
    // What others have written before may not have its number yet; what is written after it has a higher one.
    const before = await alice.posts.create({ title: 'Before', content: '' });
    let epoch = '';
    let head = 0;
    await until('what was before to be in the log', async () => {
      const page = await alice.events({ after: 0, limit: 500 });
      ({ epoch, head } = page);
      return page.events.some(({ data }) => postIdOf(data) === before.id);
    });
    const post = await alice.posts.create({ title: 'Logged', content: '' });
    const page = await alice.events({ after: head, epoch, wait: 30 });
    expect(page.events.map(({ seq, name, data }) => [seq, name, postIdOf(data)])).to.deep.equal([
      [head + 1, 'post:created', post.id],
    ]);
    const error = await refusal(alice.events({ after: head + 1000 }));
    expect(error).to.include({ code: 'gone', status: 410 });
    expect(error.problem).to.include({ reason: 'future', epoch });
  });

  it('sends what is asked for where URLSearchParams has no size, as in the oldest browsers', async () => {
    const size = Object.getOwnPropertyDescriptor(URLSearchParams.prototype, 'size')!;
    Reflect.deleteProperty(URLSearchParams.prototype, 'size');
    try {
      for (let at = 0; at < 2; at += 1) await alice.posts.create({ title: 'Many', content: '' });
      expect((await alice.posts.list({ limit: 1 })).posts).to.have.length(1);
    } finally {
      Object.defineProperty(URLSearchParams.prototype, 'size', size);
    }
  });

  it('takes an answer that is none of the service for what it is', async () => {
    const problem = { headers: { 'Content-Type': 'application/problem+json' } };
    const answers: [Response, object][] = [
      [Response.json({ title: 'Bad Gateway', status: 502 }, { ...problem, status: 502 }), { status: 502 }],
      [new Response('null', { ...problem, status: 502 }), { status: 502, temporary: true }],
      [new Response('{', { ...problem, status: 403 }), { status: 403, temporary: false }],
      [new Response(null, { status: 200 }), { status: 200 }],
    ];
    for (const [answer, expected] of answers) {
      const client = createClient({ url: world.url, fetch: () => Promise.resolve(answer.clone()) });
      // It is not tried again: a code is good once.
      const account = { email: 'alice@example.org', password: PASSWORD, otp: '123456' };
      expect(await refusal(client.logIn(account))).to.include({ code: 'unexpected', ...expected });
      expect(client.session.loggedIn).to.equal(false);
    }
  });

  it('says so when the server cannot be reached', async () => {
    const nowhere = createClient({ url: 'http://127.0.0.1:9' });
    expect(await refusal(nowhere.signUp({ email: 'a@example.org', password: PASSWORD }))).to.include({
      code: 'network',
      status: 0,
    });
  });

  it('deletes the account with its session', async () => {
    const storage = memoryStorage();
    const gone = createClient({ url: world.url, storage });
    await gone.signUp({ email: 'gone@example.org', password: PASSWORD });
    expect(await refusal(gone.deleteMe('not it'))).to.include({ code: 'invalid_credentials' });
    await gone.deleteMe(PASSWORD);
    expect(storage.read()).to.equal(undefined);
    expect(gone.session.loggedIn).to.equal(false);
  });
});
