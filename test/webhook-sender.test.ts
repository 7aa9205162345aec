import { expect } from 'chai';
import { spawn } from 'node:child_process';
import dns, { lookup, type LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { request } from 'node:http';
import {
  connect,
  createServer,
  getDefaultAutoSelectFamilyAttemptTimeout,
  type Server,
  type Socket,
} from 'node:net';
import { promisify } from 'node:util';
import { ADDRESS_ATTEMPT } from '../server/connection-attempts.ts';
import { packageRoot } from '../server/paths.ts';
import { isPublic, PublicNames } from '../server/webhooks/addresses.ts';
import { type Posted, WebhookSender } from '../server/webhooks/sender.ts';
import { newWebhookSecret, signedHeaders } from '../server/webhooks/signature.ts';
import { NameServer } from './support/name-server.ts';
import { snippetsOf } from './support/readme-snippets.ts';
import { until } from './support/waiting.ts';
import { WebhookReceiver } from './support/webhook-receiver.ts';

const secrets = [newWebhookSecret()];
const message = { id: 'x', body: '{}' };
/** How long an answer may take that never comes, and one that does. Milliseconds. */
const [SOON, IN_THE_END] = [400, 60_000];

/** A receiver that writes whatever a test wants to have on the wire. */
class RawReceiver {
  readonly sockets = new Set<Socket>();
  mostOpen = 0;
  /** How many have come. */
  requests = 0;
  readonly #server: Server;

  constructor(answer: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.sockets.add(socket);
      this.mostOpen = Math.max(this.mostOpen, this.sockets.size);
      socket.on('error', () => undefined);
      socket.on('close', () => this.sockets.delete(socket));
      socket.once('data', () => {
        this.requests += 1;
        answer(socket);
      });
    });
  }

  static async start(answer: (socket: Socket) => void): Promise<RawReceiver> {
    const receiver = new RawReceiver(answer);
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get destination() {
    return {
      url: `http://127.0.0.1:${(this.#server.address() as { port: number }).port}/`,
      secrets,
      userId: 0,
    };
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** One that a connection takes long to reach: its process is stopped, and the kernel has all the connections that it keeps for it. */
class FarReceiver {
  readonly #process = spawn(process.execPath, [
    '-e',
    `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () =>
       console.log(server.address().port))`,
  ]);
  readonly #others: Socket[] = [];
  port = 0;

  static async start(): Promise<FarReceiver> {
    const receiver = new FarReceiver();
    const [port] = (await once(receiver.#process.stdout, 'data')) as [Buffer];
    receiver.port = Number(port);
    receiver.#process.kill('SIGSTOP');
    for (let n = 0; n < 8; n += 1)
      receiver.#others.push(connect(receiver.port, '127.0.0.1').on('error', () => undefined));
    await once(receiver.#others[1]!, 'connect');
    return receiver;
  }

  async stop(): Promise<void> {
    for (const socket of this.#others) socket.destroy();
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }
}

/** Writes something again and again, as fast as it is read. */
function endlessly(socket: Socket, text: string): void {
  const write = () => {
    while (!socket.destroyed && socket.write(text));
  };
  socket.on('drain', write);
  write();
}

const senderOf = (limit: number, more: Partial<ConstructorParameters<typeof WebhookSender>[0]> = {}) =>
  new WebhookSender({ allowPrivate: true, limit, userAgent: 'test', ...more });

const outcomeOf = async (posted: Promise<Posted>) => (await posted).outcome;

describe('addresses that webhooks go to', () => {
  it('are those of the public internet', () => {
    for (const address of ['1.1.1.1', '8.8.8.8', '172.32.0.1', '::ffff:8.8.8.8', '2606:4700:4700::1111'])
      expect(isPublic(address), address).to.equal(true);
    for (const address of [
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '169.254.169.254',
      '172.16.0.1',
      '192.168.1.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:10.0.0.1',
      '::ffff:7f00:1',
      '::127.0.0.1',
      '64:ff9b::7f00:1',
      '64:ff9b:1::1',
      '2002:7f00:1::',
      '2001::1',
      'fc00::1',
      'fd12:3456::1',
      'fe80::1',
      'fe80::1%lo',
      '2606:4700:4700::1111%lo',
      'ff02::1',
      'no address',
      '',
    ])
      expect(isPublic(address), address).to.equal(false);
  });

  describe('are looked at when a connection is made', () => {
    let names: NameServer;
    let receiver: WebhookReceiver;
    before(async () => {
      names = await NameServer.start();
      receiver = await WebhookReceiver.start();
    });
    after(async () => {
      await names.stop();
      await receiver.stop();
    });

    const strict = () => senderOf(IN_THE_END, { allowPrivate: false, nameServers: [names.address] });
    const post = (host: string, scheme = 'https') =>
      outcomeOf(strict().post({ url: `${scheme}://${host}:${receiver.port}/`, secrets, userId: 0 }, message));
    const refused = (reason: string) => ({ delivered: false, status: null, reason });
    const found = (name: string) =>
      new Promise<string | LookupAddress[]>((resolve, reject) =>
        new PublicNames([names.address]).lookup(name, { all: true }, (error, addresses) =>
          error ? reject(error) : resolve(addresses),
        ),
      );

    it('whatever way they are written', async () => {
      for (const host of ['localhost', 'a.localhost', '127.0.0.1', '0x7f.1', '2130706433'])
        expect(await post(host), host).to.deep.equal(refused('private_address'));
      for (const host of ['[::1]', '[::ffff:127.0.0.1]', '[64:ff9b::7f00:1]', '[fe80::1]', '[fd00::1]'])
        expect(await post(host), host).to.deep.equal(refused('private_address'));
    });

    it('whatever a name leads to', async () => {
      for (const address of [
        '127.0.0.1',
        '10.0.0.1',
        '169.254.169.254',
        '::1',
        '::ffff:7f00:1',
        '64:ff9b::7f00:1',
        'fe80::1',
        'fd00::1',
      ]) {
        names.addresses.set('inside.example', [address]);
        expect(await post('inside.example'), address).to.deep.equal(refused('private_address'));
      }
      names.addresses.set('mixed.example', ['127.0.0.1', '8.8.8.8', 'fd00::1', '2606:4700:4700::1111']);
      expect(await found('mixed.example')).to.deep.equal([
        { address: '8.8.8.8', family: 4 },
        { address: '2606:4700:4700::1111', family: 6 },
      ]);
    });

    it('each time anew, of a name that leads elsewhere the second time', async () => {
      names.addresses.set('moving.example', ['8.8.8.8']);
      expect(await found('moving.example')).to.deep.equal([{ address: '8.8.8.8', family: 4 }]);
      names.addresses.set('moving.example', ['127.0.0.1']);
      expect(await post('moving.example')).to.deep.equal(refused('private_address'));
      names.addresses.delete('moving.example');
      expect(await post('moving.example')).to.deep.equal(refused('name'));
    });

    it('and are not connected to without TLS', async () => {
      names.addresses.set('plain.example', ['8.8.8.8']);
      expect(await post('plain.example', 'http')).to.deep.equal(refused('not_https'));
      expect(await post('127.0.0.1', 'http')).to.deep.equal(refused('not_https'));
    });

    it('without holding up the look-ups of others, where a name server never answers', async () => {
      names.addresses.set('slow.example', undefined);
      const destination = { url: 'https://slow.example/', secrets, userId: 0 };
      const stops = Array.from({ length: 20 }, () => new AbortController());
      const before = names.asked;
      const posts = stops.map(({ signal }) => outcomeOf(strict().post(destination, message, signal)));
      await until('the questions to have come', () => names.asked >= before + posts.length);
      await promisify(lookup)('localhost');
      for (const stop of stops) stop.abort();
      for (const { delivered } of await Promise.all(posts)) expect(delivered).to.equal(false);

      const hurried = senderOf(SOON, { allowPrivate: false, nameServers: [names.address] });
      expect(await outcomeOf(hurried.post(destination, message))).to.deep.equal(refused('timeout'));
    });

    it('without waiting for a name server that answers for one family only', async () => {
      names.addresses.set('half.example', ['8.8.8.8']);
      names.withoutIPv6.add('half.example');
      const questions: number[] = [];
      // A machine that stands still has one repeated, and not each time.
      while (questions.length < 3 && questions.at(-1) !== 2) {
        const before = names.asked;
        expect(await found('half.example')).to.deep.equal([{ address: '8.8.8.8', family: 4 }]);
        questions.push(names.asked - before);
      }
      expect(questions.at(-1), 'questions: none was repeated').to.equal(2);
    });

    after(() => expect([...receiver.received, ...receiver.faults]).to.be.empty);
  });
});

describe('the receiver in the documents', () => {
  it('verifies a message whose characters come in pieces', async () => {
    const snippets = await snippetsOf('docs/rest.md');
    const code = snippets.find((snippet) => snippet.code.includes("from 'standardwebhooks'"))?.code ?? '';
    const listening = code.replace(
      '.listen(8080)',
      ".listen(0, '127.0.0.1', function () { console.log(this.address().port); })",
    );
    expect(listening).to.not.equal(code);
    const [secret = ''] = secrets;
    const program = spawn(process.execPath, ['--input-type=module', '--eval', listening], {
      cwd: packageRoot,
      env: { PATH: process.env.PATH, WEBHOOK_SECRET: secret },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      let said = '';
      program.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      await until('it listens', () => said.includes('\n'));
      const body = JSON.stringify({ type: 'post:created', seq: 7, data: { title: 'Käse 🧀' } });
      const bytes = Buffer.from(body);
      const cut = bytes.indexOf(Buffer.from('ä')) + 1;
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const headers = { 'Content-Length': bytes.length, ...signedHeaders('x', Date.now(), body, secrets) };
        const to = { port: Number(said), host: '127.0.0.1', method: 'POST', headers };
        const asked = request(to, (answer) => resolve(answer.resume().statusCode));
        asked.on('error', reject);
        asked.write(bytes.subarray(0, cut));
        // So that the two pieces are not read as one.
        setTimeout(() => asked.end(bytes.subarray(cut)), 200);
      });
      expect(status).to.equal(204);
      await until('it has the event', () => said.includes('Käse 🧀'));
    } finally {
      program.kill('SIGKILL');
    }
  });
});

describe('a receiver of webhooks', () => {
  let receiver: RawReceiver | undefined;
  afterEach(async () => {
    await receiver?.stop();
    receiver = undefined;
  });

  it('that switches to another protocol has not taken the message', async () => {
    receiver = await RawReceiver.start((socket) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
    );
    expect(await outcomeOf(senderOf(IN_THE_END).post(receiver.destination, message))).to.deep.equal({
      delivered: false,
      status: 101,
      reason: 'status',
    });
    await until('its connection to be closed', () => receiver?.sockets.size === 0);
  });

  it('that closes without an answer, or says something else than HTTP, has not either', async () => {
    for (const words of ['', 'no HTTP\r\n\r\n', 'HTTP/1.1 2']) {
      receiver = await RawReceiver.start((socket) => socket.end(words));
      expect(await outcomeOf(senderOf(IN_THE_END).post(receiver.destination, message)), words).to.deep.equal({
        delivered: false,
        status: null,
        reason: 'connection',
      });
      await receiver.stop();
    }
  });

  it('that is far away is waited for, though its name has another address', async () => {
    const far = await FarReceiver.start();
    const { lookup: found } = dns;
    const addresses = [
      { address: '127.0.0.1', family: 4 },
      { address: '::1', family: 6 },
    ];
    const instead = (...[, , answer]: [unknown, unknown, (error: null, all: LookupAddress[]) => void]) =>
      process.nextTick(answer, null, addresses);
    dns.lookup = instead as typeof found;
    try {
      const destination = { url: `http://far.example:${far.port}/`, secrets, userId: 0 };
      // The other address refuses at once.
      expect(await outcomeOf(senderOf(2 * SOON).post(destination, message))).to.deep.equal({
        delivered: false,
        status: null,
        reason: 'timeout',
      });
      expect(getDefaultAutoSelectFamilyAttemptTimeout(), 'of other names').to.equal(ADDRESS_ATTEMPT);
    } finally {
      dns.lookup = found;
      await far.stop();
    }
  });

  it('has its time for the head of an answer, and not more than some of it', async () => {
    const heads: Record<string, [answer: (socket: Socket) => void, limit: number, reason: string]> = {
      'that never comes': [() => undefined, SOON, 'timeout'],
      'that stops': [(socket) => socket.write('HTTP/1.1 200 OK\r\nX: '), SOON, 'timeout'],
      'without an end': [
        (socket) => {
          socket.write('HTTP/1.1 200 OK\r\n');
          endlessly(socket, `X: ${'x'.repeat(1000)}\r\n`);
        },
        IN_THE_END,
        'connection',
      ],
      'that always follows': [
        (socket) => endlessly(socket, 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'),
        IN_THE_END,
        'connection',
      ],
    };
    for (const [what, [answer, limit, reason]] of Object.entries(heads)) {
      receiver = await RawReceiver.start(answer);
      expect(await outcomeOf(senderOf(limit).post(receiver.destination, message)), what).to.deep.equal({
        delivered: false,
        status: null,
        reason,
      });
      const { sockets } = receiver;
      await until('its connection to be closed', () => sockets.size === 0);
      await receiver.stop();
    }
  });

  it('has a second for the body of an answer, and a bound of it, in the turn of the message', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    receiver = await RawReceiver.start((socket) => socket.write(head));
    const sender = senderOf(IN_THE_END);
    const { destination } = receiver;
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, user) =>
        sender.inTurn(user, undefined, () => outcomeOf(sender.post(destination, message))),
      ),
    );
    for (const outcome of outcomes) expect(outcome).to.deep.equal({ delivered: true, status: 200 });
    const { sockets } = receiver;
    await until('all connections to be closed', () => sockets.size === 0);
    await receiver.stop();

    let written = 0;
    receiver = await RawReceiver.start((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      endlessly(socket, 'x'.repeat(16 * 1024));
      socket.on('close', () => (written = socket.bytesWritten));
    });
    expect(await outcomeOf(sender.post(receiver.destination, message))).to.deep.equal({
      delivered: true,
      status: 200,
    });
    await until('it to be cut off', () => written > 0);
    expect(written).to.be.below(64 * 1024 * 1024);
  });

  it('says how long it wants to be left alone, with a status that is for that', async () => {
    const inAnHour = () => new Date(Date.now() + 3_600_000).toUTCString();
    for (const [status, header, least, most] of [
      [429, '120', 120_000, 120_000],
      [503, inAnHour(), 3_000_000, 3_600_000],
      [503, 'Thu, 01 Jan 1970 00:00:00 GMT', 0, 0],
      [429, 'soon', 0, 0],
      [429, '-1', 0, 0],
      [500, '120', 0, 0],
      [200, '120', 0, 0],
    ] as const) {
      receiver = await RawReceiver.start((socket) =>
        socket.end(`HTTP/1.1 ${status} x\r\nRetry-After: ${header}\r\nContent-Length: 0\r\n\r\n`),
      );
      const { outcome, retryAfter } = await senderOf(IN_THE_END).post(receiver.destination, message);
      expect(outcome.status).to.equal(status);
      expect(retryAfter, `${status} ${header}`).to.be.within(least, most);
      await receiver.stop();
    }
  });

  it('that keeps the turns of its user does not keep those of others', async () => {
    receiver = await RawReceiver.start(() => undefined);
    const sender = senderOf(IN_THE_END);
    const { destination } = receiver;
    const [stop, leave] = [new AbortController(), new AbortController()];
    const post = (user: number, signal = stop.signal) =>
      sender.inTurn(user, signal, () => sender.post(destination, message, stop.signal));
    const mine = Array.from({ length: 5 }, () => post(1).catch(() => undefined));
    await until('two to be on their way', () => receiver?.requests === 2);
    const other = post(2);
    await until('the one of another user', () => receiver?.requests === 3);
    expect(receiver.mostOpen).to.equal(3);
    // A requester that has gone waits no longer.
    const gone = post(1, leave.signal).then(
      () => 'posted',
      () => 'left',
    );
    leave.abort();
    expect(await gone).to.equal('left');
    stop.abort();
    await Promise.all([...mine, other]);
    expect(receiver.requests).to.equal(3);
  });

  it('that has failed or was slow has half of the turns, however many users have such ones', async () => {
    let answer = (socket: Socket): unknown => socket.end();
    receiver = await RawReceiver.start((socket) => answer(socket));
    const sender = senderOf(IN_THE_END);
    const { destination } = receiver;
    const stops: AbortController[] = [];
    const post = (userId: number) => {
      const stop = new AbortController();
      stops.push(stop);
      return sender
        .inTurn(userId, stop.signal, () => sender.post({ ...destination, userId }, message, stop.signal))
        .catch(() => undefined);
    };
    const slow = Array.from({ length: 30 }, (_, at) => at + 1);
    await Promise.all(slow.map(post));
    expect(receiver.requests).to.equal(30);

    answer = () => undefined;
    const waiting = [...slow, ...slow].map(post);
    await until('their turns to be taken', () => receiver?.requests === 30 + 25);
    const others = Array.from({ length: 25 }, (_, at) => post(100 + at));
    await until('the others', () => receiver?.requests === 30 + 50);
    // The last first: none gets the turn of one before it.
    for (const stop of stops.toReversed()) stop.abort();
    await Promise.all([...waiting, ...others]);
    expect(receiver.requests).to.equal(30 + 50);
  });
});
