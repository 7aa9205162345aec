import { isIP } from 'node:net';
import Joi from 'joi';
import { parseRedisUrl, type RedisTarget } from './config/redis-url.ts';
import { addressFault } from './config/connection-config.ts';
import { mailSender, type MailSender, mailServer, type MailServer } from './config/mail-config.ts';
import { type OidcSettings, oidcIssuer, oidcScopes } from './config/oidc-config.ts';
import { FAST_PATHS, type FastPath } from './library-internals/fast-paths.ts';
import { isLoopbackName, nameOfHost, originOf } from './config/web-address.ts';

/**
 * Reads the environment; nothing else does. Every value is validated at start; an error names the variable and its
 * allowed values.
 */

/** A fault in the configuration: the message names the variable and what it may be. The process exits with 78 (EX_CONFIG). */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Connections of the feed, beside those for requests. */
export const FEED_CONNECTIONS = 5;

/** What an operator is told of a link without PUBLIC_URL. */
export const LOCAL_LINK =
  'PUBLIC_URL is not set: the link leads to this machine, and is good for nobody elsewhere.';

/** Where the embedded database is, unless DATA_DIR says otherwise. */
export const DEFAULT_DATA_DIR = './data';

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** What `parse` makes of the text; undefined is a fault. */
function parsed(parse: (text: string) => unknown, fault: string): Joi.StringSchema {
  return Joi.string().custom(
    (text: string, helpers) => parse(text) ?? helpers.message({ custom: `{{#label}} ${fault}` }),
  );
}

/** A span of time such as `15m` in milliseconds; undefined if it is none. */
export function parseDuration(value: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(value) ?? [];
  return amount && unit ? Number(amount) * units[unit as keyof typeof units] : undefined;
}

function commaList(item: Joi.Schema): Joi.Schema {
  return Joi.string()
    .allow('')
    .custom((value: string, helpers) => {
      const items = value
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '');
      const result: Joi.ValidationResult<string[]> = Joi.array<string[]>().items(item).validate(items);
      if (result.error)
        return helpers.message({
          custom: `{{#label}}: ${result.error.details[0]?.message.replace(/^"[^"]*" /, 'each item ') ?? ''}`,
        });
      return result.value;
    })
    .default([]);
}

interface Variable<T> {
  /** In the environment. */
  name: string;
  schema: Joi.Schema;
  /** What the schema makes of the text; there is no such value. */
  type?: T;
}

function variable<T>(name: string, schema: Joi.Schema): Variable<T> {
  return { name, schema };
}

/** The address of a database. */
function databaseAddress(name: string): Variable<string | undefined> {
  return variable(
    name,
    Joi.string().custom((value: string, helpers) => {
      const fault = addressFault(value, name);
      return fault === undefined ? value : helpers.message({ custom: fault.replaceAll('{', '(') });
    }),
  );
}

/** Addresses of databases, separated by white space. */
function addressList(name: string): Variable<string[]> {
  return variable(
    name,
    Joi.string()
      .custom((value: string, helpers) => {
        const urls = value.split(/\s+/).filter((url) => url !== '');
        const fault = urls.map((url) => addressFault(url, name)).find((found) => found !== undefined);
        return fault === undefined ? urls : helpers.message({ custom: fault.replaceAll('{', '(') });
      })
      .default([]),
  );
}

function integer(name: string, fallback: number, atLeast: number, atMost = Infinity): Variable<number> {
  const allowed = atMost === Infinity ? `of ${atLeast} or more` : `from ${atLeast} to ${atMost}`;
  const schema = Joi.number().integer().min(atLeast).max(atMost);
  return {
    name,
    schema: schema.messages({ '*': `{{#label}} must be a whole number ${allowed}` }).default(fallback),
  };
}

