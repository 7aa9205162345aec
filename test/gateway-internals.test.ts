import type { EventEmitter } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { io } from 'socket.io-client';
import * as ws from 'ws';
import type { Subscriber } from '../server/gateway/subscriber.ts';
import { encodeEvent, encodeMessage } from '../server/gateway/encoding.ts';
import { Few } from '../server/gateway/few.ts';
import { postEntry } from './support/log-entries.ts';
import { RawClient } from './support/raw-client.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

/** What the gateway looks into without a public promise. A new version of ws or engine.io that changes it fails here. */
describe('the insides of ws and engine.io that the gateway uses', () => {
  let world: World;
  let alice: TestUser;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
  });
  after(() => world.close());

  /** The server's side of a connection. */
  const connection = () => {
    const [socket] = world.server.service.gateway.io.of('/').sockets.values();
    return {
      subscriber: socket!.data as Subscriber,
      engine: socket!.conn as unknown as {
        readyState: string;
        writeBuffer: unknown[];
        transport: {
          socket: { bufferedAmount: number; terminate: unknown; _sender: { sendFrame: unknown } };
          writable: boolean;
          _canSendPreEncodedFrame(packet: object): boolean;
        };
      },
    };
  };

  it('ws frames a text as a header and the payload itself', () => {
    const { Sender } = ws as unknown as { Sender: { frame(data: Buffer, options: object): Buffer[] } };
    const data = Buffer.from('x'.repeat(300));
    const frame = Sender.frame(data, { readOnly: false, mask: false, rsv1: false, opcode: 1, fin: true });
    expect(frame).to.have.lengthOf(2);
    expect([...frame[0]!]).to.deep.equal([0x81, 126, 1, 44]);
    expect(frame[1]).to.equal(data);
  });

  it('a message is a Socket.IO packet in one frame, with its size in bytes', () => {
    const { packet, frame, size } = encodeMessage('feed:head', { seq: 7, prev: 7 });
    expect(packet).to.equal('2["feed:head",{"seq":7,"prev":7}]');
    expect(Buffer.concat(frame!).subarray(2).toString()).to.equal(`4${packet}`);
    expect(size).to.equal(packet.length + 1);
    const entry = postEntry(3, { name: 'post:deleted', postId: 1 });
    const event = { entry, prev: 2 };
    expect(encodeEvent(event).packet).to.equal('2["post:deleted",{"id":1},{"seq":3,"prev":2}]');
    expect(encodeEvent(event)).to.equal(encodeEvent({ entry, prev: 2 }));
    expect(encodeEvent({ entry, prev: 1 }).packet).to.equal('2["post:deleted",{"id":1},{"seq":3,"prev":1}]');
    // Kept for as long as the event is: a slice of Node's shared memory would keep eight times as much.
    expect(frame![0].buffer.byteLength).to.equal(frame![0].length);
    expect(encodeMessage('votes', [{ post_id: 1, votes: 1, rev: 1 }]).size).to.be.above(20);
  });

  it('engine.io takes a frame that was made before, and writes it as it is', async () => {
    const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
    const { engine, subscriber } = connection();
    expect(engine.readyState).to.equal('open');
    expect(engine.transport.socket._sender.sendFrame).to.be.a('function');
    expect(engine.transport.socket.terminate).to.be.a('function');
    const message = encodeMessage('feed:head', { seq: 99, prev: 99 });
    expect(engine.transport._canSendPreEncodedFrame({ options: { wsPreEncodedFrame: message.frame } })).to.be
      .true;
    subscriber.write(message);
    await until('the frame', () => client.frames.includes('42["feed:head",{"seq":99,"prev":99}]'));
    client.terminate();
  });

  it('without a frame the public road is taken, to the same effect', async () => {
    const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
    const { packet, size } = encodeMessage('feed:head', { seq: 98, prev: 98 });
    connection().subscriber.write({ packet, size, frame: undefined });
    await until('the frame', () => client.frames.includes('42["feed:head",{"seq":98,"prev":98}]'));
    client.terminate();
  });

  it('lets go of the request that a connection came with, and of what hangs on it', async () => {
    const server = world.server.service.gateway.io;
    let request: WeakRef<object> | undefined;
    server.engine.once('connection', (conn: { request: object }) => (request = new WeakRef(conn.request)));
    const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
    const [socket] = server.of('/').sockets.values();
    expect(request, 'the request of the handshake').to.be.an.instanceOf(WeakRef);
    const conn = socket!.conn as unknown as {
      request: unknown;
      transport: { socket: EventEmitter & { _socket: EventEmitter } };
    };
    expect(conn.request).to.be.undefined;
    const { socket: webSocket } = conn.transport;
    expect(webSocket.listeners('error').map(({ name }) => name)).to.not.include('onUpgradeError');
    expect(webSocket._socket.listeners('close').map(({ name }) => name)).to.deep.equal(['socketOnClose']);
    for (const emitter of [socket!.conn as unknown as EventEmitter, webSocket, webSocket._socket]) {
      expect(emitter.listenerCount('close')).to.be.above(0);
      for (const raw of emitter.rawListeners('close')) expect(raw).to.not.have.property('listener');
    }
    const { client: owner } = socket as unknown as { client: { sockets: Few; nsps: Few } };
    expect([...owner.sockets.values(), ...owner.nsps.values()]).to.deep.equal([socket, socket]);
    expect(owner.sockets).to.be.an.instanceOf(Few);
    expect(owner.nsps).to.be.an.instanceOf(Few);
    expect(socket!.handshake).to.deep.include({ auth: {}, headers: {}, query: {}, url: '' });
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    await until('it is collected', () => {
      collectGarbage();
      return request?.deref() === undefined;
    });
    // It is as alive as before, and its end is noticed.
    connection().subscriber.write(encodeMessage('feed:head', { seq: 97, prev: 97 }));
    await until('the frame', () => client.frames.includes('42["feed:head",{"seq":97,"prev":97}]'));
    client.terminate();
    await until('the socket to be forgotten', () => world.server.service.gateway.size === 0);
    expect(server.of('/').sockets.size).to.equal(0);
    expect([owner.sockets.size, owner.nsps.size], 'what its client knows').to.deep.equal([0, 0]);
  });

  it('lets go of it also where a client begins with polling, once it has upgraded', async () => {
    const socket = io(world.url, { transports: ['polling', 'websocket'], auth: { token: alice.token } });
    await until('it is admitted', () => socket.connected);
    const [standing] = world.server.service.gateway.io.of('/').sockets.values();
    const conn = standing!.conn as unknown as { request: unknown; transport: { name: string } };
    await until('the upgrade', () => conn.transport.name === 'websocket');
    expect(conn.request).to.be.undefined;
    socket.close();
    await until('the socket to be forgotten', () => world.server.service.gateway.size === 0);
  });

  it('what a client has not read is seen in bytes, in whichever queue it waits', async () => {
    const client = await RawClient.join(world.url, { token: alice.token, feed: 'off' });
    const { engine, subscriber } = connection();
    expect(subscriber.pending).to.equal(0);
    client.pause();
    // The kernel takes some megabytes; what goes beyond is ours.
    const big = encodeMessage('session:closed', { code: 'reset', detail: '\u20ac'.repeat(20_000) });
    let written = 0;
    while (subscriber.pending < 100_000 && written < 40_000_000) {
      subscriber.write(big);
      written += big.size;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const before = subscriber.pending;
    expect(before).to.be.within(100_000, 1_000_000);
    expect(engine.transport.socket.bufferedAmount).to.be.above(0);
    expect(engine.transport.writable).to.be.false;
    const waiting = engine.writeBuffer.length;
    subscriber.write(big);
    expect(engine.writeBuffer).to.have.lengthOf(waiting + 1);
    expect(subscriber.pending - before).to.be.within(big.size, big.size + 14);
    const { gateway } = world.server.service;
    subscriber.terminate();
    await until('the socket to be forgotten', () => gateway.size === 0);
    client.terminate();
  });
});
