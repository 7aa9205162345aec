import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expectProblem } from './support/problems.ts';
import { rawBytes, rawRequest } from './support/raw-request.ts';
import { createWorld, type World } from './support/world.ts';

const PATH = '/socket.io/?EIO=4&transport=polling';

describe('the address of the sockets, asked as a web page', () => {
  let world: World;

  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  const openSession = async () => {
    const { body } = await rawRequest<string>(world.url, { path: PATH });
    return (JSON.parse(body.slice(1)) as { sid: string }).sid;
  };

  for (const method of ['PUT', 'DELETE', 'PATCH', 'PROPFIND', 'TRACE'])
    it(`refuses ${method} on a session as on none, with a problem, and the session lives on`, async () => {
      const sid = await openSession();
      for (const path of [`${PATH}&sid=${sid}`, PATH, `${PATH}&sid=none`]) {
        const answer = await rawRequest(world.url, { method, path, body: 'x' });
        expectProblem(answer, 405, 'method_not_allowed');
        expect(answer.headers.get('allow')).to.equal('GET, POST, OPTIONS');
      }
      const said = await rawRequest(world.url, { method: 'POST', path: `${PATH}&sid=${sid}`, body: '40{}' });
      expect(said.status).to.equal(200);
    });

  it('refuses HEAD likewise, without a body', async () => {
    const answer = await rawRequest(world.url, {
      method: 'HEAD',
      path: `${PATH}&sid=${await openSession()}`,
    });
    expect(answer.status).to.equal(405);
    expect(answer.body).to.equal('');
  });

  it('ends an upgrade that is none, whatever it asks for, and nothing else', async () => {
    for (const [method, path] of [
      ['GET', '/socket.io/socket.io.js'],
      ['PUT', `${PATH}&sid=${await openSession()}`],
      ['PUT', '/socket.io/?EIO=4&transport=websocket'],
    ])
      expect(
        await rawBytes(
          world.url,
          `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
            'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
        ),
      ).to.match(/^HTTP\/1\.1 4\d\d /);
  });

  describe('for the script of a client', () => {
    const folder = join(
      dirname(createRequire(import.meta.url).resolve('socket.io/package.json')),
      'client-dist',
    );
    const scriptBytes = async (name: string, encoding?: string) => {
      const answered = await fetch(`${world.url}/socket.io/${name}`, {
        headers: { 'accept-encoding': encoding ?? 'identity' },
      });
      return { headers: answered.headers, status: answered.status, text: await answered.text() };
    };

    it('serves each that Socket.IO has, as it is there', async () => {
      for (const name of ['', '.min', '.esm.min', '.msgpack.min'].flatMap((kind) => [
        `socket.io${kind}.js`,
        `socket.io${kind}.js.map`,
      ])) {
        const { headers, status, text } = await scriptBytes(`${name}?v=1`);
        expect(status).to.equal(200);
        expect(text).to.equal(await readFile(join(folder, name), 'utf8'));
        expect(headers.get('content-type')).to.match(
          name.endsWith('.map') ? /^application\/json/ : /^application\/javascript/,
        );
        expect(headers.get('content-encoding')).to.be.null;
      }
      for (const name of ['socket.io.esm.js', 'socket.io.css', '../package.json', '%2e%2e/package.json'])
        expect((await scriptBytes(name)).status, name).to.be.within(400, 404);
    });

    it('compresses it once, whatever is taken, and answers anyone who has it with a 304', async () => {
      const raw = (encoding: string) =>
        rawRequest(world.url, { path: '/socket.io/socket.io.js', headers: { 'accept-encoding': encoding } });
      const before = process.cpuUsage();
      for (let at = 0; at < 40; at += 1) {
        const { headers } = await raw('br, gzip, deflate');
        expect(headers.get('content-encoding')).to.equal('gzip');
      }
      const { user, system } = process.cpuUsage(before);
      // Brotli takes ten seconds for so many.
      expect((user + system) / 1000).to.be.below(2000);
      for (const encoding of ['br', 'deflate', 'gzip;q=0', 'gzip; q=0.0, br'])
        expect((await raw(encoding)).headers.get('content-encoding'), encoding).to.be.null;
      const { headers } = await raw('gzip');
      expect(headers.get('vary')).to.match(/Accept-Encoding/);
      const again = await rawRequest(world.url, {
        path: '/socket.io/socket.io.js',
        headers: { 'if-none-match': headers.get('etag') ?? '' },
      });
      expect(again.status).to.equal(304);
      expect(again.body).to.equal('');
    });

    it('gives what is only called alike to the rest of the service', async () => {
      const answer = await world.anonymous.get('/socket.io-socket.io.js');
      expectProblem(answer, 404);
    });
  });
});
