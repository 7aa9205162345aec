import { createHash, randomBytes } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import type { Seal } from '../mail/seal.ts';

/** RFC 6238, as authenticator apps have it when nothing else is said. */
const PARAMETERS = { algorithm: 'SHA1', digits: 6, period: 30 } as const;
/** How many steps a clock may be off, either way. */
const SKEW = 1;
/** Recovery codes that a user is given, and the random bytes of each: too many to be guessed from a hash. */
const RECOVERY_CODES = 10;
const RECOVERY_BYTES = 10;

const SIX_DIGITS = /^[0-9]{6}$/;

/** A code without what people and keyboards put into it: spaces, dashes, wide digits and letters. */
const typed = (code: string) => code.normalize('NFKC').replaceAll(/[\s\p{Pd}]/gu, '');

/** What an app is set up with. */
export interface TotpSetup {
  /** The secret in Base32, to be typed. */
  secret: string;
  /** The same as a link, `otpauth://totp/…`: for a QR code, or to be opened on the telephone. */
  uri: string;
}

/** Codes of authenticator apps (TOTP). Secrets are sealed where they are stored. */
export class Totp {
  readonly #seal: Seal;

  constructor(seal: Seal) {
    this.#seal = seal;
  }

  /** A new secret of 20 random bytes. @param issuer what the app calls the service */
  create(username: string, issuer: string): TotpSetup {
    const secret = new Secret({ size: 20 });
    return {
      secret: secret.base32,
      uri: new TOTP({ ...PARAMETERS, secret, issuer, label: username }).toString(),
    };
  }

  /** With the newest secret of the service. */
  seal(secret: string): Buffer {
    return this.#seal.close(secret);
  }

  /** @returns undefined if it was sealed with a secret of the service that is no longer configured */
  open(sealed: Buffer): string | undefined {
    return this.#seal.open(sealed);
  }

  /**
   * Which step of 30 seconds since 1970 a code is of.
   * @param at milliseconds since 1970
   * @returns undefined if it is of none around that time
   */
  stepOf(secret: string, code: string, at = Date.now()): number | undefined {
    const token = typed(code);
    // The library throws at six characters that are no ASCII.
    if (!SIX_DIGITS.test(token)) return undefined;
    const delta = TOTP.validate({
      ...PARAMETERS,
      secret: Secret.fromBase32(secret),
      token,
      timestamp: at,
      window: SKEW,
    });
    return delta === null ? undefined : TOTP.counter({ period: PARAMETERS.period, timestamp: at }) + delta;
  }
}

/** Whether what somebody typed can be the code of an app; otherwise it is taken for a recovery code. */
export function isAppCode(code: string): boolean {
  return /^[0-9]+$/.test(typed(code));
}

/** New recovery codes: sixteen characters of Base32 each, as `abcd-efgh-2345-6722`. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: RECOVERY_CODES }, () =>
    new Secret({ buffer: Uint8Array.from(randomBytes(RECOVERY_BYTES)).buffer }).base32
      .toLowerCase()
      .replace(/(.{4})(?=.)/g, '$1-'),
  );
}

/** By what a recovery code is found, in whatever case and grouping it is typed. */
export function recoveryHash(code: string): Buffer {
  return createHash('sha256').update(typed(code).toLowerCase()).digest();
}
