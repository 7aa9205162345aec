import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { WebhookView } from '../server/webhooks/present.ts';
import { Authority } from './support/certificates.ts';
import { startRedis } from './support/redis.ts';
import { startTwoNodes, type TwoNodes } from './support/two-nodes.ts';
import { until } from './support/waiting.ts';
import { WebhookReceiver } from './support/webhook-receiver.ts';
import { Api, PASSWORD, signUp } from './support/world.ts';

const MANY = 60;

describe('a webhook of two nodes, with Redis dead, over TLS', function () {
  this.timeout(180_000);
  let folder: string;
  let nodes: TwoNodes;
  let receiver: WebhookReceiver;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidings-webhooks-'));
    const authority = await Authority.make(folder, 'a test');
    const pair = await authority.sign('receiver', { names: 'DNS:localhost,IP:127.0.0.1' });
    receiver = await WebhookReceiver.start({
      key: await readFile(pair.key),
      cert: await readFile(pair.cert),
    });
    const redis = await startRedis();
    nodes = await startTwoNodes({
      redis,
      env: { WEBHOOK_ALLOW_PRIVATE: 'on', NODE_EXTRA_CA_CERTS: authority.cert },
    });
    await redis.kill();
  });
  after(async () => {
    await nodes.stop();
    await receiver.stop();
    await rm(folder, { recursive: true, force: true });
    expect(receiver.faults).to.deep.equal([]);
  });

  it('gets everything in order although the node that works it is killed', async () => {
    const ada = await signUp(nodes.second.url);
    const { status, body } = await ada.post<WebhookView & { secret: string }>('/users/me/webhooks', {
      url: `https://localhost:${receiver.port}/hook`,
      topics: [`author:${ada.id}`],
      password: PASSWORD,
    });
    expect(status).to.equal(201);
    receiver.secret = body.secret;
    const holds = async (url: string) =>
      (await new Api(url).get<string>('/metrics')).body.includes('\ntidings_webhooks_held 1\n');
    let isFirst = false;
    await until('a node to work it', async () => {
      isFirst = await holds(nodes.first.url);
      return isFirst || holds(nodes.second.url);
    });
    const [worker, other] = isFirst ? [nodes.first, nodes.second] : [nodes.second, nodes.first];
    const writer = new Api(other.url, ada.token);
    const titles = () => receiver.ofType('post:created').map(({ message }) => String(message.data.title));
    const wanted = Array.from({ length: MANY }, (_, at) => `Number ${at}`);

    const writing = (async () => {
      for (const title of wanted)
        expect((await writer.post('/posts', { title, content: '' })).status).to.equal(201);
    })();
    // Amid a delivery: the receiver has the message, and its answer never comes.
    receiver.answer = (res) => {
      if (titles().length === 5) void worker.kill();
      else setTimeout(() => res.writeHead(200).end(), 10);
    };
    await writing;
    await until('the last to have come', () => titles().includes(wanted.at(-1)!), 120_000);

    expect([...new Set(titles())]).to.deep.equal(wanted);
    const { seqs } = receiver;
    for (const [at, seq] of seqs.entries()) if (at > 0) expect(seq).to.be.at.least(seqs[at - 1]!);
    // What was on its way came again, with the same id.
    const ids = receiver.ofType('post:created').map(({ id }) => id);
    expect(new Set(ids).size).to.equal(MANY);
    expect(receiver.mostOpen).to.equal(1);
    expect(ids.length).to.be.above(MANY);
  });

  it('does not keep a node from its end in time, with a receiver that never answers', async () => {
    const node = nodes.first.running ? nodes.first : nodes.second;
    const ada = await signUp(node.url);
    const { body } = await ada.post<WebhookView & { secret: string }>('/users/me/webhooks', {
      url: `https://localhost:${receiver.port}/hook`,
      topics: [`author:${ada.id}`],
      password: PASSWORD,
    });
    receiver.secret = body.secret;
    receiver.answer = () => undefined;
    await ada.post('/posts', { title: 'for nobody', content: '' });
    await until('it to be posted', () => receiver.received.at(-1)?.message.data.title === 'for nobody');
    const ping = ada.post<object>(`/users/me/webhooks/${body.id}/ping`);
    await until('the ping', () => receiver.ofType('ping').length === 1);
    await node.stop();
    expect((await ping).status).to.equal(503);
    expect(node.misconduct).to.deep.equal([]);
  });
});
