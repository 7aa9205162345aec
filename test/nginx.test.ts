import { expect } from 'chai';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, type Server, createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type WebSocket, WebSocketServer } from 'ws';
import { WebSocket as Client } from 'ws';
import { freePort } from '../server/database/embedded/postmaster.ts';
import { systemBinary } from './support/system-binary.ts';

const run = promisify(execFile);

/** What a node saw of a request, sent back by it. */
interface Seen {
  node: string;
  url: string;
  headers: Record<string, string>;
}

describe('deploy/nginx.conf', () => {
  const servers: Server[] = [];
  const ends: (() => Promise<unknown>)[] = [];
  let port: number;

  before(async () => {
    const nginx = await systemBinary({
      names: ['nginx'],
      packages: ['nginx'],
      hint: 'Install it with: apt-get install -y nginx   (macOS: brew install nginx)',
    });
    const ports: number[] = [];
    for (const name of ['a', 'b']) ports.push(await startNode(name));
    port = await freePort();

    const folder = await mkdtemp(join(tmpdir(), 'tidings-nginx-'));
    ends.push(() => rm(folder, { recursive: true, force: true }));
    await mkdir(join(folder, 'logs'));
    const config = join(folder, 'nginx.conf');
    await writeFile(config, adapted(await source(), folder, port));
    const addresses = ports.map((port) => `server 127.0.0.1:${port} max_fails=2 fail_timeout=2s;`);
    await writeFile(join(folder, 'tidings-nodes.conf'), addresses.join('\n'));
    const args = ['-p', folder, '-c', config, '-e', join(folder, 'logs/error.log'), '-g', 'daemon off;'];
    await run(nginx.path, ['-t', ...args], { env: nginx.env });

    const child = spawn(nginx.path, args, { env: nginx.env, stdio: 'ignore' });
    ends.unshift(async () => {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    });
    while (!(await listens(port))) {
      if (child.exitCode !== null) throw new Error(await readFile(join(folder, 'logs/error.log'), 'utf8'));
    }
  });

  after(async () => {
    for (const end of ends) await end();
  });

  it('spreads REST over the nodes', async () => {
    const nodes = await nodesOf(Array.from({ length: 8 }, () => '/posts'));
    expect([...nodes].sort()).to.deep.equal(['a', 'b']);
  });

  it('keeps a polling client on its node, from the request that has no session yet to the upgrade', async () => {
    const where = new Set<string>();
    for (let address = 1; address <= 12; address++) {
      const from = `127.0.0.${String(address)}`;
      const polls = [
        '/socket.io/?EIO=4&transport=polling',
        '/socket.io/?EIO=4&transport=polling&sid=x1',
        '/socket.io/?EIO=4&transport=polling&sid=x2&t=1',
      ];
      const nodes = await nodesOf(polls, from);
      nodes.add((await socket('/socket.io/?EIO=4&transport=websocket&sid=x1', from)).node);
      expect(nodes.size, from).to.equal(1);
      for (const node of nodes) where.add(node);
    }
    expect(where.size, 'and not every client on the same one').to.equal(2);
  });

  it('lets a WebSocket through, and spreads those that open as one', async () => {
    const nodes = new Set<string>();
    for (let i = 0; i < 8; i++) nodes.add((await socket('/socket.io/?EIO=4&transport=websocket')).node);
    expect(nodes.size).to.equal(2);
  });

  it('tells the node who asks, and gives every request an id', async () => {
    const plain = await get('/', '127.0.0.9');
    expect(plain.headers).to.include({ 'x-forwarded-for': '127.0.0.9', 'x-forwarded-proto': 'http' });
    expect(plain.headers.host).to.equal(`127.0.0.1:${port}`);
    expect(plain.headers['x-request-id']).to.match(/^[0-9a-f]{32}$/);
    expect(plain.headers).to.not.have.property('upgrade');

    const brought = await get('/', '127.0.0.9', { 'x-request-id': 'abc-1', 'x-forwarded-for': '6.6.6.6' });
    expect(brought.headers['x-request-id']).to.equal('abc-1');
    // The last address is the one that nginx saw: the only one that a node with TRUST_PROXY=1 believes.
    expect(brought.headers['x-forwarded-for']).to.equal('6.6.6.6, 127.0.0.9');
    const odd = await get('/', '127.0.0.9', { 'x-request-id': 'x"; drop' });
    expect(odd.headers['x-request-id']).to.match(/^[0-9a-f]{32}$/);
  });

  it('continues with the node that is left, and waits longer than a ping', async () => {
    const text = await source();
    const timeouts = [...text.matchAll(/proxy_read_timeout (\d+)s/g)].map((match) => Number(match[1]));
    expect(Math.min(...timeouts)).to.be.greaterThan(30);
    const [gone] = servers;
    gone?.closeAllConnections();
    gone?.close();
    const nodes = await nodesOf(Array.from({ length: 8 }, () => '/posts'));
    expect([...nodes]).to.deep.equal(['b']);
    expect((await socket('/socket.io/?EIO=4&transport=websocket')).node).to.equal('b');
  });

  async function startNode(name: string): Promise<number> {
    const seen = (req: IncomingMessage) => JSON.stringify({ node: name, url: req.url, headers: req.headers });
    const server = createServer((req, res) => res.end(seen(req)));
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (ws: WebSocket, req) => ws.send(seen(req)));
    servers.push(server);
    ends.push(async () => {
      for (const ws of sockets.clients) ws.terminate();
      server.closeAllConnections();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  async function nodesOf(paths: string[], from?: string): Promise<Set<string>> {
    const nodes = new Set<string>();
    for (const path of paths) nodes.add((await get(path, from)).node);
    return nodes;
  }

  async function get(path: string, from = '127.0.0.1', headers: Record<string, string> = {}): Promise<Seen> {
    const req = request({ host: '127.0.0.1', port, path, localAddress: from, headers, agent: false }).end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    let body = '';
    for await (const chunk of res.setEncoding('utf8')) body += String(chunk);
    expect(res.statusCode, body).to.equal(200);
    return JSON.parse(body) as Seen;
  }

  async function socket(path: string, from = '127.0.0.1'): Promise<Seen> {
    const client = new Client(`ws://127.0.0.1:${port}${path}`, { localAddress: from });
    const [message] = (await once(client, 'message')) as [Buffer];
    client.close();
    await once(client, 'close');
    return JSON.parse(message.toString()) as Seen;
  }
});

function source(): Promise<string> {
  return readFile(join(import.meta.dirname, '../deploy/nginx.conf'), 'utf8');
}

/** The file as it is, but for its port and the places where it writes. */
function adapted(text: string, folder: string, port: number): string {
  const writable = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  );
  return text
    .replace('listen 8080;', `listen 127.0.0.1:${String(port)};`)
    .replace('pid /var/run/nginx.pid;', `pid ${join(folder, 'nginx.pid')};`)
    .replace('/dev/stderr', join(folder, 'logs/error.log'))
    .replace('/dev/stdout', join(folder, 'logs/access.log'))
    .replace('http {', `http { ${writable.join(' ')}`);
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