/** A span of time such as `15m`, as milliseconds. */
function span(name: string, fallback: string, atLeast: string, atMost: string): Variable<number> {
  const [least = 0, most = 0] = [parseDuration(atLeast), parseDuration(atMost)];
  const schema = parsed((text) => {
    const value = parseDuration(text);
    return value !== undefined && value >= least && value <= most ? value : undefined;
  }, `must be a duration from ${atLeast} to ${atMost}, such as 500ms, 30s, 15m, 12h or 7d`);
  return { name, schema: schema.default(parseDuration(fallback)) };
}

function oneOf<T extends string>(name: string, fallback: NoInfer<T>, values: readonly T[]): Variable<T> {
  return {
    name,
    schema: Joi.string()
      .valid(...values)
      .default(fallback),
  };
}

/** Field of the configuration → its variable. */
const variables = {
  nodeEnv: oneOf('NODE_ENV', 'development', ['development', 'test', 'production']),
  host: variable<string>(
    'HOST',
    Joi.string()
      .hostname()
      .messages({
        'string.hostname':
          '{{#label}} must be a name or an address without a port, such as 127.0.0.1, or 0.0.0.0 for all',
      })
      .default('127.0.0.1'),
  ),
  port: integer('PORT', 3000, 0, 65_535),
  /** Unset: the embedded database in `dataDir`. */
  databaseUrl: databaseAddress('DATABASE_URL'),
  /** Each host of these addresses is a replica that may be read from. */
  databaseReplicaUrls: addressList('DATABASE_REPLICA_URL'),
  /** Of the role that owns the schema, if the service has one that does not. */
  migrationDatabaseUrl: databaseAddress('MIGRATION_DATABASE_URL'),
  dataDir: variable<string>('DATA_DIR', Joi.string().default(DEFAULT_DATA_DIR)),
  /** How long a connection to the database is used at most. */
  databaseConnectionAge: span('DATABASE_CONNECTION_AGE', '30m', '1s', '1d'),
  databasePool: integer('DATABASE_POOL', 10, 2, 200),
  /** Undefined: one machine, nothing shared with others. */
  redis: variable<RedisTarget | undefined>(
    'REDIS_URL',
    Joi.string().custom((value: string, helpers) => {
      try {
        return parseRedisUrl(value);
      } catch (error) {
        return helpers.message({ custom: `{{#label}} ${error instanceof Error ? error.message : ''}` });
      }
    }),
  ),
  /**
   * Of keys and channels in Redis. Undefined: made from the database's identity. No characters with a special meaning
   * in patterns, cluster hash tags or access control lists.
   */
  redisPrefix: variable<string | undefined>(
    'REDIS_PREFIX',
    Joi.string()
      .pattern(/^[A-Za-z0-9._:-]{1,64}$/)
      .messages({ 'string.pattern.base': '{{#label}} must be 1 to 64 letters, digits, and . _ : -' }),
  ),
  workers: variable<number | 'auto'>(
    'WORKERS',
    Joi.alternatives(Joi.number().integer().min(1).max(256), Joi.valid('auto'))
      .messages({ '*': '{{#label}} must be a whole number from 1 to 256, or auto' })
      .default(1),
  ),
  /** The first signs, all verify. Empty: made and kept in `dataDir`. */
  jwtSecrets: variable<string[]>(
    'JWT_SECRET',
    commaList(
      parsed(
        (secret) => (Buffer.byteLength(secret) >= 32 ? secret : undefined),
        'must be at least 32 bytes long',
      ),
    ),
  ),
  accessTokenTtl: span('ACCESS_TOKEN_TTL', '15m', '1s', '1d'),
  refreshTokenTtl: span('REFRESH_TOKEN_TTL', '30d', '1s', '365d'),
  bcryptCost: integer('BCRYPT_COST', 12, 4, 16),
  /** As `originOf` writes them, or `*` alone. */
  corsOrigins: variable<string[]>(
    'CORS_ORIGINS',
    commaList(
      Joi.string().custom((value: string, helpers) => {
        if (value === '*') return value;
        return (
          originOf(value) ??
          helpers.message({
            custom:
              value.toLowerCase() === 'null'
                ? '"origin" must not be null, since any page can send that origin: use * to allow all origins'
                : '"origin" must be an origin such as https://example.org or capacitor://localhost, or *',
          })
        );
      }),
    ),
  ),
  /** Where the service is for its users, without a slash at the end. */
  publicUrl: variable<string | undefined>(
    'PUBLIC_URL',
    parsed(publicUrl, 'must be the http or https address of the service, such as https://example.org'),
  ),
  /** Where mails are handed over. Undefined: none is sent; in development they are printed. */
  smtp: variable<MailServer | undefined>(
    'SMTP_URL',
    parsed(
      mailServer,
      'must be the address of a mail server, such as smtps://user:password@mail.example.org or smtp://127.0.0.1:25',
    ),
  ),
  mailFrom: variable<MailSender | undefined>(
    'MAIL_FROM',
    parsed(mailSender, 'must be an e-mail address, or a name with one: Tidings <tidings@example.org>'),
  ),
  /** Whether users must verify their e-mail address before they post: `off` or `before_post`. */
  verifyEmail: oneOf('VERIFY_EMAIL', 'off', ['off', 'before_post']),
  /** The OpenID provider with which users can log in. Undefined: none. */
  oidcIssuer: variable<string | undefined>(
    'OIDC_ISSUER',
    parsed(
      oidcIssuer,
      'must be the https address of an OpenID provider without query, such as https://accounts.example.org; http only on this machine',
    ),
  ),
  oidcClientId: variable<string | undefined>('OIDC_CLIENT_ID', Joi.string().max(1000)),
  /** Undefined: a public client, which proves itself by PKCE alone. */
  oidcClientSecret: variable<string | undefined>('OIDC_CLIENT_SECRET', Joi.string().max(1000)),
  /** What the button says behind "Log in with". Undefined: the host of the issuer. */
  oidcName: variable<string | undefined>('OIDC_NAME', Joi.string().trim().min(1).max(40)),
  oidcScopes: variable<string>(
    'OIDC_SCOPES',
    parsed(oidcScopes, 'must be scopes with spaces between them, openid among them').default(
      'openid email profile',
    ),
  ),
  /** Who gets an account by the first login there: `same` as SIGN_UP says, or `open`, anyone. */
  oidcSignUp: oneOf('OIDC_SIGN_UP', 'same', ['same', 'open']),
  /** Whether webhooks may go to addresses that are not of the public internet, and without TLS. */
  webhookAllowPrivate: oneOf('WEBHOOK_ALLOW_PRIVATE', 'off', ['off', 'on']),
  /** Names that a `Host` header may have: each as `nameOfHost` writes it, `.name` for it and all below it, `*` for any. */
  allowedHosts: variable<string[]>(
    'ALLOWED_HOSTS',
    commaList(
      parsed(
        allowedHost,
        'must be a name without a port such as example.org, .example.org for it and all names below it, or *',
      ),
    ),
  ),
  trustProxy: variable<boolean | number | string>(
    'TRUST_PROXY',
    parsed(
      trustedProxies,
      'must be true, false, a number of proxies, or a list of addresses, subnets, loopback, linklocal and uniquelocal',
    ).default(false),
  ),
  rateLimits: oneOf('RATE_LIMITS', 'on', ['on', 'off']),
  /** Votes for one post that new accounts of one address may cast in an hour. */
  votesPerAddress: integer('VOTES_PER_ADDRESS', 30, 1, 100_000),
  /** Who may sign up: `open`, anyone; `invite`, those with an invitation; `closed`, nobody. */
  signUp: oneOf('SIGN_UP', 'open', ['open', 'invite', 'closed']),
  /** Whether posts, threads and searches can be read without an account: `on` or `off`. */
  publicRead: oneOf('PUBLIC_READ', 'off', ['off', 'on']),
  /** Wrong passwords that one account is offered in a quarter of an hour. */
  loginFailures: integer('LOGIN_FAILURES', 20, 3, 1000),
  eventRetention: span('EVENT_RETENTION', '7d', '1m', '3650d'),
  tallyWindow: span('TALLY_WINDOW', '100ms', '10ms', '10s'),
  writeTimeSlice: span('WRITE_TIME_SLICE', '10ms', '0ms', '1s'),
  maxConnections: integer('MAX_CONNECTIONS', 18_000, 1),
  /** What one address may have of the connections. Percent. */
  addressShare: integer('ADDRESS_SHARE', 25, 1, 100),
  /** Graceful shutdown: how long a stopping node still serves everything although it is not ready. */
  shutdownDelay: span('SHUTDOWN_DELAY', '0ms', '0ms', '5m'),
  /** What may use internals of libraries, if these turn out to be as expected. */
  fastPaths: variable<readonly FastPath[]>(
    'FAST_PATHS',
    parsed(fastPathsOf, `must be on, off, or a comma-separated list of ${FAST_PATHS.join(',')}`).default(
      FAST_PATHS,
    ),
  ),
  logLevel: oneOf('LOG_LEVEL', 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
};

type Values = {
  [Field in keyof typeof variables]: (typeof variables)[Field] extends Variable<infer T> ? T : never;
};

type OidcFields = Extract<keyof Values, `oidc${string}`>;

export type Config = Omit<Values, 'rateLimits' | 'publicRead' | 'webhookAllowPrivate' | OidcFields> & {
  rateLimits: boolean;
  publicRead: boolean;
  /** The OpenID provider with which users can log in; undefined: none. */
  oidc: Readonly<OidcSettings> | undefined;
  webhookAllowPrivate: boolean;
  /** Connections to the database that one process opens at most. */
  connectionsPerProcess: number;
  /** The public address, or else that on this machine. */
  serviceUrl: string;
  /** Where a link leads that an operator hands over. Undefined: it is not known where others find the service. */
  linkUrl: string | undefined;
};

export const variableNames: readonly string[] = Object.values(variables).map(({ name }) => name);

const environment = Joi.object(
  Object.fromEntries(Object.values(variables).map(({ name, schema }) => [name, schema])),
);

/** The variables that are set: `VAR=` in a shell or a compose file means "not set". */
export function withoutEmpty(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
}

/**
 * Reads and validates the configuration.
 * @throws {ConfigError} naming every variable at fault and what it may be. Values are never in the message: one may be a secret.
 */
export function readConfig(env: NodeJS.ProcessEnv): Readonly<Config> {
  const given = Object.fromEntries(
    Object.entries(withoutEmpty(env)).filter(([key]) => variableNames.includes(key)),
  );
  const result = environment.validate(given, { abortEarly: false, errors: { wrap: { label: false } } });
  if (result.error) {
    // A number may break several rules, which are one sentence.
    throw new ConfigError([...new Set(result.error.details.map((detail) => detail.message))].join('\n'));
  }
  const read = result.value as Record<string, unknown>;
  const values = Object.fromEntries(
    Object.entries(variables).map(([field, { name }]) => [field, read[name]]),
  ) as Values;
  if (values.nodeEnv === 'production' && values.jwtSecrets.length === 0) {
    throw new ConfigError(
      'JWT_SECRET must be set in production: at least 32 bytes, for example from: openssl rand -base64 48',
    );
  }
  if (values.migrationDatabaseUrl !== undefined && values.databaseUrl === undefined) {
    throw new ConfigError(
      'MIGRATION_DATABASE_URL must come with DATABASE_URL: the embedded database has its own roles',
    );
  }
  if (values.databaseReplicaUrls.length > 0 && values.databaseUrl === undefined) {
    throw new ConfigError(
      'DATABASE_REPLICA_URL must come with DATABASE_URL: the embedded database has no replicas',
    );
  }
  if (values.smtp !== undefined && (values.mailFrom === undefined || values.publicUrl === undefined)) {
    throw new ConfigError(
      'SMTP_URL must come with MAIL_FROM, the address that mails are from, and PUBLIC_URL, where their links lead',
    );
  }
  if (values.verifyEmail !== 'off' && values.smtp === undefined && values.nodeEnv !== 'development') {
    throw new ConfigError(
      'VERIFY_EMAIL must be off without SMTP_URL: nobody could be sent the link that verifies an address',
    );
  }
  if (values.corsOrigins.includes('*') && values.corsOrigins.length > 1) {
    throw new ConfigError('CORS_ORIGINS must be a list of origins or * alone');
  }
  const {
    oidcIssuer: issuer,
    oidcClientId: clientId,
    oidcClientSecret: clientSecret,
    oidcName: name,
    oidcScopes: scope,
    oidcSignUp: signUpThere,
    ...others
  } = values;
  const oidcParts = [issuer, clientId, clientSecret, name].filter((part) => part !== undefined);
  if (
    oidcParts.length > 0 &&
    (issuer === undefined || clientId === undefined || others.publicUrl === undefined)
  ) {
    throw new ConfigError(
      'OIDC_ISSUER must come with OIDC_CLIENT_ID, the name that the provider knows the service by, and PUBLIC_URL, where users return to: both also if another OIDC_ variable is set',
    );
  }
  const serviceUrl = values.publicUrl ?? `http://127.0.0.1:${values.port}`;
  return Object.freeze({
    ...others,
    oidc:
      issuer === undefined || clientId === undefined
        ? undefined
        : Object.freeze({
            issuer,
            clientId,
            clientSecret,
            name: name ?? new URL(issuer).host,
            scope,
            signUp: signUpThere,
          }),
    rateLimits: values.rateLimits === 'on',
    publicRead: values.publicRead === 'on',
    webhookAllowPrivate: values.webhookAllowPrivate === 'on',
    // With replicas, one more asks how far they have to be.
    connectionsPerProcess:
      values.databasePool + FEED_CONNECTIONS + (values.databaseReplicaUrls.length > 0 ? 1 : 0),
    serviceUrl,
    linkUrl: values.publicUrl !== undefined || isLoopbackName(values.host) ? serviceUrl : undefined,
  });
}

function fastPathsOf(value: string): readonly FastPath[] | undefined {
  if (value === 'on') return FAST_PATHS;
  if (value === 'off') return [];
  const names = value.split(',').map((name) => name.trim());
  const known = FAST_PATHS.filter((name) => names.includes(name));
  return known.length === names.length ? known : undefined;
}

function publicUrl(value: string): string | undefined {
  if (!/^https?:\/\/[^\s?#@\\*]+$/i.test(value) || !URL.canParse(value)) return undefined;
  const { origin, href } = new URL(value);
  return originOf(origin) === undefined ? undefined : href.replace(/\/$/, '');
}

/** One item of ALLOWED_HOSTS in the spelling that names are compared in. */
function allowedHost(value: string): string | undefined {
  if (value === '*') return value;
  if (isIP(value) === 6) return nameOfHost(`[${value}]`);
  const [, dot = '', name = ''] = /^(\.?)([^:]*|\[.*\])$/.exec(value) ?? [];
  const host = nameOfHost(name);
  return host === undefined ? undefined : dot + host;
}

function isAddress(item: string): boolean {
  const [address = '', bits, ...rest] = item.split('/');
  if (['loopback', 'linklocal', 'uniquelocal'].includes(item)) return true;
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return (
    rest.length === 0 && most > 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))
  );
}

/** Express's own grammar: a flag, a number of hops, or a list of addresses and subnets. Undefined if it is none of them. */
function trustedProxies(value: string): boolean | number | string | undefined {
  if (value === 'true' || value === 'false') return value === 'true';
  if (/^\d{1,2}$/.test(value)) return Number(value);
  return value.split(',').every((item) => isAddress(item.trim())) ? value : undefined;
}
