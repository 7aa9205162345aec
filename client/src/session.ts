import { bearer } from './bearer.ts';
import type { Tokens } from './contract.ts';
import { jittered } from './delay.ts';
import { Emitter } from './emitter.ts';
import type { Requests } from './requests.ts';
import type { SessionEnd, SessionStorage, StoredSession } from './session-storage.ts';
import { TidingsError } from './tidings-error.ts';
import { areOfTwoUsers, userOfToken } from './token-user.ts';

/** How the session changed. */
export interface SessionChange {
  loggedIn: boolean;
  /** `replaced`: another user has logged in over it, here or in another tab; `logged-in` follows at once. */
  reason: 'logged-in' | 'renewed' | 'replaced' | SessionEnd;
  /** Of `ended`, where the server said so here and not in another tab: `suspended` has until when, and why. */
  error?: TidingsError;
}

/** What a user interface shows of the session. The same object until it changes; a renewal is no change. */
export interface SessionState {
  loggedIn: boolean;
  /** Who is; undefined if nobody. */
  userId: number | undefined;
  /** Why it is so; undefined as long as nothing has happened to the session here. */
  reason: SessionChange['reason'] | undefined;
}

/** What a server renders, and a browser that takes that over: it does not know yet who reads. */
const UNKNOWN: SessionState = { loggedIn: false, userId: undefined, reason: undefined };

/** A token is renewed when so much of its life is left, but never more than this. Milliseconds. */
const RENEWED_WITH_LEFT = { share: 0.25, atMost: 60_000 };
/** What the server says of a session that is over. */
const endsSession = new Set<TidingsError['code']>(['unauthorized', 'suspended']);
/** For one attempt to renew the tokens. Milliseconds. */
const TRADE_TIMEOUT = 4000;
/** Between two tries while the server does not answer. Milliseconds. */
const RETRY = 5000;

/**
 * The session and its tokens. An access token is renewed a little before its end and whenever the server refuses it.
 * Renewals are one at a time among all who share the storage, and each looks into the storage first: another tab may
 * have been quicker. Another user may have logged in there too: what somebody has begun is never done as somebody else.
 */
export class Session {
  readonly #requests: Requests;
  readonly #storage: SessionStorage;
  readonly #emitter = new Emitter<{ change: (change: SessionChange) => void }>();
  /** Clients that started together do not renew together. */
  readonly #spread = 1 + Math.random() / 2;
  #renewal: { stale: string; token: Promise<string> } | undefined;
  /** The access token that listeners know of. */
  #told: string | undefined;
  /** Calls in progress that end the session. */
  #leaving = 0;
  #keepers = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unlisten: (() => void) | undefined;
  #listeners = 0;
  #state = UNKNOWN;

  constructor(requests: Requests, storage: SessionStorage) {
    this.#requests = requests;
    this.#storage = storage;
    this.#told = storage.read()?.accessToken;
  }

  get loggedIn(): boolean {
    return this.#storage.read() !== undefined;
  }

