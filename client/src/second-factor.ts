import type { Caller } from './caller.ts';
import type { SecondFactorView, TotpSetup } from './contract.ts';

/** The second factor of your logins: a code of an authenticator app (TOTP). */
export class SecondFactor {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Whether your logins ask for a code, and how many recovery codes are left. */
  readonly state = (): Promise<SecondFactorView> =>
    this.#caller.body({ method: 'GET', path: '/users/me/totp', repeatable: true });

  /** A secret for the app, which takes effect when it is confirmed. @throws {TidingsError} `invalid_credentials`, `conflict` */
  readonly begin = (password: string | undefined): Promise<TotpSetup> =>
    this.#caller.body({
      method: 'POST',
      path: '/users/me/totp',
      body: { password },
      repeatable: false,
    });

  /** Turns it on. @returns ten recovery codes, which are not shown again. @throws {TidingsError} `otp_invalid`, `not_found` */
  readonly confirm = async (code: string): Promise<string[]> => {
    const { recovery_codes } = await this.#caller.body<{ recovery_codes: string[] }>({
      method: 'POST',
      path: '/users/me/totp/confirm',
      body: { code },
      repeatable: false,
    });
    return recovery_codes;
  };

  /** Turns it off. @throws {TidingsError} `invalid_credentials`, `not_found` */
  readonly end = async (password: string | undefined): Promise<void> => {
    await this.#caller.call({
      method: 'DELETE',
      path: '/users/me/totp',
      body: { password },
      repeatable: false,
    });
  };
}
