import type * as openIdClient from 'openid-client';
import type { Configuration, CustomFetchOptions, ServerMetadata } from 'openid-client';
import { singleFlight } from '../async/single-flight.ts';
import { AppError, unavailable } from '../errors.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../logger.ts';
import type { Seal } from '../mail/seal.ts';
import { isEmail } from '../text/email.ts';

/** What the provider says of itself is read again after this time, and after a failure not before that one. Milliseconds. */
const [FRESH, RETRY] = [3_600_000, 60_000];
/** The longest answer of a provider that is read. Bytes. */
const MOST_BYTES = 1024 * 1024;
/** Logins of a node that wait for the provider at the same time, at most. */
const MOST_WAITING = 100;
/** How far the clocks of the provider and of this node may be apart. Seconds. */
const CLOCKS_APART = 30;
/** What OpenID Connect allows a subject to be (Core 1.0, 2). */
const SUBJECT = /^[\x20-\x7e]{1,255}$/;

/** Loaded only where there is a provider: a start takes longer with it. */
export type OpenIdClient = typeof openIdClient;

/** What the answer of the provider has to fit. */
export interface LoginSecrets {
  state: string;
  nonce: string;
  /** PKCE (RFC 7636). */
  verifier: string;
}

/** Who somebody is at the provider. */
export interface ProvedIdentity {
  issuer: string;
  sub: string;
  /** Null: the provider told none that an account can have. */
  email: string | null;
  /** Whether the provider has verified that the user reads the mails to it. */
  emailVerified: boolean;
  /** What the user is called there; null: nothing that could be a name here. */
  name: string | null;
}

export interface OidcProviderOptions {
  settings: NonNullable<Config['oidc']>;
  /** Where the provider sends browsers back to. */
  redirectUri: string;
  /** Pages that may ask to be returned to, as origins. */
  origins: readonly string[];
  log: Logger;
  library: OpenIdClient;
  /** How long one request to the provider may take. Milliseconds. */
  requestLimit: number;
}

/** The provider did not answer, or with a failure of its own. */
class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/**
 * The OpenID provider with which users can log in: authorization code flow with PKCE, nonce and state. What it says of itself
 * (discovery) is read at the first login, not at the start, so no node depends on it; it is kept, and read again each hour.
 * While the provider cannot be reached, what was read last is used.
 */
export class OidcProvider {
  readonly name: string;
  readonly settings: OidcProviderOptions['settings'];
  readonly #redirectUri: string;
  readonly #origins: readonly string[];
  readonly #log: Logger;
  readonly #library: OpenIdClient;
  readonly #requestLimit: number;
  #known: { server: ServerMetadata; readAt: number } | undefined;
  /** Not read again before. Milliseconds since 1970. */
  #notBefore = 0;
  #waiting = 0;
  readonly #read = singleFlight(() => this.#readAgain());

  constructor({ settings, redirectUri, origins, log, library, requestLimit }: OidcProviderOptions) {
    this.name = settings.name;
    this.settings = settings;
    this.#redirectUri = redirectUri;
    this.#origins = origins;
    this.#log = log;
    this.#library = library;
    this.#requestLimit = requestLimit;
  }

  /** Whether an issuer is this provider: an identity of another one opens no account. */
  isIssuer(issuer: string): boolean {
    return URL.canParse(issuer) && new URL(issuer).href === new URL(this.settings.issuer).href;
  }

  /** Whether a page at this address may ask to be returned to. */
  mayReturnTo(address: string): boolean {
    if (!URL.canParse(address) || address.includes('#')) return false;
    const { protocol, host, username, password } = new URL(address);
    return username === '' && password === '' && this.#origins.includes(`${protocol}//${host}`);
  }

