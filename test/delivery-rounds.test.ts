import { expect } from 'chai';
import type { Socket as TcpSocket } from 'node:net';
import { encodeMessage, Run } from '../server/gateway/encoding.ts';
import type { Subscriber } from '../server/gateway/subscriber.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { firstFault } from './support/sockets.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

describe('what falls together', () => {
  let world: World;
  let alice: TestUser;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
  });
  afterEach(async () => {
    endRawClients();
    await until('the sockets to be forgotten', () => world.server.service.gateway.size === 0);
  });
  after(() => world.close());

  /** The server's side of the newest connection. */
  function serverSide(): { subscriber: Subscriber; tcp: TcpSocket; transport: { writable: boolean } } {
    const socket = [...world.server.service.gateway.io.of('/').sockets.values()].at(-1)!;
    const { transport } = socket.conn as unknown as {
      transport: { writable: boolean; socket: { readyState: number; _socket: TcpSocket } };
    };
    // What the direct road looks at, in the versions that are installed.
    expect(transport.socket.readyState).to.equal(1);
    expect(transport.socket._socket.writableLength).to.equal(0);
    return { subscriber: socket.data as Subscriber, tcp: transport.socket._socket, transport };
  }

  const heads = (from: number, count: number) =>
    new Run(Array.from({ length: count }, (_, at) => encodeMessage('feed:head', { seq: from + at })));
  const heard = (client: RawClient) =>
    client.heard('feed:head').map(([head]) => (head as { seq: number }).seq);

  it('leaves in one write, past Engine.IO', async () => {
    const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
    const { subscriber, tcp, transport } = serverSide();
    await until('Engine.IO to be idle', () => transport.writable);
    let writes = 0;
    const write = tcp.write.bind(tcp);
    tcp.write = ((...args: Parameters<TcpSocket['write']>) => {
      writes += 1;
      return write(...args);
    }) as TcpSocket['write'];
    subscriber.writeRun(heads(1, 50), 10, 40);
    await until('all of it', () => heard(client).length === 30);
    expect(heard(client)).to.deep.equal(Array.from({ length: 30 }, (_, at) => 11 + at));
    expect(writes).to.equal(1);
  });

  it('keeps its order when Engine.IO is still writing, and when the client does not read', async () => {
    const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
    const { subscriber, transport } = serverSide();
    await until('Engine.IO to be idle', () => transport.writable);
    client.pause();
    let seq = 0;
    for (let round = 0; round < 400 && subscriber.pending < 200_000; round += 1) {
      // One that only the public road takes, and then some that could take the direct one.
      const { packet, size } = encodeMessage('feed:head', { seq: seq + 1 });
      subscriber.write({ packet, size, frame: undefined });
      subscriber.writeRun(heads(seq + 2, 1000), 0, 1000);
      seq += 1001;
      if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(subscriber.pending).to.be.above(200_000);
    client.resume();
    await until('all of it', () => heard(client).length === seq, 15_000);
    expect(firstFault(heard(client), 0)).to.be.undefined;
  });

  it('is shared by the sockets at the same place, and is nothing where there is no frame', () => {
    const run = heads(1, 4);
    expect(run.bytes(1, 4)).to.equal(run.bytes(1, 4));
    expect(run.bytes(0, 1)).to.equal(run.messages[0]?.frame?.[0]);
    const [first, second] = run.messages;
    expect(new Run([first!, { packet: second!.packet, size: second!.size, frame: undefined }]).bytes(0, 2)).to
      .be.undefined;
  });

  it('comes in rounds under load, to every client everything once and in order', async () => {
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => RawClient.join(world.url, { token: alice.token })),
    );
    const start = world.ctx.feed.seq;
    await Promise.all(
      Array.from({ length: 120 }, (_, at) => alice.post('/posts', { title: `Post ${at}`, content: 'x' })),
    );
    const late = await RawClient.join(world.url, {
      token: alice.token,
      after: start,
      epoch: world.ctx.feed.epoch,
    });
    await until(
      'everything',
      () => [...clients, late].every((client) => client.seqs().length >= 120),
      10_000,
    );
    for (const client of [...clients, late]) {
      expect(client.seqs()).to.have.lengthOf(120);
      expect(firstFault(client.seqs(), start)).to.be.undefined;
    }
  });
});
