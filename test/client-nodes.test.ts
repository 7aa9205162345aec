import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createClient, type LiveEvent } from '../client/src/index.ts';
import { freePort } from '../server/database/embedded/postmaster.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { NodeProcess } from './support/node-process.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';
import { PASSWORD } from './support/world.ts';

describe('the client, with two nodes behind one address', () => {
  let database: TestDatabase;
  let dataDir: string;
  let nodes: [NodeProcess, NodeProcess];
  let proxy: FrameProxy;

  before(async () => {
    database = await createDatabase();
    dataDir = await mkdtemp(join(tmpdir(), 'tidings-nodes-'));
    const secret = randomBytes(48).toString('base64');
    const node = async (name: string) =>
      new NodeProcess({
        name,
        env: {
          PORT: String(await freePort()),
          DATABASE_URL: database.url,
          DATA_DIR: dataDir,
          JWT_SECRET: secret,
          BCRYPT_COST: '4',
          RATE_LIMITS: 'off',
          LOG_LEVEL: 'trace',
        },
      });
    nodes = [await node('a'), await node('b')];
    await Promise.all(nodes.map((one) => one.start()));
    proxy = await createFrameProxy(nodes[0].url);
  });
  after(async () => {
    // Also after a beginning that failed: a node that lives on would keep the whole run waiting.
    await Promise.all(nodes.map((one) => one.kill()));
    await proxy.close();
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('continues where it was when its node is killed, and when its node is told to stop', async () => {
    const [a, b] = nodes;
    const writer = createClient({ url: b.url });
    await writer.signUp({ email: 'writer@example.org', password: PASSWORD });
    const client = createClient({ url: proxy.url });
    await client.signUp({ email: 'reader@example.org', password: PASSWORD });
    const feed = client.feed();
    const { seq } = await feed.ready();
    const events: LiveEvent[] = [];
    const statuses: string[] = [];
    let resets = 0;
    feed.on('event', (event) => events.push(event));
    feed.on('reset', () => (resets += 1));
    feed.on('status', (status) => statuses.push(status.state === 'live' ? 'live' : JSON.stringify(status)));
    let written = 0;
    const write = async (from = writer) => {
      await from.posts.create({ title: `Post ${(written += 1)}`, content: '' });
    };

    await write();
    const killed = a.kill();
    proxy.target = b.url;
    await write();
    await killed;
    await write();
    await until('node b has sent what was missed', () => events.length === 3);

    await a.start();
    proxy.target = a.url;
    const stopped = b.stop();
    const other = createClient({ url: a.url });
    await other.logIn({ email: 'writer@example.org', password: PASSWORD });
    for (let at = 0; at < 5; at += 1) await write(other);
    await stopped;
    await write(other);
    await until('node a has sent what was missed', () => events.length === written);
    expect(events.map((event) => event.seq)).to.deep.equal(events.map((_, at) => seq + 1 + at));
    expect(resets).to.equal(0);
    expect(statuses.join()).to.contain('draining');
    expect([...a.misconduct, ...b.misconduct]).to.deep.equal([]);
    feed.close();
  });
});