  /**
   * Begins a login.
   * @returns where the browser goes, and what the answer has to fit
   * @throws {AppError} 503
   */
  async begin(): Promise<{ url: string; secrets: LoginSecrets }> {
    const secrets = {
      state: this.#library.randomState(),
      nonce: this.#library.randomNonce(),
      verifier: this.#library.randomPKCECodeVerifier(),
    };
    const challenge = await this.#library.calculatePKCECodeChallenge(secrets.verifier);
    const url = await this.#asked((configuration) =>
      this.#library.buildAuthorizationUrl(configuration, {
        redirect_uri: this.#redirectUri,
        scope: this.settings.scope,
        state: secrets.state,
        nonce: secrets.nonce,
        code_challenge: challenge,
        code_challenge_method: 'S256',
      }),
    );
    return { url: url.href, secrets };
  }

  /**
   * Trades the answer that the browser brought for who the user is.
   * @param response the query with which the provider sent the browser back
   * @throws {AppError} 403 `oidc_refused` if the provider refused, or what it says does not fit; 503 if it does not answer
   */
  async redeem(response: string, { state, nonce, verifier }: LoginSecrets): Promise<ProvedIdentity> {
    const returned = new URL(this.#redirectUri);
    returned.search = response;
    return this.#asked(async (configuration) => {
      const tokens = await this.#library.authorizationCodeGrant(configuration, returned, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      const token = tokens.claims();
      if (!token || !SUBJECT.test(token.sub)) throw new this.#library.ClientError('the subject is not valid');
      // Where it is not in the token. Both are of one source: the proof of one address is none of another.
      const told: Record<string, unknown> =
        token.email === undefined && configuration.serverMetadata().userinfo_endpoint !== undefined
          ? await this.#library.fetchUserInfo(configuration, tokens.access_token, token.sub)
          : token;
      const { email, email_verified: verified } = told;
      const usable = typeof email === 'string' && email.length <= 254 && isEmail(email);
      return {
        issuer: token.iss,
        sub: token.sub,
        email: usable ? email : null,
        emailVerified: usable && verified === true,
        name: nameOf({ ...token, ...told }),
      };
    });
  }

  /** Does something with the provider. @throws {AppError} in place of what the library throws, whose errors may hold tokens */
  async #asked<T>(work: (configuration: Configuration) => T | Promise<T>): Promise<T> {
    if (this.#waiting >= MOST_WAITING) throw this.#unreachable();
    this.#waiting += 1;
    try {
      return await work(this.#configurationFor(await this.#server()));
    } catch (error) {
      throw this.#refusalOf(error);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #server(): Promise<ServerMetadata> {
    const now = Date.now();
    if (this.#known && (now - this.#known.readAt < FRESH || now < this.#notBefore)) return this.#known.server;
    try {
      return await this.#read();
    } catch (error) {
      if (!this.#known) throw error;
      this.#notBefore = Date.now() + RETRY;
      this.#log.warn(
        factsOf(error),
        'the OpenID provider could not be read again; what it said last is used',
      );
      return this.#known.server;
    }
  }

  async #readAgain(): Promise<ServerMetadata> {
    const { issuer, clientId } = this.settings;
    const customFetch: OpenIdClient['customFetch'] = this.#library.customFetch;
    const configuration = await this.#library
      .discovery(new URL(issuer), clientId, undefined, this.#library.None(), {
        timeout: this.#requestLimit / 1000,
        [customFetch]: boundedFetch,
        // oxlint-disable-next-line typescript/no-deprecated -- so that nobody uses it elsewhere
        execute: this.#isWithoutTls ? [this.#library.allowInsecureRequests] : [],
      })
      .catch((error: unknown) => {
        throw new NoAnswer('what the OpenID provider says of itself could not be read', { cause: error });
      });
    const server = configuration.serverMetadata();
    // Some providers have one address for many issuers, whose subjects could be anybody.
    if (!this.isIssuer(server.issuer)) throw new NoAnswer('the OpenID provider is another issuer');
    this.#known = { server, readAt: Date.now() };
    return server;
  }

  /** Only of a provider on this machine: `OIDC_ISSUER` is not without TLS otherwise. */
  get #isWithoutTls(): boolean {
    return this.settings.issuer.startsWith('http:');
  }

  /**
   * What one login works with. The library keeps the keys of the provider in it for minutes; the provider may change them
   * between any two logins, so each reads them for itself.
   */
  #configurationFor(server: ServerMetadata): Configuration {
    const { clientId, clientSecret } = this.settings;
    const customFetch: OpenIdClient['customFetch'] = this.#library.customFetch;
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const authentication =
      clientSecret === undefined
        ? this.#library.None()
        : methods.includes('client_secret_basic') || !methods.includes('client_secret_post')
          ? this.#library.ClientSecretBasic(clientSecret)
          : this.#library.ClientSecretPost(clientSecret);
    const configuration = new this.#library.Configuration(
      server,
      clientId,
      { [this.#library.clockTolerance]: CLOCKS_APART },
      authentication,
    );
    configuration.timeout = this.#requestLimit / 1000;
    configuration[customFetch] = boundedFetch;
    // Also what comes over TLS from the provider itself is only believed with its signature.
    this.#library.enableNonRepudiationChecks(configuration);
    // oxlint-disable-next-line typescript/no-deprecated -- so that nobody uses it elsewhere
    if (this.#isWithoutTls) this.#library.allowInsecureRequests(configuration);
    return configuration;
  }

  #refusalOf(error: unknown): AppError {
    if (error instanceof AppError) return error;
    const { name } = this;
    if (error instanceof this.#library.AuthorizationResponseError) {
      this.#log.info(factsOf(error), 'the OpenID provider did not log somebody in');
      if (error.error === 'temporarily_unavailable' || error.error === 'server_error')
        return this.#unreachable();
      return new AppError('oidc_refused', `${name} did not log you in. Begin again, or log in another way.`);
    }
    const code = error instanceof this.#library.ResponseBodyError ? error.error : undefined;
    // The addresses may be others by now.
    if (this.#known && code !== 'invalid_grant' && Date.now() - this.#known.readAt > RETRY)
      this.#known.readAt = 0;
    this.#log.warn(factsOf(error), 'a login with the OpenID provider failed');
    // A client that the provider does not know is the operator's to mend, not a fault of what the browser brought.
    if (isNoAnswer(error) || (code !== undefined && code !== 'invalid_grant')) return this.#unreachable();
    return new AppError(
      'oidc_refused',
      `The answer of ${name} is not valid any more, or never was. Begin again.`,
    );
  }

  #unreachable(): AppError {
    return unavailable(
      `${this.name} cannot be reached or used at present. Try again, or log in another way.`,
      5,
    );
  }
}

