import { expect } from 'chai';
import pg from 'pg';
import type { AuditView } from '../server/moderation/present.ts';
import { readConfig } from '../server/config.ts';
import { examine } from '../server/doctor/examine.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import { execute, numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, type World } from './support/world.ts';

const POSTS = 60;

describe('the removal of all posts of a user', () => {
  let world: World;
  before(async () => {
    world = await createWorld(sharedSecret);
  });
  after(() => world?.close());

  it('whose node is killed says that it was cut off, and the same request finishes it', async () => {
    const [author, moderator] = [await world.user(), await world.user()];
    await world.ctx.db.transaction((tx) => grantRole(tx, moderator.username, 'moderator', ''));
    const ids: number[] = [];
    for (let at = 0; at < POSTS; at += 1)
      ids.push((await author.post<{ id: number }>('/posts', { title: `Spam ${at}`, content: '' })).body.id);
    const node = await startAnotherNode(world, 'to be killed');
    const action = { action: 'remove', user_id: author.id, posts: 'all', reason: 'spam' };
    const entries = async () =>
      (await moderator.get<AuditView[]>(`/moderation/log?user_id=${author.id}`)).body.filter(
        (entry) => entry.action === 'remove',
      );
    const removed = () =>
      numberOf(world, 'select count(*) from removed_posts where owner_id = $1', [author.id]);

    // Somebody holds a post of the third transaction, so the node is killed within it.
    const holder = new pg.Client(world.databaseUrl);
    await holder.connect();
    try {
      await holder.query('begin');
      await holder.query('select 1 from posts where id = $1 for update', [ids.at(-2)]);
      const answer = new Api(node.url, moderator.token)
        .post('/moderation/actions', action)
        .catch((error: unknown) => error);
      await until('two transactions', async () => (await entries()).length === 2);
      await node.kill();
      expect(await answer).to.be.instanceOf(Error);
      await holder.query('rollback');
    } finally {
      await holder.end();
    }
    expect((await entries()).map(({ posts, complete }) => [posts, complete])).to.deep.equal([
      [25, false],
      [25, false],
    ]);
    expect(await removed()).to.equal(50);

    const told = async () => {
      const looked = await examine(readConfig({ DATABASE_URL: world.databaseUrl }), world.databaseUrl, {
        schema: false,
      });
      // The server of the tests is fast and loses data.
      const faults = looked.filter(({ what }) => what !== 'database').flatMap(({ findings }) => findings);
      expect(faults).to.deep.equal([]);
      return looked.find(({ what }) => what === 'removals')?.hint;
    };
    await until('all events to be numbered', async () => {
      return (await numberOf(world, 'select count(*) from event_outbox')) === 0;
    });
    expect(await told(), 'while it may go on').to.equal(undefined);
    await execute(world, 'alter table audit_log disable trigger user');
    await execute(world, `update audit_log set happened_at = happened_at - interval '2 minutes'`);
    await execute(world, `update posts set created_at = created_at - interval '3 minutes'`);
    await execute(world, 'alter table audit_log enable trigger user');
    expect(await told()).to.include(`all posts of user ${author.id} was cut off`);

    const finished = await moderator.post<AuditView>('/moderation/actions', action);
    expect(finished.body).to.include({ posts: POSTS - 50, complete: true });
    expect((await entries()).map(({ posts, complete }) => [posts, complete])).to.deep.equal([
      [10, true],
      [25, false],
      [25, false],
    ]);
    expect(await removed()).to.equal(POSTS);
    await until('all events to be numbered', async () => {
      return (await numberOf(world, 'select count(*) from event_outbox')) === 0;
    });
    const deletions = `select count(*) from event_log where name = 'post:deleted' and entity_id = any ($1)`;
    expect(await numberOf(world, deletions, [ids])).to.equal(POSTS);
    expect(await numberOf(world, deletions.replace('count(*)', 'count(distinct entity_id)'), [ids])).to.equal(
      POSTS,
    );
    expect(await told()).to.equal(undefined);
    const again = await moderator.post<AuditView>('/moderation/actions', action);
    expect(again.body).to.include({ posts: 0, complete: true });
  });

  it('that takes longer than an answer may says how far it came, and the user is notified once', async () => {
    // As if each transaction took up the time.
    const { timeLimits } = world.ctx;
    const usual = timeLimits.removal;
    const [author, moderator] = [await world.user(), await world.user()];
    await world.ctx.db.transaction((tx) => grantRole(tx, moderator.username, 'moderator', ''));
    for (let at = 0; at < POSTS; at += 1)
      await author.post<object>('/posts', { title: `Spam ${at}`, content: '' });
    const remove = async () => {
      const action = { action: 'remove', user_id: author.id, posts: 'all', reason: 'spam' };
      const { body } = await moderator.post<AuditView>('/moderation/actions', action);
      return [body.posts, body.complete];
    };
    const told = () =>
      numberOf(world, `select count(*) from notifications where user_id = $1 and act = 'remove'`, [
        author.id,
      ]);
    Object.assign(timeLimits, { removal: 0 });
    try {
      expect(await remove()).to.deep.equal([25, false]);
      expect(await remove()).to.deep.equal([25, false]);
      expect(await remove()).to.deep.equal([10, true]);
      expect(await told()).to.equal(1);
      expect(await remove()).to.deep.equal([0, true]);
      await author.post<object>('/posts', { title: 'More spam', content: '' });
      expect(await remove()).to.deep.equal([1, true]);
      expect(await told()).to.equal(2);
    } finally {
      Object.assign(timeLimits, { removal: usual });
    }
  });
});
