import { type Oidc, OidcProvider } from '../auth/oidc-provider.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../logger.ts';
import { Seal } from '../mail/seal.ts';
import type { TimeLimits } from '../time-limits.ts';

/** The OpenID provider with which users can log in; undefined: none. It is not asked for anything here. */
export async function createOidc(
  { corsOrigins, oidc: settings, serviceUrl }: Readonly<Config>,
  secrets: readonly string[],
  log: Logger,
  timeLimits: Readonly<TimeLimits>,
): Promise<Oidc | undefined> {
  if (!settings) return undefined;
  const provider = new OidcProvider({
    settings,
    redirectUri: `${serviceUrl}/login/oidc/callback`,
    // With CORS_ORIGINS=* that is any page, and one of them could begin a login for somebody else to finish.
    origins: [new URL(serviceUrl).origin, ...corsOrigins.filter((origin) => origin !== '*')],
    log,
    library: await import('openid-client'),
    requestLimit: timeLimits.provider,
  });
  return { provider, seal: new Seal(secrets, 'oidc') };
}