/** Whether a request to the provider came to nothing, or what it gave is no answer of one. */
function isNoAnswer(error: unknown, depth = 0): boolean {
  if (error instanceof NoAnswer) return true;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'OAUTH_RESPONSE_IS_NOT_CONFORM' || code === 'OAUTH_RESPONSE_IS_NOT_JSON') return true;
  return error instanceof Error && depth < 4 && isNoAnswer(error.cause, depth + 1);
}

/** What is logged of a failure: no message and no cause, which may hold tokens and addresses. */
function factsOf(error: unknown): object {
  const known = error instanceof NoAnswer && error.cause instanceof Error ? error.cause : error;
  const { name, code, error: said } = known as { name?: unknown; code?: unknown; error?: unknown };
  const word = (value: unknown) =>
    typeof value === 'string' && /^\w{1,60}$/.test(value) ? value : undefined;
  return { type: word(name), code: word(code), oauth_error: word(said), unreachable: isNoAnswer(error) };
}

/** One request: its answer is read whole, within its time and a bounded size. */
async function boundedFetch(url: string, { body, ...options }: CustomFetchOptions): Promise<Response> {
  try {
    const init: object = { ...options, body };
    const answer = await fetch(url, init);
    if (answer.status >= 500) throw new Error(`status ${answer.status}`);
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    const stream: ReadableStream<Uint8Array> | null = answer.body;
    const reader = stream?.getReader();
    for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
      bytes += part.value.byteLength;
      if (bytes > MOST_BYTES) throw new Error('too long');
      pieces.push(part.value);
    }
    const { status, headers } = answer;
    return new Response(bytes === 0 ? null : Buffer.concat(pieces), { status, headers });
  } catch (error) {
    throw new NoAnswer('the OpenID provider did not answer', { cause: error });
  }
}

/** What a user is called at the provider, in the letters of names here. An address is no name: it is nobody's business. */
function nameOf({ preferred_username: preferred, nickname }: Record<string, unknown>): string | null {
  for (const told of [preferred, nickname]) {
    if (typeof told !== 'string' || told.includes('@')) continue;
    const letters = told
      .slice(0, 200)
      .normalize('NFKD')
      .replaceAll(/\s+/g, '.')
      .replaceAll(/[^A-Za-z0-9_.-]/g, '')
      .slice(0, 30)
      .replaceAll(/^[_.-]+|[_.-]+$/g, '');
    if (letters.length >= 3) return letters;
  }
  return null;
}

/** What the service needs for logins with the provider. */
export interface Oidc {
  provider: OidcProvider;
  seal: Seal;
}
