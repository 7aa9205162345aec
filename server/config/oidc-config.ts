import { isLoopbackName, nameOfHost } from './web-address.ts';

/** The OpenID provider with which users can log in. */
export interface OidcSettings {
  /** As the provider spells it in its tokens: compared character by character. */
  issuer: string;
  clientId: string;
  /** Undefined: a public client, which proves itself by PKCE alone. */
  clientSecret: string | undefined;
  /** What the button says behind "Log in with". */
  name: string;
  /** What the provider is asked for, with spaces between. */
  scope: string;
  /** Who gets an account by the first login there: `same` as SIGN_UP says, or `open`, anyone. */
  signUp: 'same' | 'open';
}

/** An issuer (OpenID Connect Discovery 1.0, 3); undefined if the text is none. On this machine it may be without TLS. */
export function oidcIssuer(value: string): string | undefined {
  if (!/^https?:\/\/[^\s?#@\\]+$/.test(value) || !URL.canParse(value)) return undefined;
  const { protocol, host } = new URL(value);
  const name = nameOfHost(host);
  if (name === undefined) return undefined;
  return protocol === 'https:' || isLoopbackName(name) ? value : undefined;
}

/** Scopes (RFC 6749, 3.3) with one space between them; undefined unless `openid` is one of them. */
export function oidcScopes(value: string): string | undefined {
  const scopes = value.split(' ').filter((scope) => scope !== '');
  const valid = scopes.every((scope) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope));
  return valid && scopes.includes('openid') ? scopes.join(' ') : undefined;
}
