import { expect } from 'chai';
import type pg from 'pg';
import { AppError } from '../server/errors.ts';
import { PostWriter } from '../server/posts/post-writer.ts';
import { VoteWriter } from '../server/votes/vote-writer.ts';
import { writePost } from './support/posts.ts';
import { numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const PLACES = 10;
/** Whom a write counts for. */
const at = (address: string, userId: number) => [address, `u${userId}`];

describe('writes that wait', () => {
  let world: World;
  let [flooder, second, newcomer]: TestUser[] = [];
  let client: pg.PoolClient;
  let outcomes: Map<string, string[]>;

  before(async () => {
    world = await createWorld();
    [flooder, second, newcomer] = [await world.user(), await world.user(), await world.user()];
  });
  after(() => world.close());
  beforeEach(async () => {
    outcomes = new Map();
    client = await world.pool.connect();
    await client.query('begin');
  });
  afterEach(() => client.release());

  /** Notes what becomes of a write: `done`, or the sentence of its refusal. */
  function note(name: string, write: Promise<unknown>): Promise<void> {
    const told = outcomes.get(name) ?? [];
    outcomes.set(name, told);
    return write.then(
      () => void told.push('done'),
      (error: unknown) =>
        void told.push(error instanceof AppError ? `${error.code}: ${error.message}` : String(error)),
    );
  }

  it('are refused to the address with most of them and not to another, when too many posts wait', async () => {
    let refused = 0;
    const writer = new PostWriter(world.ctx.db, () => (refused += 1), PLACES);
    const write = (name: string, { id }: TestUser, address: string) =>
      note(
        name,
        writer.write(id, { title: name, content: 'x', published: true }, undefined, [address, `u${id}`]),
      );
    await client.query('lock table posts in exclusive mode');
    const writes = [write('first', flooder!, 'x')];
    await until('the first to be written', () => writer.waiting === 0);
    writes.push(write('second', flooder!, 'x'));
    await until('two statements to wait for the lock', () => writer.waiting === 0);
    for (let left = PLACES; left > 0; left -= 1)
      writes.push(write('flood', left % 2 ? flooder! : second!, 'x'));
    expect([writer.waiting, refused]).to.deep.equal([PLACES, 0]);

    writes.push(write('newcomer', newcomer!, 'y'));
    await Promise.resolve();
    expect([writer.waiting, refused]).to.deep.equal([PLACES, 1]);
    await client.query('commit');
    await Promise.all(writes);
    expect(outcomes.get('newcomer')).to.deep.equal(['done']);
    const flood = outcomes.get('flood') ?? [];
    expect(flood.filter((each) => each === 'done')).to.have.lengthOf(PLACES - 1);
    expect(flood).to.include('unavailable: Too many posts are waiting.');
    expect(await numberOf(world, "select count(*) from posts where title = 'flood'")).to.equal(PLACES - 1);
  });

  it('are posts of a locked user too, of which no more wait than may', async () => {
    let refused = 0;
    const writer = new PostWriter(world.ctx.db, () => (refused += 1), PLACES);
    const write = (name: string, { id }: TestUser) =>
      note(name, writer.write(id, { title: name, content: 'x', published: true }, undefined, at(name, id)));
    await client.query('select 1 from users where id = $1 for update', [flooder!.id]);
    const writes: Promise<void>[] = [];
    for (let round = 0; round < 12; round += 1) {
      writes.push(write('locked', flooder!), write('locked', flooder!));
      writes.push(write('free', newcomer!));
      await writes.at(-1);
    }
    // Three statements wait for the lock, each with two; the others wait for these, one less since the newcomer's last.
    expect(writer.waiting).to.be.within(PLACES - 1, PLACES);
    expect(refused).to.equal(24 - 3 * 2 - writer.waiting);
    const waiting = writer.waiting;
    expect(outcomes.get('free')).to.deep.equal(Array.from({ length: 12 }, () => 'done'));
    await client.query('commit');
    await Promise.all(writes);
    expect(outcomes.get('locked')?.filter((each) => each === 'done')).to.have.lengthOf(3 * 2 + waiting);
  });

  it('are refused to the user with most of them and not to another, when too many votes wait', async () => {
    const posts = [];
    for (let left = PLACES + 1; left > 0; left -= 1) posts.push(await writePost(second!));
    let refused = 0;
    const voteWriter = new VoteWriter(
      world.ctx.db.share('votes'),
      () => undefined,
      () => (refused += 1),
      PLACES,
    );
    const vote = (name: string, { id }: TestUser, postId: number) =>
      note(name, voteWriter.cast(id, postId, true, at(name, id)));
    await client.query('lock table votes in exclusive mode');
    const votes = [vote('first', flooder!, posts[0]!.id)];
    await until('a batch to wait for the lock', () => voteWriter.waiting === 0);
    for (const { id } of posts.slice(1)) votes.push(vote('flood', flooder!, id));
    votes.push(vote('newcomer', newcomer!, posts[0]!.id));
    await Promise.resolve();
    expect([voteWriter.waiting, refused]).to.deep.equal([PLACES, 1]);
    await client.query('commit');
    await Promise.all(votes);
    expect(outcomes.get('newcomer')).to.deep.equal(['done']);
    expect(outcomes.get('flood')?.filter((each) => each === 'done')).to.have.lengthOf(PLACES - 1);
    expect(outcomes.get('flood')).to.include('unavailable: Too many votes are waiting.');
  });

  it('are bounded also where one user says again and again what waits for a locked post', async () => {
    const [locked, free] = [await writePost(second!), await writePost(second!)];
    let refused = 0;
    const voteWriter = new VoteWriter(
      world.ctx.db.share('votes'),
      () => undefined,
      () => (refused += 1),
      PLACES,
    );
    await client.query('select 1 from posts where id = $1 for update', [locked.id]);
    const votes: Promise<void>[] = [];
    for (let turn = 0; turn < 30; turn += 1) {
      votes.push(
        note('flood', voteWriter.cast(flooder!.id, locked.id, turn % 2 === 0, at('flood', flooder!.id))),
      );
      const other = note(
        'newcomer',
        voteWriter.cast(newcomer!.id, free.id, turn % 2 === 0, at('newcomer', newcomer!.id)),
      );
      votes.push(other);
      await other;
    }
    // One is being cast, and the others wait for it, one less since the newcomer's last.
    const { waiting } = voteWriter;
    expect(waiting).to.be.within(PLACES - 1, PLACES);
    expect(refused).to.equal(30 - 1 - waiting);
    expect(outcomes.get('newcomer')).to.deep.equal(Array.from({ length: 30 }, () => 'done'));
    await client.query('commit');
    await Promise.all(votes);
    expect(outcomes.get('flood')?.filter((each) => each === 'done')).to.have.lengthOf(1 + waiting);
    expect(voteWriter.waiting).to.equal(0);
  });

  it('take turns where they wait for a lock: one user with many of them holds up no other', async () => {
    const posts = [];
    for (let left = 20; left > 0; left -= 1) posts.push(await writePost(second!));
    const locked = await writePost(second!);
    const voteWriter = new VoteWriter(world.ctx.db.share('votes'), () => undefined);
    const writer = new PostWriter(world.ctx.db);
    const other = await world.pool.connect();
    let votesBefore = -1;
    let postsBefore = -1;
    const done = (name: string) => outcomes.get(name)?.filter((each) => each === 'done').length ?? 0;
    try {
      await client.query('select 1 from users where id = $1 for update', [flooder!.id]);
      await other.query('begin');
      await other.query('select 1 from posts where id = $1 for update', [locked.id]);
      await other.query('select 1 from users where id = $1 for update', [second!.id]);
      const sender = at('flood', flooder!.id);
      const flood = posts.map(({ id }) => note('votes', voteWriter.cast(flooder!.id, id, true, sender)));
      await until(
        'three votes to wait for the lock, and the others for these',
        () => voteWriter.waiting === 17,
      );
      for (let nth = 1; nth <= 20; nth += 1) {
        const post = { title: `${nth}`, content: 'x', published: true };
        flood.push(note('posts', writer.write(flooder!.id, post, undefined, sender)));
        // When one that came with it is written, it waits in a statement of its own.
        await writer.write(newcomer!.id, post, undefined, at('own', newcomer!.id));
      }
      const vote = note('vote', voteWriter.cast(newcomer!.id, locked.id, true, at('own', newcomer!.id)));
      const write = note(
        'post',
        writer.write(
          second!.id,
          { title: 'own', content: 'x', published: true },
          undefined,
          at('own', second!.id),
        ),
      );
      await until('these to wait', () => voteWriter.waiting === 18 && writer.waiting === 18);
      await other.query('rollback');
      await client.query('commit');
      await Promise.all([
        vote.then(() => (votesBefore = done('votes'))),
        write.then(() => (postsBefore = done('posts'))),
      ]);
      await Promise.all(flood);
    } finally {
      other.release();
    }
    expect([outcomes.get('vote'), outcomes.get('post')]).to.deep.equal([['done'], ['done']]);
    expect(votesBefore).to.be.below(10);
    expect(postsBefore).to.be.below(10);
    expect([done('votes'), done('posts')]).to.deep.equal([20, 20]);
  });

  it('are edits too: those of one user that wait for a locked post leave the connections to all others', async () => {
    const [locked, free] = [await writePost(flooder!), await writePost(newcomer!)];
    await client.query('select 1 from posts where id = $1 for update', [locked.id]);
    const flood = Array.from({ length: 40 }, (_, n) =>
      flooder!.patch(`/posts/${locked.id}`, { content: `${n}` }),
    );
    await until('the flood to wait', () => world.ctx.edits.waiting >= 30);
    const answers = await Promise.all([
      newcomer!.patch(`/posts/${free.id}`, { content: 'changed' }),
      newcomer!.get(`/posts/${free.id}`),
      newcomer!.get('/posts'),
      newcomer!.post('/posts', { title: 'new', content: 'x', published: true }),
      second!.put(`/posts/${free.id}/vote`),
    ]);
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200, 201, 200]);
    await client.query('commit');
    // Those that have waited too long for the lock, on a busy machine, are told to come back.
    const statuses = (await Promise.all(flood)).map(({ status }) => status);
    for (const status of statuses) expect(status).to.be.oneOf([200, 503]);
    expect(statuses).to.include(200);
    expect(world.ctx.edits.waiting).to.equal(0);
  });
});
