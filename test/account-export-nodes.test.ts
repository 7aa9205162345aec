import { expect } from 'chai';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import type { NodeProcess } from './support/node-process.ts';
import { countsOf, EXPORT, exported, SlowDownload, withLargePosts } from './support/account-export.ts';
import { expectProblem } from './support/problems.ts';
import { execute, numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, type World } from './support/world.ts';

describe('the export of an account on two nodes', () => {
  let world: World;
  let node: NodeProcess;
  before(async () => {
    world = await createWorld(sharedSecret);
    node = await startAnotherNode(world, 'another');
  });
  after(async () => {
    await node?.stop();
    await world?.close();
  });

  it('is made on one of them at a time', async () => {
    const user = await withLargePosts(world);
    const there = new Api(node.url, user.token);
    const download = await SlowDownload.begin(there);
    for (const api of [user, there]) {
      const answer = await api.get<object>(EXPORT);
      expect(answer.status).to.equal(429);
      expectProblem(answer, 429, 'too_many_requests');
    }
    expect(countsOf(await download.finish())?.post).to.equal(300);
    expect(download.whole).to.equal(true);
    await exported(user);
  });

  it('is cut off where it is made by a session that ends elsewhere', async () => {
    const user = await withLargePosts(world);
    const download = await SlowDownload.begin(new Api(node.url, user.token));
    expect((await user.post('/logout')).status).to.equal(204);
    await download.finish();
    expect(download.whole).to.equal(false);
  });

  it('passes to another node when the one that makes it is killed', async () => {
    const user = await withLargePosts(world);
    const download = await SlowDownload.begin(new Api(node.url, user.token));
    await node.kill();
    await download.finish();
    expect(download.whole).to.equal(false);
    expectProblem(await user.get<object>(EXPORT), 429, 'too_many_requests');
    // Its lease runs out by itself.
    await execute(world, 'update account_exports set expires_at = now()');
    await exported(user);
  });
});

describe('the export of an account to a slow reader', () => {
  let world: World;
  before(async () => {
    world = await createWorld({}, undefined, undefined, { unread: 2000, export: 4000 });
  });
  after(() => world.close());

  const counted = async (wanted: string) => {
    const { values } = await world.ctx.metrics.exports.get();
    return values.find(({ labels: { outcome } }) => outcome === wanted)?.value ?? 0;
  };
  const ended = async (outcome: string) => {
    await until('the export to end', async () => (await counted(outcome)) === 1);
    await until('its lease to be given back', async () => {
      return (await numberOf(world, 'select count(*) from account_exports')) === 0;
    });
  };

  it('who reads nothing is ended, and holds little meanwhile', async () => {
    const user = await withLargePosts(world, 900);
    const before = process.memoryUsage().heapUsed;
    const download = await SlowDownload.begin(user);
    await ended('unread');
    expect(process.memoryUsage().heapUsed - before).to.be.below(100 * 1024 * 1024);
    await download.finish();
    expect(download.whole).to.equal(false);
  });

  it('who reads for too long is ended', async () => {
    const user = await withLargePosts(world, 900);
    // On a machine that stands still for two seconds it is ended as one that is not read.
    await until('one to be ended for that', async () => {
      const download = await SlowDownload.begin(user);
      const reading = setInterval(() => download.readSome(), 20);
      await until('its lease to be given back', async () => {
        return (await numberOf(world, 'select count(*) from account_exports')) === 0;
      });
      clearInterval(reading);
      await download.finish();
      expect(download.whole).to.equal(false);
      return (await counted('time')) === 1;
    });
  });
});
