import { expect } from 'chai';
import { isRefusal, smtpTransport } from '../server/mail/transport.ts';
import { TestMailServer } from './support/mail-server.ts';

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
