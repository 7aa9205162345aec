import type { Caller } from './caller.ts';
import type { BegunLogin, LinkedIdentity, LoginSupplement, ProviderAnswer, Tokens } from './contract.ts';
import type { Requests } from './requests.ts';
import type { Session } from './session.ts';

/** Logins with the OpenID provider of the service, which `client.service()` names. */
export class OpenId {
  readonly #requests: Requests;
  readonly #caller: Caller;
  readonly #session: Session;

  constructor(requests: Requests, caller: Caller, session: Session) {
    this.#requests = requests;
    this.#caller = caller;
    this.#session = session;
  }

  /**
   * Begins a login. Keep `secret` and `state` in the browser, and go to `authorization_url`.
   * @param returnTo where the browser comes back to, with `#oidc=` and the answer; the page of the service unless you say otherwise
   * @throws {TidingsError} `not_found`, `invalid`, `unavailable`
   */
  readonly begin = async (returnTo?: string): Promise<BegunLogin> => {
    const { body } = await this.#requests.send<BegunLogin>({
      method: 'POST',
      path: '/login/oidc',
      body: returnTo === undefined ? {} : { return_to: returnTo },
      repeatable: true,
    });
    return body;
  };

  /**
   * Logs in with what the browser came back with.
   * @throws {TidingsError} if more is needed, and the same call with it follows: `otp_required`, `username_required`,
   *   `link_required`, `invitation_required`; `oidc_refused` and `unauthorized`: begin again; `suspended`
   */
  readonly finish = async (answer: ProviderAnswer, supplement: LoginSupplement = {}): Promise<void> => {
    const { body } = await this.#requests.send<Tokens>({
      method: 'POST',
      path: '/login/oidc/finish',
      body: { ...answer, ...supplement },
      repeatable: false,
    });
    this.#session.begin(body);
  };

  /** The identities with which you can log in. */
  readonly identities = (): Promise<LinkedIdentity[]> =>
    this.#caller.body({ method: 'GET', path: '/users/me/identities', repeatable: true });

  /**
   * Begins to link one more, as `begin` does.
   * @param password undefined: your account has none, and you have just logged in
   * @throws {TidingsError} `invalid_credentials`, `login_again`
   */
  readonly beginLink = (password: string | undefined): Promise<BegunLogin> =>
    this.#caller.body({
      method: 'POST',
      path: '/users/me/identities/begin',
      body: { password },
      repeatable: false,
    });

  /** Links it. @throws {TidingsError} `conflict`: it is another account's; `oidc_refused`, `unauthorized` */
  readonly link = (answer: ProviderAnswer): Promise<LinkedIdentity> =>
    this.#caller.body({
      method: 'POST',
      path: '/users/me/identities',
      body: answer,
      repeatable: false,
    });

  /** Unlinks one. @throws {TidingsError} `conflict`: it is the only way in; `invalid_credentials`, `login_again` */
  readonly unlink = async (id: number, password: string | undefined): Promise<void> => {
    await this.#caller.call({
      method: 'DELETE',
      path: `/users/me/identities/${id}`,
      body: { password },
      repeatable: false,
    });
  };
}