  /** The session to render. Bound, like `subscribe`: what `useSyncExternalStore` takes. */
  readonly getSnapshot = (): SessionState => {
    const { loggedIn, userId } = this.#present();
    if (this.#state.loggedIn !== loggedIn || this.#state.userId !== userId)
      this.#state = { loggedIn, userId, reason: undefined };
    return this.#state;
  };

  readonly getServerSnapshot = (): SessionState => UNKNOWN;

  /** Listens for another snapshot. Bound. @returns removes the listener */
  readonly subscribe = (listener: () => void): (() => void) => this.onChange(() => listener());

  /**
   * Listens to every change, also in other tabs.
   * @returns removes the listener
   */
  readonly onChange = (listener: (change: SessionChange) => void): (() => void) => {
    const off = this.#emitter.on('change', listener);
    const release = this.#listenToOthers();
    return () => {
      off();
      release();
    };
  };

  /**
   * Looks into the storage, and tells of what another tab has written: its event may be late, and a page that was frozen or
   * kept for "Back" is sent none. @returns whether somebody is logged in
   */
  readonly look = (): boolean => {
    this.#tellIfNew();
    return this.loggedIn;
  };

  /**
   * A token that is valid as far as the client knows.
   * @throws {TidingsError} `logged_out`: there is no session, or another user has logged in, of whom listeners are told now
   */
  readonly accessToken = async (): Promise<string> => {
    const session = this.#require();
    if (Date.now() < this.#dueAt(session)) return session.accessToken;
    try {
      return await this.renew(session.accessToken);
    } catch (error) {
      // It may still work for a while, and a server that cannot be reached will not be asked with it anyway.
      const left = this.#storage.read();
      if (!left || areOfTwoUsers(left.accessToken, session.accessToken)) throw error;
      if (error instanceof TidingsError && error.temporary && Date.now() < left.expiresAt)
        return left.accessToken;
      throw error;
    }
  };

  /**
   * Another token of the same user than this one, which is about to end or was refused.
   * @throws {TidingsError} `unauthorized`, `suspended`: the session is over; `logged_out`: there is none, or it is another user's;
   *   anything temporary: it may continue
   */
  readonly renew = async (stale: string): Promise<string> => {
    if (this.#renewal && areOfTwoUsers(this.#renewal.stale, stale)) {
      await this.#renewal.token.catch(() => undefined);
      return this.renew(stale);
    }
    this.#renewal ??= {
      stale,
      token: this.#storage
        .exclusively(() => this.#renewNow(stale))
        .finally(() => (this.#renewal = undefined)),
    };
    const { token: renewal } = this.#renewal;
    const token = await renewal;
    // The renewal that was in progress may have been that of the token before.
    return token === stale ? this.renew(stale) : token;
  };

  /** Begins a session with tokens that a log-in gave. */
  readonly begin = (tokens: Tokens): void => {
    this.#keep(toStored(tokens), 'logged-in');
  };

  /** Forgets the session here, at once. If it has become another user's, that one stays logged in. */
  readonly forget = (): void => {
    this.#forgetThatOf(this.#told);
  };

  /** Does what ends the session on the server, which others may hear of before it is answered: that is wanted. */
  readonly endBy = async (act: () => Promise<unknown>): Promise<void> => {
    const token = this.#told;
    this.#leaving += 1;
    try {
      await act();
      this.#forgetThatOf(token);
    } finally {
      this.#leaving -= 1;
    }
  };

  /** Forgets the session here, at once, and ends it on the server. @throws {TidingsError} */
  readonly end = async (): Promise<void> => {
    const session = this.#storage.read();
    const token = this.#told;
    this.forget();
    if (!session || (token !== undefined && areOfTwoUsers(token, session.accessToken))) return;
    try {
      const valid =
        Date.now() < session.expiresAt
          ? session.accessToken
          : (await this.#trade(session.refreshToken)).access_token;
      await this.#logOut(valid);
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TidingsError) || !endsSession.has(error.code)) throw error;
    }
  };

  /**
   * Renews the token in time, again and again, for as long as somebody needs it to be valid without asking for it.
   * @returns ends that
   */
  readonly keepFresh = (): (() => void) => {
    this.#keepers += 1;
    const release = this.#listenToOthers();
    this.#schedule();
    let kept = true;
    return () => {
      if (!kept) return;
      kept = false;
      this.#keepers -= 1;
      release();
      this.#schedule();
    };
  };

  /**
   * The session, of which listeners know from now on.
   * @param token of the user for whom it is wanted: who listeners knew of, unless one is given
   * @throws {TidingsError} `logged_out`
   */
  #require(token = this.#told): StoredSession {
    this.#tellIfNew();
    const session = this.#storage.read();
    if (!session) throw new TidingsError('logged_out', 'Nobody is logged in.', { status: 401 });
    if (token !== undefined && areOfTwoUsers(token, session.accessToken))
      throw new TidingsError('logged_out', 'Another user has logged in here.', { status: 401 });
    return session;
  }

  #forgetThatOf(token: string | undefined): void {
    const session = this.#storage.read();
    if (session && token !== undefined && areOfTwoUsers(token, session.accessToken)) this.#tellIfNew();
    else this.#remove('logged-out');
  }

  #present(): Pick<SessionState, 'loggedIn' | 'userId'> {
    const session = this.#storage.read();
    return { loggedIn: session !== undefined, userId: session && userOfToken(session.accessToken) };
  }

