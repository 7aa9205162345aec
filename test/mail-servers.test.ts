import { expect } from 'chai';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRefusal, smtpTransport } from '../server/mail/transport.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import { Authority } from './support/certificates.ts';
import { TestMailServer } from './support/mail-server.ts';
import type { NodeProcess } from './support/node-process.ts';
import { execute, numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, signUp, type World } from './support/world.ts';

const LOGIN = { user: 'tidings@feed.example', pass: 'a p@ss/word:of the server' };

describe('addresses in letters of all scripts', () => {
  const send = (server: TestMailServer, to: string) =>
    smtpTransport(
      { host: '127.0.0.1', port: server.port, secure: false },
      { name: 'Tidings', address: 'news@feed.example' },
    )(
      { to, subject: 'Grüße', text: 'Text', messageId: '<1@feed.example>', date: new Date() },
      AbortSignal.timeout(60_000),
    );
  // The server shows each domain in its own letters; the header is as it was sent.
  for (const [to, header, received, utf8] of [
    ['anna@bücher.example', 'anna@xn--bcher-kva.example', 'anna@bücher.example', false],
    ['anna@xn--bcher-kva.example', 'anna@xn--bcher-kva.example', 'anna@bücher.example', false],
    ['jörg@bücher.example', 'jörg@bücher.example', 'jörg@bücher.example', true],
    ['用户@例子.example', '用户@例子.example', '用户@例子.example', true],
  ] as const)
    it(`reach the mailbox: ${to}`, async () => {
      const server = new TestMailServer();
      await server.start();
      try {
        await send(server, to);
        const mail = await server.next(received);
        expect([mail.headers.to, mail.utf8]).to.deep.equal([header, utf8]);
      } finally {
        await server.stop();
      }
    });

  it('are refused for good by a server that takes none, which is no fault of the service', async () => {
    const server = new TestMailServer({ utf8: false });
    await server.start();
    try {
      const error = await send(server, 'jörg@bücher.example').catch((fault: unknown) => fault);
      expect(isRefusal(error)).to.equal(true);
      await send(server, 'anna@bücher.example');
      expect((await server.next('anna@bücher.example')).utf8).to.equal(false);
    } finally {
      await server.stop();
    }
  });
});

describe('a mail server with a login and a certificate of an own authority', () => {
  let world: World;
  let folder: string;
  let authority: Authority;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidings-mail-'));
    authority = await Authority.make(folder, 'authority');
    world = await createWorld(sharedSecret);
  });
  after(async () => {
    await world?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const waiting = () => numberOf(world, 'select count(*) from mails where content is not null');

  for (const implicit of [true, false])
    it(`takes mails over ${implicit ? 'TLS' : 'STARTTLS'} once its login and its certificate are right, each one once`, async () => {
      const pair = await authority.sign(implicit ? 'implicit' : 'starttls', { names: 'DNS:localhost' });
      const server = new TestMailServer({ tls: { ...pair, implicit }, login: LOGIN });
      await server.start();
      const output: string[] = [];
      /** Runs a node until the condition holds. */
      const withNode = async (
        { pass = LOGIN.pass, trusted = true }: { pass?: string; trusted?: boolean },
        use: (node: NodeProcess) => Promise<void>,
      ) => {
        const login = `${encodeURIComponent(LOGIN.user)}:${encodeURIComponent(pass)}`;
        const node = await startAnotherNode(world, 'with mail', {
          SMTP_URL: `${implicit ? 'smtps' : 'smtp'}://${login}@localhost:${server.port}`,
          MAIL_FROM: 'news@feed.example',
          PUBLIC_URL: 'https://feed.example',
          ALLOWED_HOSTS: '*',
          ...(trusted ? { NODE_EXTRA_CA_CERTS: authority.cert } : {}),
        });
        try {
          await use(node);
        } finally {
          await node.stop();
          output.push(node.output);
        }
        expect(node.misconduct).to.deep.equal([]);
      };
      /** The first failure that the node logs, with a code. */
      const failure = async (node: NodeProcess) => {
        await execute(world, 'update mails set next_attempt_at = now() where content is not null');
        const lines = () =>
          node.output.split('\n').filter((line) => line.includes('a mail could not be sent; retrying'));
        await until('the failure to be logged', () => lines().length > 0);
        return JSON.parse(lines()[0]!) as { code?: string; reason?: string };
      };
      try {
        let email = '';
        await withNode({ pass: 'a wrong p@ssword' }, async (node) => {
          ({ email } = await signUp(node.url));
          expect(await failure(node)).to.include({
            code: 'EAUTH',
            reason: 'the mail server refuses the login of SMTP_URL',
          });
        });
        await withNode({ trusted: false }, async (node) => {
          const { code, reason } = await failure(node);
          expect(code).to.be.oneOf(['ESOCKET', 'ETLS']);
          expect(reason).to.match(/certificate/i);
        });
        expect(server.received).to.deep.equal([]);
        await server.stop();
        await withNode({}, async (node) => {
          expect((await failure(node)).reason).to.match(/ECONNREFUSED|connect/i);
        });
        await server.start();
        await withNode({}, async () => {
          await execute(world, 'update mails set next_attempt_at = now() where content is not null');
          const mail = await server.next(email);
          expect(mail).to.include({ secure: true, user: LOGIN.user });
          await until('the mail to be done with', async () => (await waiting()) === 0);
        });
        expect(server.received).to.deep.equal([]);
        for (const secret of [LOGIN.pass, 'a wrong p@ssword'].flatMap((pass) => [
          pass,
          encodeURIComponent(pass),
          Buffer.from(pass).toString('base64'),
          Buffer.from(`\0${LOGIN.user}\0${pass}`).toString('base64'),
        ]))
          expect(output.join('\n').includes(secret), secret).to.equal(false);
        expect(output.join('\n').includes(email), 'the address').to.equal(false);
      } finally {
        await server.stop();
      }
    });
});
