import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { belongTogether, holdsCertificates } from './certificates.ts';
import { DatabaseUrlError } from './database-url-error.ts';

/** A parameter of DATABASE_URL, or the variable that stands in for it. */
export type Setting = (name: string) => string | undefined;

/** What `ssl` means, which `pg` knows and libpq does not: a mode. */
const SSL: Record<string, string> = {
  true: 'verify-full',
  1: 'verify-full',
  false: 'disable',
  0: 'disable',
  'no-verify': 'no-verify',
};
const MODES = ['disable', 'no-verify', 'require', 'verify-ca', 'verify-full'];

/**
 * What the address says of TLS. `require` verifies the server as `verify-full` does, which is stricter than libpq and what
 * `pg` does: who does not want that says `no-verify`. `verify-ca` leaves the name in the certificate out of it, so it needs
 * a CA of one's own.
 * @throws {DatabaseUrlError}
 */
export function tlsOptions(setting: Setting): false | ConnectionOptions {
  const wanted = setting('ssl') ?? 'false';
  if (!Object.hasOwn(SSL, wanted))
    throw new DatabaseUrlError(
      'ssl must be one of true, 1, false, 0, no-verify; sslmode says more about the encryption',
    );
  const certificates = ['sslrootcert', 'sslcert', 'sslkey'].some((name) => setting(name) !== undefined);
  const fallback =
    certificates || setting('sslnegotiation') === 'direct' ? 'verify-full' : (SSL[wanted] ?? 'disable');
  const mode = setting('sslmode') ?? fallback;
  if (!MODES.includes(mode))
    throw new DatabaseUrlError(
      `sslmode must be one of ${MODES.join(', ')}: whether the connection is encrypted must not depend on what the server offers`,
    );
  if (mode === 'disable') return false;
  const ca = setting('sslrootcert') === 'system' ? undefined : readFile('sslrootcert', setting);
  if (mode === 'verify-ca' && ca === undefined)
    throw new DatabaseUrlError(
      'sslmode=verify-ca needs sslrootcert, the file of a CA that signs for nobody else',
    );
  if (ca !== undefined && !holdsCertificates(ca))
    throw new DatabaseUrlError(
      'sslrootcert: the file has no certificate in PEM form (-----BEGIN CERTIFICATE-----)',
    );
  return {
    ...(ca === undefined ? {} : { ca }),
    ...clientCertificate(setting),
    ...(mode === 'no-verify' ? { rejectUnauthorized: false } : {}),
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}

function clientCertificate(setting: Setting): { cert?: string; key?: string } {
  const [cert, key] = [readFile('sslcert', setting), readFile('sslkey', setting)];
  if (cert === undefined && key === undefined) return {};
  if (cert === undefined || key === undefined)
    throw new DatabaseUrlError(
      'sslcert and sslkey belong together: a client certificate and its private key',
    );
  if (!belongTogether(cert, key))
    throw new DatabaseUrlError(
      'sslcert and sslkey must be PEM files, the second with the private key of the first and without a passphrase',
    );
  return { cert, key };
}

function readFile(name: string, setting: Setting): string | undefined {
  const path = setting(name);
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new DatabaseUrlError(`${name}: the file ${path} cannot be read (${reason})`);
  }
}

/** What Node, OpenSSL, `pg` and PostgreSQL say when TLS fails, and what it means. The first that fits. */
const faults: readonly (readonly [pattern: RegExp, meaning: string])[] = [
  [
    /ERR_TLS_CERT_ALTNAME_INVALID/,
    'the certificate of the server is not for this host: use the name that is in it, or sslmode=verify-ca with a sslrootcert that signs for nobody else',
  ],
  [/CERT_HAS_EXPIRED/, 'the certificate of the server, or that of its CA, has expired'],
  [/CERT_NOT_YET_VALID/, 'the certificate of the server is not valid yet: compare the clocks'],
  [
    /SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY|CERT_SIGNATURE_FAILURE|INVALID_CA|CERT_UNTRUSTED/,
    'the certificate of the server is not signed by a trusted CA: set sslrootcert (or PGSSLROOTCERT) to the file of its CA',
  ],
  [
    /does not support SSL/i,
    'the server offers no TLS: set ssl = on there, or use sslmode=disable if the network is trusted',
  ],
  [
    /\balert\b|ERR_SSL|\bEPROTO\b|establishing an SSL/i,
    'the server refuses the TLS connection: see its log, and sslcert and sslkey',
  ],
];

/**
 * A failure to connect, with what it means where it is one of TLS.
 * @param encrypted whether TLS was used
 */
export function explainConnectFailure(error: unknown, encrypted: boolean): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as { code?: string };
  // 28000: no line of pg_hba.conf fits, as where the server wants TLS, or a client certificate.
  const meaning =
    code === '28000'
      ? encrypted
        ? 'the server may require a client certificate: set sslcert and sslkey'
        : 'the server may require TLS: use sslmode=verify-full'
      : faults.find(([pattern]) => pattern.test(`${code ?? ''} ${error.message}`))?.[1];
  if (meaning === undefined) return error;
  const explained = new Error(`${meaning} (${error.message.replace(/[.:\s]+$/, '')})`, { cause: error });
  return Object.assign(explained, code === undefined ? {} : { code });
}
