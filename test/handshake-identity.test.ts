import { expect } from 'chai';
import { io } from 'socket.io-client';
import type { Problem } from '../server/contract.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { refusalOf } from './support/sockets.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestSocket, type TestUser, type World } from './support/world.ts';

describe('who a socket is', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  const open: TestSocket[] = [];
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    bob = await world.user();
  });
  afterEach(async () => {
    endRawClients();
    for (const socket of open.splice(0)) socket.disconnect();
    await until('nothing to be left', () => world.server.service.gateway.size === 0);
  });
  after(() => world.close());

  it('is told by the token in `auth`, and by one nowhere else', async () => {
    const places: Record<string, object> = {
      'the query string': { query: { token: ada.token, access_token: ada.token } },
      'the Authorization header': { extraHeaders: { authorization: `Bearer ${ada.token}` } },
      'a cookie': { extraHeaders: { cookie: `token=${ada.token}; access_token=${ada.token}` } },
    };
    for (const [place, options] of Object.entries(places))
      for (const transports of [['websocket'], ['polling']]) {
        const socket: TestSocket = io(world.url, { ...options, transports, forceNew: true });
        open.push(socket);
        const problem: Problem = await refusalOf(socket);
        expect(problem, place).to.include({ status: 401, type: 'urn:tidings:problem:unauthorized' });
      }
  });

  for (const [when, admitted] of [
    ['while the first is looked at', false],
    ['after it has been let in', true],
  ] as const)
    it(`is one user for the life of the connection: asking for another ${when} ends it`, async () => {
      const { gateway, ctx } = world.server.service;
      const client = admitted
        ? await RawClient.join(world.url, { token: ada.token })
        : await RawClient.open(world.url);
      if (!admitted) client.send(`40${JSON.stringify({ token: ada.token })}`);
      client.send(`40${JSON.stringify({ token: bob.token })}`);
      let most = 0;
      let bobs = 0;
      await until('the connection to be closed', () => {
        most = Math.max(most, gateway.size);
        bobs = Math.max(bobs, ctx.connections.countOf(bob.id));
        return client.closed;
      });
      expect(most).to.be.at.most(1);
      expect(bobs).to.equal(0);
      for (const [ready] of client.heard('ready')) expect(ready).to.include({ user_id: ada.id });
      await until('it to be forgotten', () => ctx.connections.countOf(ada.id) === 0);
    });
});
