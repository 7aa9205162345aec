import { type AccountExport, readExport } from './account-export.ts';
import { Caller } from './caller.ts';
import type { EditUser, FeedEvent, OwnUser, PublicUser, ServiceInfo, SignUp, Tokens } from './contract.ts';
import { Feed, type FeedOptions } from './feed/feed.ts';
import { LoginSessions } from './login-sessions.ts';
import { Moderation } from './moderation.ts';
import { Notifications } from './notifications.ts';
import { OpenId } from './open-id.ts';
import { Posts } from './posts.ts';
import { type Fetch, Requests } from './requests.ts';
import { Session } from './session.ts';
import { memoryStorage, type SessionStorage } from './session-storage.ts';
import { SecondFactor } from './second-factor.ts';
import { Users } from './users.ts';
import { Votes } from './votes.ts';
import { Webhooks } from './webhooks.ts';

export interface ClientOptions {
  /** Where the service is: `https://tidings.example.org`. A page that the service itself serves need not say. */
  url?: string;
  /** Where the session is kept: in memory unless you say otherwise. */
  storage?: SessionStorage;
  fetch?: Fetch;
  /**
   * Whether cookies go along to a service of another origin, with requests and sockets: for a proxy in front of it that
   * knows its users or its nodes by a cookie. The service's `CORS_ORIGINS` must name the origin of the page.
   */
  withCredentials?: boolean;
}

export interface EventsOptions {
  /** The last seq that you have seen; without it, from now on. */
  after?: number;
  epoch?: string;
  /** 1 to 500. There may be fewer although there are more: an answer has about a megabyte. */
  limit?: number;
  /** Seconds to wait for an event if there is none yet, at most 30. */
  wait?: number;
  signal?: AbortSignal;
}

export interface EventPage {
  epoch: string;
  /** The highest seq; of a page without events the position up to which there is none for you, to continue from. */
  head: number;
  events: FeedEvent[];
}

export interface ExportOptions {
  /** The largest export that is read; 512 MiB unless you say otherwise. */
  maxBytes?: number;
  signal?: AbortSignal;
}

const MAX_EXPORT = 512 * 1024 * 1024;
/** The server ends it after half an hour. Milliseconds. */
const EXPORT_TIMEOUT = 31 * 60_000;

/** Everything that Tidings offers to one user. */
export class Client {
  /** Vue makes no reactive proxy of it, which could not reach its private members. @internal */
  readonly __v_skip = true;
  readonly session: Session;
  readonly posts: Posts;
  readonly votes: Votes;
  readonly users: Users;
  readonly sessions: LoginSessions;
  readonly notifications: Notifications;
  readonly moderation: Moderation;
  readonly secondFactor: SecondFactor;
  readonly webhooks: Webhooks;
  readonly openId: OpenId;
  readonly #url: string;
  readonly #withCredentials: boolean;
  readonly #requests: Requests;
  readonly #caller: Caller;

