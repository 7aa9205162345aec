import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

const CERTIFICATE = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END [^-]*-----/g;

/**
 * Whether a PEM text contains only valid certificates. OpenSSL skips what it cannot read, and an empty list of
 * authorities trusts nobody.
 */
export function holdsCertificates(pem: string): boolean {
  const found = pem.match(CERTIFICATE) ?? [];
  try {
    return found.map((one) => new X509Certificate(one)).length > 0;
  } catch {
    return false;
  }
}

/** Whether these are a certificate and its private key, which has no passphrase. PEM texts. */
export function belongTogether(cert: string, key: string): boolean {
  try {
    createSecureContext({ cert, key });
    return true;
  } catch {
    return false;
  }
}
