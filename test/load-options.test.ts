import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { type AskPerson, isLoopback, requireConsent } from '../load/consent.ts';
import { readOptions } from '../load/options.ts';
import { UsageError } from '../server/command-line.ts';
import { call } from '../load/rest.ts';

describe('The load test’s arguments', () => {
  it('start a small test of a server of its own when there are none', () => {
    expect(readOptions([])).to.include({
      url: undefined,
      sockets: 1000,
      processes: 1,
      users: 100,
      workers: 1,
      yes: false,
    });
  });

  it('take as many processes as the connections need, and accounts as the votes need', () => {
    expect(readOptions(['--sockets', '60000', '--votes', '9000', '--posts', '30'])).to.include({
      processes: 4,
      users: 300,
    });
  });

  for (const [argv, what] of [
    [['--sockets', '0'], '--sockets must be'],
    [['--sockets', '1e3'], '--sockets must be'],
    [['--seconds=-1'], '--seconds must be'],
    [['--rate', 'fast'], '--rate must be'],
    [['--url', 'ftp://127.0.0.1'], '--url must be'],
    [['--url', 'http://user@127.0.0.1'], '--url must be'],
    [['--url', 'http://127.0.0.1/socket.io'], '--url must be'],
    [['--url', 'http://127.0.0.1:3000', '--workers', '2'], '--workers is for'],
    [['--votes', '5', '--posts', '0'], '--votes needs'],
    [['--socket', '5'], '--socket'],
    [['5'], "'5'"],
  ] as const) {
    it(`are refused by name: ${argv.join(' ')}`, () => {
      expect(() => readOptions(argv)).to.throw(what);
    });
  }
});

describe('The load test’s consent', () => {
  it('is not needed on this machine', async () => {
    for (const url of [
      'http://127.0.0.1:3000',
      'http://127.9.9.9',
      'http://localhost:1',
      'http://[::1]:80',
    ]) {
      expect(isLoopback(url), url).to.be.true;
      await requireConsent(url, false, undefined);
    }
  });

  it('takes nothing else for this machine', () => {
    for (const url of [
      'http://10.0.0.1',
      'http://127.0.0.1.example.org',
      'http://localhost.example.org',
      'http://[::2]',
    ]) {
      expect(isLoopback(url), url).to.be.false;
    }
  });

  it('is refused where nobody can be asked, and by any answer but the name', async () => {
    const refused = (ask: AskPerson) =>
      requireConsent('https://tidings.example.org', false, ask).then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(await refused(undefined)).to.be.instanceOf(UsageError);
    expect(await refused(() => Promise.resolve('yes'))).to.be.instanceOf(UsageError);
  });

  it('is given by --yes or by the name', async () => {
    const url = 'https://tidings.example.org:8443';
    await requireConsent(url, true, undefined);
    await requireConsent(url, false, () => Promise.resolve('tidings.example.org:8443\n'));
  });
});

describe('The load test’s failures', () => {
  it('are the same for whichever post and request they were, and say what went wrong', async () => {
    const answers = [
      '{"title":"Service unavailable","detail":"The database is away.","request_id":"1"}',
      '{"title":"Service unavailable","detail":"The database is away.","request_id":"2"}',
      '<h1>Bad gateway</h1>',
      'null',
    ];
    const server = createServer((_req, res) => res.writeHead(503).end(answers.shift()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const said: string[] = [];
    try {
      for (const id of [1, 22, 333, 4444])
        await call(url, 'PUT', `/posts/${id}/vote`).catch((error: unknown) => said.push(String(error)));
    } finally {
      server.closeAllConnections();
      server.close();
    }
    expect(said).to.deep.equal([
      'RestError: PUT /posts/:id/vote: 503 The database is away.',
      'RestError: PUT /posts/:id/vote: 503 The database is away.',
      'RestError: PUT /posts/:id/vote: 503 <h1>Bad gateway</h1>',
      'RestError: PUT /posts/:id/vote: 503 null',
    ]);
  });
});