  constructor({
    url,
    storage = memoryStorage(),
    fetch = globalThis.fetch.bind(globalThis),
    withCredentials = false,
  }: ClientOptions) {
    this.#url = baseOf(url);
    this.#withCredentials = withCredentials;
    this.#requests = new Requests(this.#url, fetch, withCredentials);
    this.session = new Session(this.#requests, storage);
    this.#caller = new Caller(this.#requests, this.session);
    this.posts = new Posts(this.#caller);
    this.votes = new Votes(this.#caller);
    this.users = new Users(this.#caller);
    this.sessions = new LoginSessions(this.#caller);
    this.notifications = new Notifications(this.#caller);
    this.moderation = new Moderation(this.#caller);
    this.secondFactor = new SecondFactor(this.#caller);
    this.webhooks = new Webhooks(this.#caller);
    this.openId = new OpenId(this.#requests, this.#caller, this.session);
  }

  /** What the service says of itself, also who may sign up, whether it sends mails, and its OpenID provider. */
  readonly service = async (): Promise<ServiceInfo> =>
    (await this.#requests.send<ServiceInfo>({ method: 'GET', path: '/', repeatable: true })).body;

  /** Makes an account and logs in. @throws {TidingsError} `conflict`, `invalid`, `sign_up_closed`, `invitation_required` */
  readonly signUp = async (account: SignUp): Promise<OwnUser> => {
    const { body } = await this.#requests.send<OwnUser>({
      method: 'POST',
      path: '/users',
      body: account,
      repeatable: false,
    });
    await this.logIn(account);
    return body;
  };

  /**
   * @param otp a code of the app, or a recovery code, of an account whose logins ask for one
   * @throws {TidingsError} `invalid_credentials`; `otp_required` without a code, `otp_invalid` for a wrong or used one;
   *   `suspended`, with `suspension`
   */
  readonly logIn = async ({
    email,
    password,
    otp,
  }: {
    email: string;
    password: string;
    otp?: string;
  }): Promise<void> => {
    const { body } = await this.#requests.send<Tokens>({
      method: 'POST',
      path: '/login',
      body: { email, password, ...(otp === undefined ? {} : { otp }) },
      // A code is good once.
      repeatable: otp === undefined,
    });
    this.session.begin(body);
  };

  /**
   * Asks for a mail with a link to a new password. It tells nothing of whether somebody has the address.
   * @throws {TidingsError} `no_mail`
   */
  readonly forgotPassword = async (email: string): Promise<void> => {
    await this.#requests.send({
      method: 'POST',
      path: '/password/forgot',
      body: { email },
      repeatable: false,
    });
  };

  /** Sets a new password with the token of such a link, and ends all sessions. @throws {TidingsError} `unauthorized`, `invalid` */
  readonly resetPassword = async (reset: { token: string; password: string }): Promise<void> => {
    await this.#requests.send({ method: 'POST', path: '/password/reset', body: reset, repeatable: false });
  };

  /**
   * Has the link sent again that verifies one's address, or the new one that waits.
   * @throws {TidingsError} `no_mail`, `conflict` if there is nothing to verify
   */
  readonly requestVerification = async (): Promise<void> => {
    await this.#caller.call({ method: 'POST', path: '/email/verify/request', repeatable: false });
  };

  /** Proves an address with the token of such a link. @throws {TidingsError} `unauthorized`, `conflict` if it is taken by now */
  readonly verifyEmail = async (token: string): Promise<void> => {
    await this.#requests.send({ method: 'POST', path: '/email/verify', body: { token }, repeatable: false });
  };

  /** Undoes a change of an address with the token that the old one was sent. @throws {TidingsError} `unauthorized`, `conflict` */
  readonly undoEmailChange = async (token: string): Promise<void> => {
    await this.#requests.send({ method: 'POST', path: '/email/undo', body: { token }, repeatable: false });
  };

  /**
   * Ends the session. It is deleted here at once, even if the server cannot be reached. @throws {TidingsError} if the
   * server could not be reached: its tokens then work until they end by themselves
   */
  readonly logOut = async (): Promise<void> => {
    await this.session.end();
  };

  /** Ends all sessions of the user, on every device. @throws {TidingsError} and then none has ended */
  readonly logOutEverywhere = async (): Promise<void> => {
    await this.session.endBy(() =>
      this.#caller.call({ method: 'POST', path: '/logout/all', repeatable: false }),
    );
  };

  /** Your own account. */
  readonly me = (): Promise<OwnUser> =>
    this.#caller.body({ method: 'GET', path: '/users/me', repeatable: true });

  /**
   * A new e-mail address or password needs `current_password`; a new password ends all your other sessions. Where the
   * service sends mail, a new address is `pending_email` until it is verified.
   */
  readonly updateMe = (edit: EditUser): Promise<OwnUser> =>
    this.#caller.body({ method: 'PATCH', path: '/users/me', body: edit, repeatable: false });

  /**
   * All that you have written and set, as JSON lines (see `GET /users/me/export`), held in memory or where the browser
   * keeps a `Blob`.
   * @throws {TidingsError} `too_many_requests`; `too_large`; `network` if it was cut off
   */
  readonly export = ({ maxBytes = MAX_EXPORT, signal }: ExportOptions = {}): Promise<AccountExport> =>
    this.#caller.body({
      method: 'GET',
      path: '/users/me/export',
      headers: { Accept: 'application/x-ndjson, application/problem+json' },
      repeatable: false,
      timeout: EXPORT_TIMEOUT,
      signal,
      read: (response) => readExport(response, maxBytes),
    });

  /** Deletes the account with its posts and votes. @throws {TidingsError} `invalid_credentials` */
  readonly deleteMe = async (password: string | undefined): Promise<void> => {
    await this.session.endBy(() =>
      this.#caller.call({ method: 'DELETE', path: '/users/me', body: { password }, repeatable: false }),
    );
  };

  /** What everyone may see of a user. @throws {TidingsError} `not_found` */
  readonly user = (id: number): Promise<PublicUser> => this.users.get(id);

  /**
   * The event log without a socket. A page that is short of its limit is not yet the end: one without events is.
   * @throws {TidingsError} `gone`: the position is no longer kept; read the list again
   */
  readonly events = ({ after, epoch, limit, wait, signal }: EventsOptions = {}): Promise<EventPage> =>
    this.#caller.body({
      method: 'GET',
      path: '/events',
      query: { after, epoch, limit, wait },
      repeatable: true,
      timeout: 15_000 + (wait ?? 0) * 1000,
      signal,
    });

  /** The live feed. It connects at once and stays until it is closed or the session ends. */
  readonly feed = (options: FeedOptions = {}): Feed =>
    new Feed(this.#url, this.session, options, this.#withCredentials);
}

export function createClient(options: ClientOptions = {}): Client {
  return new Client(options);
}

function baseOf(url: string | undefined): string {
  const { location } = globalThis as { location?: { origin: string } };
  const base = url ?? location?.origin;
  if (base === undefined) throw new TypeError('createClient needs the url of the service here');
  return base.replace(/\/+$/, '');
}
