import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerError } from 'smtp-server';
import type { KeyPair } from './certificates.ts';
import { until } from './waiting.ts';

/** A mail as the server was handed it. */
export interface ReceivedMail {
  from: string;
  to: string[];
  /** Whether it came over TLS, and after whose login. */
  secure: boolean;
  user: string | undefined;
  /** Whether it was said that an address may have letters beyond ASCII (RFC 6531). */
  utf8: boolean;
  /** In small letters; a line that was folded is one. */
  headers: Record<string, string>;
  /** With line ends as `\n`. */
  text: string;
}

/** What a server does with a mail that is not simply accepted. */
export type Trouble =
  /** Refuses each recipient with this code. */
  | { refuse: number }
  /** Takes the mail, and cuts the connection in place of its answer. */
  | 'cut'
  /** Accepts the connection and says nothing. */
  | 'silent';

export interface MailServerOptions {
  /** TLS, from the first byte on or after STARTTLS. */
  tls?: KeyPair & { implicit: boolean };
  /** Who may hand mails over; undefined: all. */
  login?: { user: string; pass: string };
  /** Whether it takes addresses beyond ASCII. Default: yes. */
  utf8?: boolean;
}

/** A mail server that receives, on loopback. */
export class TestMailServer {
  readonly received: ReceivedMail[] = [];
  trouble: Trouble | undefined;
  #server: SMTPServer | undefined;
  #port = 0;
  readonly #options: MailServerOptions;

  constructor(options: MailServerOptions = {}) {
    this.#options = options;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.#port}`;
  }

  /** The settings of a node that sends its mails here, with links to https://feed.example/social. */
  get settings(): Record<'SMTP_URL' | 'MAIL_FROM' | 'PUBLIC_URL' | 'ALLOWED_HOSTS', string> {
    return {
      SMTP_URL: this.url,
      MAIL_FROM: 'news@feed.example',
      PUBLIC_URL: 'https://feed.example/social',
      ALLOWED_HOSTS: '*',
    };
  }

  /** The second time at the port of the first. */
  async start(): Promise<void> {
    const { tls, login, utf8 = true } = this.#options;
    const server = new SMTPServer({
      disabledCommands: [
        ...(login === undefined ? ['AUTH' as const] : []),
        ...(tls === undefined || tls.implicit ? ['STARTTLS' as const] : []),
      ],
      ...(tls && { secure: tls.implicit, cert: readFileSync(tls.cert), key: readFileSync(tls.key) }),
      onAuth: ({ username, password }, _session, done) => {
        if (username === login?.user && password === login?.pass) done(null, { user: username });
        else done(new Error('Invalid username or password'));
      },
      hideSMTPUTF8: !utf8,
      disableReverseLookup: true,
      onConnect: (_session, done) => {
        if (this.trouble !== 'silent') done();
      },
      onRcptTo: ({ address }, _session, done) => {
        const { trouble } = this;
        if (!utf8 && /[^\0-\x7f].*@/.test(address)) {
          done(Object.assign(new Error('ASCII, please'), { responseCode: 553 }) satisfies SMTPServerError);
          return;
        }
        if (typeof trouble === 'object')
          done(
            Object.assign(new Error('not here'), { responseCode: trouble.refuse }) satisfies SMTPServerError,
          );
        else done();
      },
      onData: (stream, { envelope, secure, user }, done) => {
        const pieces: Buffer[] = [];
        stream.on('data', (piece: Buffer) => pieces.push(piece));
        stream.on('end', () => {
          const { mailFrom, rcptTo } = envelope;
          this.received.push({
            from: mailFrom ? mailFrom.address : '',
            to: rcptTo.map(({ address }) => address),
            secure,
            user: user as string | undefined,
            utf8: envelope.smtpUtf8 === true,
            ...partsOf(Buffer.concat(pieces).toString('utf8')),
          });
          if (this.trouble !== 'cut') done();
          else for (const connection of server.connections) connection.close();
        });
      },
    });
    server.on('error', () => undefined);
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    for (const connection of server.connections) connection.close();
    await new Promise<void>((resolve) => server.close(resolve));
    this.#server = undefined;
  }

  /** The mail that an address is sent next, which is taken away. */
  async next(to: string, within?: number): Promise<ReceivedMail> {
    const find = () => this.received.findIndex((mail) => mail.to.includes(to));
    await until(`a mail to ${to}`, () => find() >= 0, within);
    const [mail] = this.received.splice(find(), 1);
    return mail!;
  }
}

function partsOf(mail: string): Pick<ReceivedMail, 'headers' | 'text'> {
  const [head = '', ...body] = mail.split('\r\n\r\n');
  const lines = head.replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.split(':', 1)[0]!.toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const text = body.join('\r\n\r\n').replaceAll('\r\n', '\n');
  return {
    headers,
    text: headers['content-transfer-encoding'] === 'quoted-printable' ? unquoted(text) : text,
  };
}

/** Text in quoted-printable (RFC 2045) as it was. */
function unquoted(text: string): string {
  const bytes = text
    .replaceAll(/=\n/g, '')
    .replaceAll(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