  #dueAt({ expiresAt, lifetime }: StoredSession): number {
    const { share, atMost } = RENEWED_WITH_LEFT;
    return expiresAt - Math.min(lifetime * share, atMost) * this.#spread;
  }

  async #renewNow(stale: string): Promise<string> {
    const session = this.#require(stale);
    if (session.accessToken !== stale) return session.accessToken;
    try {
      const tokens = await this.#trade(session.refreshToken);
      const renewed = toStored(tokens);
      const now = this.#storage.read()?.refreshToken;
      // Another tab may have been given the same pair, and have written it already.
      if (now !== session.refreshToken && now !== renewed.refreshToken)
        return await this.#unwanted(tokens, stale);
      this.#keep(renewed);
      return renewed.accessToken;
    } catch (error) {
      if (!(error instanceof TidingsError) || !endsSession.has(error.code)) throw error;
      // Where there are no locks another tab may have come first after all.
      const now = this.#storage.read();
      if (now && now.refreshToken !== session.refreshToken) return this.#require(stale).accessToken;
      if (now && this.#leaving > 0) this.#remove('logged-out');
      else if (now) this.#remove('ended', error);
      else this.#tellIfNew();
      throw error;
    }
  }

  /**
   * Said again if no answer came: for 30 seconds a token that has been used gives the same pair again. All attempts together
   * take less than the lease of a tab.
   */
  async #trade(refreshToken: string): Promise<Tokens> {
    const { body } = await this.#requests.send<Tokens>({
      method: 'POST',
      path: '/refresh',
      body: { refresh_token: refreshToken },
      repeatable: true,
      timeout: TRADE_TIMEOUT,
    });
    return body;
  }

  async #logOut(accessToken: string): Promise<void> {
    await this.#requests.send({
      method: 'POST',
      path: '/logout',
      headers: bearer(accessToken),
      repeatable: true,
    });
  }

  /** Somebody logged out or in while the renewal was in progress: its tokens belong to a session that nobody wants. */
  async #unwanted(tokens: Tokens, stale: string): Promise<string> {
    // If it cannot be said, the session ends by itself with its refresh token, which is forgotten here.
    await this.#logOut(tokens.access_token).catch(() => undefined);
    return this.#require(stale).accessToken;
  }

  /** Why there is no session, which another tab may have written. */
  get #writtenEnd(): SessionEnd {
    // Another tab hears from the server that the session is over which this one ends by a request.
    if (this.#leaving > 0) return 'logged-out';
    return this.#storage.readEnd?.() ?? 'ended';
  }

  #keep(session: StoredSession, reason?: 'logged-in'): void {
    this.#storage.write(session);
    this.#tellIfNew(reason);
  }

  #remove(end: SessionEnd, error?: TidingsError): void {
    this.#storage.write(undefined, end);
    this.#tellIfNew(end, error);
  }

  /**
   * @param reason what was done here; otherwise it shows in the storage
   * @param error what the server has said of its end
   */
  #tellIfNew(reason?: 'logged-in' | SessionEnd, error?: TidingsError): void {
    const before = this.#told;
    const token = this.#storage.read()?.accessToken;
    if (token === before) return;
    this.#told = token;
    this.#schedule();
    if (token === undefined)
      this.#tell({ loggedIn: false, reason: reason ?? this.#writtenEnd, ...(error && { error }) });
    else if (before === undefined) this.#tell({ loggedIn: true, reason: 'logged-in' });
    else if (areOfTwoUsers(before, token)) {
      this.#tell({ loggedIn: false, reason: 'replaced' });
      if (this.#told === token) this.#tell({ loggedIn: true, reason: 'logged-in' });
    } else this.#tell({ loggedIn: true, reason: reason ?? 'renewed' });
  }

  #tell(change: SessionChange): void {
    if (change.reason !== 'renewed') {
      const { loggedIn, reason } = change;
      this.#state = { loggedIn, reason, userId: loggedIn ? this.#present().userId : undefined };
    }
    this.#emitter.emit('change', change);
  }

  #schedule(retryIn?: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const session = this.#storage.read();
    if (this.#keepers === 0 || !session) return;
    const wait = retryIn ?? Math.max(0, this.#dueAt(session) - Date.now());
    this.#timer = setTimeout(() => {
      this.renew(session.accessToken).catch(() => {
        // A session that is over has told its listeners; a server that does not answer is asked again.
        if (this.loggedIn) this.#schedule(jittered(RETRY));
      });
    }, wait);
  }

  #listenToOthers(): () => void {
    this.#listeners += 1;
    this.#unlisten ??= this.#storage.onForeignWrite(() => this.#tellIfNew());
    let listening = true;
    return () => {
      if (!listening) return;
      listening = false;
      this.#listeners -= 1;
      if (this.#listeners > 0) return;
      this.#unlisten?.();
      this.#unlisten = undefined;
    };
  }
}

/** The server counts in whole seconds, so a token may live almost one less than it says. */
function toStored(tokens: Tokens): StoredSession {
  const lifetime = Math.max(tokens.expires_in - 1, tokens.expires_in / 2) * 1000;
  return {
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token,
    expiresAt: Date.now() + lifetime,
    lifetime,
  };
}
