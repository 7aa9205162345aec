import { expect } from 'chai';
import { routes } from '../server/app.ts';
import { openApiDocument } from '../server/docs/openapi.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { buildPage } from './support/built-page.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

describe('reading without an account', () => {
  let world: World;
  let ann: TestUser;
  let ben: TestUser;
  let moderator: TestUser;
  /** Its thread has a reply of ben's, one that was deleted with a reply below it, and one that was removed. */
  let post: PostAnswer;
  before(async () => {
    world = await createWorld(
      { PUBLIC_READ: 'on', RATE_LIMITS: 'on', PUBLIC_URL: 'https://example.org', ALLOWED_HOSTS: '*' },
      undefined,
      undefined,
      { block: 50 },
    );
    [ann, ben] = await Promise.all([world.user('ann'), world.user('ben')]);
    moderator = await world.user();
    await world.ctx.db.transaction((tx) => grantRole(tx, moderator.username, 'moderator', ''));
    post = await writePost(ann, { title: 'Seen', content: 'needle #open by @ben' });
  });
  after(() => world.close());

  const reply = async (by: TestUser, to: number, content: string) => {
    const answer = await by.post<PostAnswer>(`/posts/${to}/replies`, { content });
    expect(answer.status).to.equal(201);
    return answer.body;
  };
  const remove = async (id: number) => {
    const act = { action: 'remove', post_id: id, reason: 'spam' };
    expect((await moderator.post('/moderation/actions', act)).status).to.equal(201);
  };

  it('shows exactly what everyone may see, over every way', async () => {
    const word = (name: string) => `needle ${name} #open`;
    const write = (by: TestUser, name: string, published = true) =>
      writePost(by, { title: name, content: word(name), published });
    // What is there for everyone.
    await write(ben, 'ofanotherone');
    const withReplies = await write(ann, 'threadfirst');
    const deleted = await reply(ben, withReplies.id, word('deletedreply'));
    await reply(ann, deleted.id, word('replybelow'));
    await ben.delete(`/posts/${deleted.id}`);
    const removedReply = await reply(ben, withReplies.id, word('removedreply'));
    await remove(removedReply.id);
    // What is not.
    const hidden = [
      await write(ann, 'draftofann', false),
      await write(ann, 'withdrawn'),
      await write(ann, 'deletedone'),
      await write(ben, 'removedone'),
    ];
    const [, withdrawn, gone, removed] = hidden.map(({ id }) => id);
    const inWithdrawn = await reply(ben, withdrawn!, word('inwithdrawn'));
    await ann.patch(`/posts/${withdrawn}`, { published: false });
    await ann.delete(`/posts/${gone}`);
    await remove(removed!);
    const quitter = await world.user('quitter');
    const left = await write(quitter, 'leftbehind');
    await quitter.delete('/users/me', { password: quitter.password });
    // Relations and suspensions are about others than a viewer without an account.
    await ann.put(`/users/${ben.id}/block`);
    await ann.put(`/users/${moderator.id}/mute`);
    const late = await world.user('late');
    await write(late, 'ofasuspended');
    await moderator.post('/moderation/actions', { action: 'suspend', user_id: late.id, reason: 'spam' });

    const shown = ['ofanotherone', 'threadfirst', 'ofasuspended'];
    const inThreads = ['replybelow'];
    const absent = [
      'draftofann',
      'withdrawn',
      'deletedone',
      'removedone',
      'inwithdrawn',
      'deletedreply',
      'removedreply',
      'leftbehind',
    ];
    const lists = [
      '/posts?limit=100',
      '/posts?limit=100&sort=top',
      '/posts?limit=100&sort=hot',
      '/posts?limit=100&search=needle',
      '/posts?limit=100&tag=open',
      '/posts?limit=100&published=true',
    ];
    for (const path of [...lists, ...lists.map((path) => `${path}&replies=true`)]) {
      const answer = await world.anonymous.get<PostAnswer[]>(path);
      expect(answer.status, path).to.equal(200);
      const text = JSON.stringify(answer.body);
      for (const name of shown) expect(text, `${path} ${name}`).to.contain(word(name));
      for (const name of absent) expect(text, `${path} ${name}`).not.to.contain(word(name));
      for (const name of inThreads)
        expect(text.includes(word(name)), `${path} ${name}`).to.equal(path.includes('replies=true'));
      expect(answer.body.every(({ voted, published }) => !voted && published)).to.equal(true);
      // A new account, to whom nobody is anything, sees the same.
      const other = await moderator.get<PostAnswer[]>(path);
      expect(answer.body, path).to.deep.equal(other.body.map((each) => ({ ...each, voted: false })));
    }
    const thread = await world.anonymous.get<PostAnswer[]>(`/posts/${withReplies.id}/replies`);
    expect(thread.body.map(({ content }) => content)).to.deep.equal(['', word('replybelow')]);
    expect(JSON.stringify(thread.body)).not.to.contain('"ben"');
    const ofBen = await world.anonymous.get<PostAnswer[]>(`/posts?owner_id=${ben.id}`);
    expect(ofBen.body.map(({ title }) => title)).to.deep.equal(['ofanotherone']);
    for (const id of [
      ...hidden.map((each) => each.id),
      inWithdrawn.id,
      deleted.id,
      removedReply.id,
      left.id,
    ]) {
      expectProblem(await world.anonymous.get(`/posts/${id}`), 404);
      if (id !== deleted.id) expectProblem(await world.anonymous.get(`/posts/${id}/replies`), 404);
    }
    const profile = await world.anonymous.get<object>(`/users/${ann.id}`);
    expect(profile.body).to.have.all.keys(
      'id',
      'username',
      'bio',
      'created_at',
      'posts',
      'followers',
      'following',
    );
    expectProblem(await world.anonymous.get(`/users/${quitter.id}`), 404);
  });

  it('lets nobody do or see more than that', async () => {
    for (const { method, path, access, params } of routes) {
      if (access !== 'user') continue;
      const address = params ? path.replace(':id', String(post.id)) : path;
      expectProblem(await world.anonymous.request(method.toUpperCase(), address), 401);
    }
    for (const query of ['view=home', 'published=false', 'view=home&published=true'])
      expectProblem(await world.anonymous.get(`/posts?${query}`), 401);
    for (const path of ['/posts', `/posts/${post.id}`, `/posts/${post.id}/replies`])
      expectProblem(await world.anonymous.get(path, { authorization: 'Bearer nonsense' }), 401);
    expectProblem(await world.anonymous.get('/posts?limit=0'), 422);
    expectProblem(await world.anonymous.get('/posts/x'), 422);
  });

  it('gives answers that caches may share and must revalidate', async () => {
    const tagOf = ({ headers }: Answer) => headers.get('etag') ?? '';
    for (const path of [
      '/posts',
      `/posts/${post.id}`,
      `/posts/${post.id}/replies`,
      `/users/${ann.id}`,
      '/users/by-name/ann',
    ]) {
      const first = await world.anonymous.get(path);
      expect(first.headers.get('cache-control'), path).to.equal('public, no-cache');
      expect(first.headers.get('vary'), path).to.match(/\bAuthorization\b/);
      const again = await world.anonymous.get(path, { 'if-none-match': tagOf(first) });
      expect(again.status, path).to.equal(304);
      expect(again.headers.get('vary'), path).to.match(/\bAuthorization\b/);
      const own = await ann.get(path);
      expect(own.headers.get('cache-control'), path).to.match(/^private/);
      expect(own.headers.get('vary'), path).to.match(/\bAuthorization\b/);
      const refused = await world.anonymous.get(path, { authorization: 'Bearer nonsense' });
      expect(refused.headers.get('cache-control'), path).to.equal('private, no-store');
    }
    const before = await world.anonymous.get('/posts');
    await ann.put(`/posts/${post.id}/vote`);
    const after = await world.anonymous.get<PostAnswer[]>('/posts', { 'if-none-match': tagOf(before) });
    expect(after.status).to.equal(200);
    expect(after.body.find(({ id }) => id === post.id)).to.include({ votes: 1, voted: false });
    const missing = await world.anonymous.get('/posts/999999');
    expect(missing.headers.get('cache-control')).to.equal('private, no-store');
  });

  it('is counted by address, whatever a client says of it', async () => {
    const left = async (path: string) => {
      const forwarded = { 'x-forwarded-for': `203.0.113.${path.length}` };
      const { headers } = await world.anonymous.get(path, forwarded);
      return Number(/^"read";r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);
    };
    const countDown = async (): Promise<number[]> => {
      const counts = [await left('/posts'), await left(`/posts/${post.id}`)];
      counts.push(await left(`/posts/${post.id}/replies`));
      // They begin anew when the minute is over.
      return counts.some((count, at) => count > (counts[at - 1] ?? Infinity)) ? countDown() : counts;
    };
    const [first = 0, ...others] = await countDown();
    expect(others).to.deep.equal([first - 1, first - 2]);
  });

  it('is told by the service, and in the documents of one that allows it', async () => {
    expect((await world.anonymous.get('/')).body).to.include({ public_read: true });
    const told = (
      await world.anonymous.get<{ paths: Record<string, Record<string, { security: object[] }>> }>(
        '/openapi.json',
      )
    ).body.paths;
    const withAccount = [{ bearer: [] }, { password: [] }, { apiKey: [] }];
    for (const path of ['/posts', '/posts/{id}', '/posts/{id}/replies'])
      expect(told[path]?.get?.security, path).to.deep.equal([{}, ...withAccount]);
    expect(told['/posts']?.post?.security).to.deep.equal(withAccount);
    const closed = openApiDocument(routes, { version: '1.0.0', server: 'https://example.org' });
    expect(closed.paths['/posts']?.get?.security).to.deep.equal(withAccount);
  });

  describe('a link that is sent to somebody', () => {
    before(buildPage);

    /** The page at an address, with the tags of its head by name. */
    async function headAt(path: string, headers: Record<string, string> = {}) {
      const answer = await world.anonymous.get<string>(path, {
        accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
        ...headers,
      });
      const tags: Record<string, string | undefined> = Object.fromEntries(
        [...answer.body.matchAll(/<meta (?:name|property)="([^"]+)" content="([^"]*)"/g)].map((match) => [
          match[1] ?? '',
          match[2],
        ]),
      );
      const canonical = /<link rel="canonical" href="([^"]*)"/.exec(answer.body)?.[1];
      return { ...answer, tags, canonical, title: /<title>([^<]*)</.exec(answer.body)?.[1] };
    }

    it('tells what is there, and in it nothing of a user is markup', async () => {
      const evil = await writePost(ann, {
        title: `<script>alert("1")</script> & $& $1 'q'`,
        content: `"><img src=x onerror=alert(1)>\n\n${'long words '.repeat(60)}`,
      });
      const { status, body, tags, canonical, title, headers } = await headAt(`/p/${evil.id}`);
      expect(status).to.equal(200);
      const inside = '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; $&amp; $1 &#39;q&#39;';
      expect(title).to.equal(`${inside} · Tidings`);
      expect(tags['og:title']).to.equal(inside);
      expect(tags['og:type']).to.equal('article');
      expect(tags['article:published_time']).to.equal(evil.published_at);
      expect(tags['og:description']).to.match(
        /^By ann: &quot;&gt;&lt;img src=x onerror=alert\(1\)&gt; long .*(long|words)…$/,
      );
      expect(tags.description).to.equal(tags['og:description']);
      expect(tags['og:url']).to.equal(`https://example.org/p/${evil.id}`);
      expect(canonical).to.equal(tags['og:url']);
      const [, image = ''] =
        /^https:\/\/example\.org(\/assets\/link-preview-[\w-]{8}\.png)$/.exec(tags['og:image'] ?? '') ?? [];
      const picture = await fetch(world.url + image);
      expect(picture.headers.get('content-type')).to.equal('image/png');
      expect(tags).not.to.have.property('robots');
      expect(body).not.to.match(/<script(?![^>]* src=)|<img/);
      expect(headers.get('cache-control')).to.equal('no-cache');
      const again = await headAt(`/p/${evil.id}`, { 'if-none-match': headers.get('etag') ?? '' });
      expect(again.status).to.equal(304);
      await ann.patch(`/posts/${evil.id}`, { title: 'Harmless' });
      const changed = await headAt(`/p/${evil.id}`, { 'if-none-match': headers.get('etag') ?? '' });
      expect([changed.status, changed.title]).to.deep.equal([200, 'Harmless · Tidings']);
    });

    it('tells of replies, users, tags and the newest', async () => {
      const answer = await reply(moderator, post.id, 'An answer');
      expect((await headAt(`/p/${answer.id}`)).tags).to.include({
        'og:title': `Reply by ${moderator.username}`,
        'og:description': `By ${moderator.username}: An answer`,
      });
      await ann.patch('/users/me', { bio: 'Writes here.' });
      const profile = await headAt('/@ANN');
      expect(profile.tags).to.include({
        'og:title': '@ann',
        'og:type': 'profile',
        description: 'Writes here.',
      });
      expect(profile.canonical).to.equal('https://example.org/@ann');
      const tag = await headAt('/tags/Open');
      expect(tag.canonical).to.equal('https://example.org/tags/open');
      expect(tag.tags).not.to.have.property('robots');
      expect((await headAt('/')).tags).to.include({ 'og:title': 'Tidings', 'tidings:public-read': 'on' });
    });

    it('tells nothing of what is not for everyone, and says where there is nothing', async () => {
      const draft = await writePost(ann, { title: 'Secret draft', published: false });
      const removed = await writePost(ben, { title: 'Secret removed' });
      await remove(removed.id);
      const neutral = (await headAt('/drafts')).body;
      for (const path of [
        `/p/${draft.id}`,
        `/p/${removed.id}`,
        '/p/999999',
        '/p/99999999999999999999',
        '/@nobody-here',
        '/@%00',
        '/@%E0',
        '/tags/%00',
      ]) {
        const { status, body, tags } = await headAt(path);
        expect(status, path).to.equal(404);
        expect(tags, path).to.include({ robots: 'noindex' });
        expect(body, path).to.equal(neutral);
      }
      for (const path of [
        '/tags/nothing',
        '/search?q=x',
        '/drafts',
        '/account',
        '/notifications',
        '/@ann/followers',
      ]) {
        const { status, tags } = await headAt(path);
        expect([status, tags.robots], path).to.deep.equal([200, 'noindex']);
      }
    });

    it('is the page for whatever makes a preview, and JSON for who asks for JSON', async () => {
      for (const accept of ['*/*', 'text/html', 'image/png, */*;q=0.1']) {
        const { status, tags } = await headAt(`/p/${post.id}`, { accept });
        expect([status, tags['og:title']], accept).to.deep.equal([200, 'Seen']);
      }
      const asked = await world.anonymous.get(`/p/${post.id}`, { accept: 'application/json' });
      expectProblem(asked, 404, 'not_found');
      const { headers } = await world.anonymous.get('/', { accept: '*/*' });
      expect(headers.get('content-type')).to.match(/^application\/json/);
    });

    it('is the page with a 503 where the database does not answer', async () => {
      const client = await world.pool.connect();
      try {
        await client.query('begin');
        await client.query('lock table users in access exclusive mode');
        const { status, headers, tags } = await headAt('/@ann');
        expect([status, tags.robots]).to.deep.equal([503, 'noindex']);
        expect(headers.get('retry-after')).to.equal('2');
      } finally {
        await client.query('rollback');
        client.release();
      }
    });

    it('is for search engines where everyone may read', async () => {
      const { body, headers } = await world.anonymous.get<string>('/robots.txt');
      expect(headers.get('content-type')).to.match(/^text\/plain/);
      expect(body)
        .to.contain('Disallow: /search')
        .and.not.match(/^Disallow: \/$/m);
    });
  });
});
