import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Random } from './faults/random.ts';
import { PollListener, StreamListener } from './model/http-listeners.ts';
import { until } from './support/waiting.ts';
import { TestUser } from './support/world.ts';

const account = { id: 1, email: 'anna@example.org', username: 'anna' };

describe('what follows the log by requests in the model', () => {
  const { fetch } = globalThis;
  afterEach(() => {
    globalThis.fetch = fetch;
  });

  for (const Kind of [PollListener, StreamListener])
    for (const part of ['nothing', 'a part'])
      it(`asks again when ${part} has come, also where fetch loses its signal (${Kind.name})`, async () => {
        let asked = 0;
        const server = createServer((req, res) => {
          if (req.url?.startsWith('/posts')) res.setHeader('x-feed-seq', '7').end('[]');
          else if (part === 'a part') res.write('{"head"');
          if (req.url?.startsWith('/events')) asked += 1;
        });
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        const user = new TestUser(url, account, { access_token: 'a', refresh_token: 'b' });
        // As Node's does when the signal has been collected.
        globalThis.fetch = (input, init) => fetch(input, { ...init, signal: null });
        const random = new Random(1);
        const topics = () => ['feed'];
        const listener = new Kind({ name: 'anna', url, user, random, topics, steady: true });
        listener.start();
        try {
          await until('it asks', () => asked === 1);
          await listener.stir();
          await until('it asks again', () => asked === 2);
        } finally {
          listener.stop();
          server.closeAllConnections();
          server.close();
        }
      });
});
