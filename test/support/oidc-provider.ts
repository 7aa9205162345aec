import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import Provider, { type JWK } from 'oidc-provider';

/** What the provider knows of a user. */
export interface ProviderUser {
  email?: string;
  email_verified?: boolean;
  preferred_username?: string;
}

/** Where the nodes of a test are for their users. */
const PUBLIC_URL = 'https://feed.example/social';
const CLIENT = { id: 'tidings', secret: 'the secret of the client at the provider' };

/** A header of the test's own browser: who logs in at the provider. Empty: nobody, the login is refused. */
const WHO = 'x-test-user';

/** An OpenID provider, on loopback: a real one, in which the test's browser logs in by saying who it is. */
export class TestProvider {
  readonly users = new Map<string, ProviderUser>();
  readonly #publicUrl: string;
  readonly #inToken: boolean;
  #server: Server | undefined;
  #down = false;
  #silent = false;
  #handle: (req: IncomingMessage, res: ServerResponse) => void = () => undefined;
  /** What it signs with; undefined: a key of the library. */
  #keys: JWK[] | undefined;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  /** @param inToken whether the ID token has the address, not only the answer about the user */
  constructor({ publicUrl = PUBLIC_URL, inToken = false } = {}) {
    this.#publicUrl = publicUrl;
    this.#inToken = inToken;
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The settings of a node whose users can log in here. */
  get settings(): Record<string, string> {
    return {
      OIDC_ISSUER: this.issuer,
      OIDC_CLIENT_ID: CLIENT.id,
      OIDC_CLIENT_SECRET: CLIENT.secret,
      OIDC_NAME: 'Example Accounts',
      PUBLIC_URL: this.#publicUrl,
      ALLOWED_HOSTS: '*',
    };
  }

  async start(): Promise<void> {
    const server = createServer();
    server.on('connection', (socket) => {
      if (this.#down) socket.destroy();
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#handle = this.#create();
    server.on('request', (req, res) => {
      if (!this.#silent) this.#handle(req, res);
    });
  }

  /** Signs with another key from now on, and no longer tells of the one before. */
  rotateKeys(): void {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#keys = [{ ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }];
    this.#handle = this.#create();
  }

  /** Takes connections and requests, and answers none. */
  fallSilent(): void {
    this.#silent = true;
  }

  speak(): void {
    this.#silent = false;
    this.#hangUp();
  }

  /** Takes no connection until it is up again. It keeps its port, which another process would take. */
  goDown(): void {
    this.#down = true;
    this.#hangUp();
  }

  comeUp(): void {
    this.#down = false;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.#hangUp();
    await closed;
  }

  #hangUp(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The headers of a browser in which somebody logs in here; undefined: somebody who refuses. */
  asUser(sub: string | undefined): Record<string, string> {
    return { [WHO]: sub ?? '' };
  }

  /**
   * Goes where a login begins, as a browser in which somebody logs in.
   * @param sub who; undefined: somebody who refuses
   * @returns the query with which the provider sends it back
   */
  async visit(authorizationUrl: string, sub: string | undefined): Promise<string> {
    const cookies = new Map<string, string>();
    for (let place = new URL(authorizationUrl), steps = 0; steps < 10; steps += 1) {
      const answer = await fetch(place, {
        redirect: 'manual',
        headers: {
          ...this.asUser(sub),
          cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        },
      });
      for (const line of answer.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        cookies.set(name, value);
      }
      const location = answer.headers.get('location');
      if (location === null)
        throw new Error(`the provider answered ${answer.status}: ${(await answer.text()).slice(0, 500)}`);
      place = new URL(location, place);
      if (place.href.startsWith(`${this.#publicUrl}/login/oidc/callback`)) return place.search.slice(1);
    }
    throw new Error('the provider sends the browser in circles');
  }

  #create(): (req: IncomingMessage, res: ServerResponse) => void {
    const provider = new Provider(this.issuer, {
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          redirect_uris: [`${this.#publicUrl}/login/oidc/callback`],
        },
      ],
      ...(this.#keys && { jwks: { keys: this.#keys } }),
      cookies: { keys: ['a key of the provider of the tests'] },
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'] },
      conformIdTokenClaims: !this.#inToken,
      features: { devInteractions: { enabled: false } },
      findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub, ...this.users.get(sub) }) }),
      interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
      pkce: { required: () => true },
      loadExistingGrant: async (ctx) => {
        const { oidc } = ctx;
        const grant = new oidc.provider.Grant({
          accountId: oidc.session?.accountId ?? '',
          clientId: oidc.client?.clientId ?? '',
        });
        grant.addOIDCScope('openid email profile');
        await grant.save();
        return grant;
      },
    });
    const callback = provider.callback();
    return (req, res) => {
      if (!req.url?.startsWith('/interaction/')) {
        void callback(req, res);
        return;
      }
      const said = req.headers[WHO];
      const sub = typeof said === 'string' ? said : '';
      void provider.interactionFinished(
        req,
        res,
        sub === ''
          ? { error: 'access_denied', error_description: 'not today' }
          : { login: { accountId: sub } },
        { mergeWithLastSubmission: false },
      );
    };
  }
}
