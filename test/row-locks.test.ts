import { expect } from 'chai';
import { writePost } from './support/posts.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('row locks', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  let post: number;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    bob = await world.user();
    post = (await writePost(ada)).id;
  });
  after(() => world.close());

  /** Sends a request while another transaction holds a row, and says whether it waits for that. The other one then ends. */
  const whileHeld = async (lock: string, id: number, send: () => Promise<Answer>) => {
    const client = await world.pool.connect();
    try {
      await client.query('begin');
      await client.query(lock, [id]);
      const { rows: own } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
      let answer: Answer | undefined;
      const answered = send().then((given) => (answer = given));
      answered.catch(() => undefined);
      let waits = false;
      await until('an answer, or a wait', async () => {
        // Not by the one that holds it: in one transaction the list of sessions stays as it was.
        const { rows } = await world.pool.query<{ waits: boolean }>(
          'select exists (select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))) as waits',
          [own[0]?.pid],
        );
        waits = rows[0]?.waits ?? false;
        return waits || answer !== undefined;
      });
      await client.query('commit');
      expect((await answered).status).to.be.within(200, 204);
      return waits;
    } finally {
      client.release();
    }
  };
  /** As a vote holds its post. */
  const POST = 'select from posts where id = $1 for key share';
  /** As a post that is being written holds its owner. */
  const OWNER = 'select from users where id = $1 for key share';
  const edit = (body: object) => () => ada.patch(`/posts/${post}`, body);
  const change = (body: object) => () => ada.patch('/users/me', { ...body, current_password: PASSWORD });

  it('of a vote do not hold an edit of the text up, and those of an edit no vote', async () => {
    expect(await whileHeld(POST, post, edit({ title: 'edited' }))).to.equal(false);
    const held = 'select from posts where id = $1 for no key update';
    expect(await whileHeld(held, post, () => bob.put(`/posts/${post}/vote`))).to.equal(false);
  });

  it('of a vote hold a withdrawal and a deletion up: it counts before, or is refused', async () => {
    expect(await whileHeld(POST, post, edit({ published: false }))).to.equal(true);
    expect(await whileHeld(POST, post, edit({ published: true }))).to.equal(true);
    const other = (await writePost(ada)).id;
    expect(await whileHeld(POST, other, () => ada.delete(`/posts/${other}`))).to.equal(true);
  });

  it('of a post that is being written do not hold a new password or address of its owner up', async () => {
    expect(await whileHeld(OWNER, ada.id, change({ email: 'ada-new@example.org' }))).to.equal(false);
    expect(await whileHeld(OWNER, ada.id, change({ password: PASSWORD }))).to.equal(false);
  });

  it('of a post that is being written hold a new name of its owner up: it is told under one of them', async () => {
    expect(await whileHeld(OWNER, ada.id, change({ username: 'ada-renamed' }))).to.equal(true);
  });

  it('of a vote do not hold the events of a new name up', async () => {
    expect(await whileHeld(POST, post, change({ username: 'ada-again' }))).to.equal(false);
  });
});
