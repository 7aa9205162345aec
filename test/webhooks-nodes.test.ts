import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { WebhookView } from '../server/webhooks/present.ts';
import { Authority } from './support/certificates.ts';
import { query } from './support/postgres.ts';
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

  /** A webhook of a new user, the node that works it, and the other one. */
  async function hooked() {
    const ada = await signUp(nodes.second.url);
    const { status, body } = await ada.post<WebhookView & { secret: string }>('/users/me/webhooks', {
      url: `https://localhost:${receiver.port}/hook`,
      topics: [`author:${ada.id}`],
      password: PASSWORD,
    });
    expect(status).to.equal(201);
    receiver.secret = body.secret;
    let isFirst = false;
    await until('a node to work it', async () => {
      isFirst = (await held(nodes.first.url)) === 1;
      return isFirst || (await held(nodes.second.url)) === 1;
    });
    const [worker, other] = isFirst ? [nodes.first, nodes.second] : [nodes.second, nodes.first];
    return { id: body.id, worker, other, writer: new Api(other.url, ada.token) };
  }
  /** Webhooks that a node works. */
  const held = async (url: string) =>
    Number(/\ntidings_webhooks_held (\d+)\n/.exec((await new Api(url).get<string>('/metrics')).body)?.[1]);
  /** The run that works a webhook; null where it is nobody's. */
  const runOf = async (id: string) => {
    const [row] = await query(
      nodes.databaseUrl,
      `select lease_holder as run from webhooks where id = '${id}'`,
    );
    return (row as { run: string | null }).run;
  };
  const titles = () => receiver.ofType('post:created').map(({ message }) => String(message.data.title));

  it('goes on with the other node while the one that works it is frozen, which moves nothing back', async () => {
    const { id, worker, other, writer } = await hooked();
    const positions: number[] = [];
    const position = async () => {
      positions.push((await writer.get<WebhookView>(`/users/me/webhooks/${id}`)).body.seq);
      return positions.at(-1)!;
    };
    receiver.answer = (res) => {
      // Amid a delivery: the receiver has the message and answers, and the node does not hear it.
      if (titles().length === 1) worker.freeze();
      res.writeHead(204).end();
    };
    const write = async (title: string) =>
      expect((await writer.post('/posts', { title, content: '' })).status).to.equal(201);
    await write('Before');
    await until('it to be frozen', () => titles().length === 1);
    const frozen = await runOf(id);
    await write('Meanwhile');
    // As after twenty seconds.
    await query(
      nodes.databaseUrl,
      `update webhooks set lease_until = now() - interval '1 s' where id = '${id}'`,
    );
    await until('the other one to work it', () => titles().includes('Meanwhile'));
    const next = await runOf(id);
    const last = receiver.seqs.at(-1)!;
    await until('the position to be written', async () => (await position()) >= last);
    worker.thaw();
    // A node that has not read the log for a second gives up what it works, and either takes it then.
    await until(
      'it to have given the webhook up',
      async () => (await held(worker.url)) === 0 || (await runOf(id)) !== next,
    );
    await write('After');
    await until('what follows', () => titles().includes('After'));
    await until('the position to follow', async () => (await position()) >= receiver.seqs.at(-1)!);

    await until(
      'one of them to work it',
      async () => (await held(worker.url)) + (await held(other.url)) === 1,
    );
    expect(await runOf(id)).not.to.equal(frozen);
    expect(titles().slice(0, 2)).to.deep.equal(['Before', 'Before']);
    expect([...new Set(titles())]).to.deep.equal(['Before', 'Meanwhile', 'After']);
    expect(receiver.seqs).to.deep.equal(receiver.seqs.toSorted((one, next) => one - next));
    expect(positions).to.deep.equal(positions.toSorted((one, next) => one - next));
    await writer.delete(`/users/me/webhooks/${id}`);
    for (const { url } of [worker, other])
      await until('nobody to work it', async () => (await held(url)) === 0);
    receiver.received.splice(0);
    receiver.mostOpen = 0;
  });

  it('gets everything in order although the node that works it is killed', async () => {
    const { worker, writer } = await hooked();
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
