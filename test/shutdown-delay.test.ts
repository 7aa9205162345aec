import { expect } from 'chai';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { RawClient } from './support/raw-client.ts';
import { until } from './support/waiting.ts';
import { createWorld, type World } from './support/world.ts';

describe('a node that was told to stop', () => {
  let world: World;
  let stopped: Promise<void> | undefined;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  after(async () => {
    agent.destroy();
    await (stopped ?? world.close());
  });

  /** On the one connection that is kept. */
  const askOnKept = async (path: string) => {
    const req = request(world.url + path, { agent }).end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    res.resume();
    await once(res, 'end');
    return { status: res.statusCode, retryAfter: res.headers['retry-after'] };
  };

  it('is not ready at once, and serves everything for SHUTDOWN_DELAY before it refuses anything', async () => {
    world = await createWorld({ SHUTDOWN_DELAY: '2s' });
    const user = await world.user();
    expect((await askOnKept('/readyz')).status).to.equal(200);
    let hasStopped = false;
    const began = Date.now();
    stopped = world.close().then(() => void (hasStopped = true));
    const { status, retryAfter } = await askOnKept('/readyz');
    expect(status).to.equal(503);
    expect(retryAfter).to.equal('2');
    expect((await user.post('/posts', { title: 'still', content: '' })).status).to.equal(201);
    const client = await RawClient.join(world.url, { token: user.token });
    expect(client.closed).to.be.false;
    await until('the socket to be told', () => client.closed, 8000);
    expect(Date.now() - began).to.be.at.least(1900);
    await until('the end', () => hasStopped, 8000);
    expect(Date.now() - began).to.be.below(2000 + 9500);
  });
});
