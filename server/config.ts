import { isIP } from 'node:net';
import Joi from 'joi';
import { parseRedisUrl, type RedisTarget } from './config/redis-url.ts';
import { connectionConfig } from './config/connection-config.ts';
import { DatabaseUrlError } from './config/database-url-error.ts';
import { FAST_PATHS, type FastPath } from './library-internals/fast-paths.ts';
import { nameOfHost, originOf } from './config/web-address.ts';

/**
 * The one reader of the environment. Every value is validated at start; a fault names the variable and what it may be.
 */

export interface Config {
  nodeEnv: 'development' | 'test' | 'production';
  host: string;
  port: number;
  /** Unset: the embedded database in `dataDir`. */
  databaseUrl: string | undefined;
  /** Of the role that owns the schema, if the service has one that does not. */
  migrationDatabaseUrl: string | undefined;
  dataDir: string;
  /** Undefined: one machine, nothing shared with others. */
  redis: RedisTarget | undefined;
  /** Of keys and channels in Redis. Undefined: made from the database's identity. */
  redisPrefix: string | undefined;
  workers: number | 'auto';
  /** The first signs, all verify. Empty: made and kept in `dataDir`. */
  jwtSecrets: string[];
  /** Milliseconds. */
  accessTokenTtl: number;
  refreshTokenTtl: number;
  bcryptCost: number;
  /** As `originOf` writes them, or `*` alone. */
  corsOrigins: string[];
  /** Where the service is for its users, without a slash at the end. */
  publicUrl: string | undefined;
  /** Names that a `Host` header may have: each as `nameOfHost` writes it, `.name` for it and all below it, `*` for any. */
  allowedHosts: string[];
  trustProxy: boolean | number | string;
  rateLimits: boolean;
  /** Votes for one post that new accounts of one address may cast in an hour. */
  votesPerAddress: number;
  /** Who may sign up: anyone, who has an invitation, or nobody. */
  signUp: 'open' | 'invite' | 'closed';
  /** Wrong passwords that one account is offered in a quarter of an hour. */
  loginFailures: number;
  eventRetention: number;
  tallyWindow: number;
  writeStretch: number;
  maxConnections: number;
  /** What one address may have of the connections. Percent. */
  addressShare: number;
  /** For how long a node that was told to stop still takes everything, although it says that it is not ready. Milliseconds. */
  shutdownDelay: number;
  databasePool: number;
  /** How long a connection to the database is used at most. Milliseconds. */
  databaseConnectionAge: number;
  /** Connections to the database that one process opens at most. */
  connectionsPerProcess: number;
  /** What may use internals of libraries, if these turn out to be as expected. */
  fastPaths: readonly FastPath[];
  logLevel: string;
}

/** A fault in the configuration: the message names the variable and what it may be. The process exits with 78 (EX_CONFIG). */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Connections of the feed, beside those for requests. */
export const FEED_CONNECTIONS = 5;

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A span of time such as `15m` as milliseconds. */
function duration(fallback: string, atLeast: string, atMost: string): Joi.Schema {
  return Joi.string()
    .custom((value: string, helpers) => {
      const span = parseDuration(value);
      if (span === undefined || span < (parseDuration(atLeast) ?? 0) || span > (parseDuration(atMost) ?? 0)) {
        return helpers.message({
          custom: `{{#label}} must be a span of time from ${atLeast} to ${atMost}, such as 500ms, 30s, 15m, 12h or 7d`,
        });
      }
      return span;
    })
    .default(parseDuration(fallback));
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

/** The address of a database, or what is wrong with it. */
const databaseAddress = Joi.string().custom((value: string, helpers) => {
  try {
    connectionConfig(value);
    return value;
  } catch (error) {
    if (!(error instanceof DatabaseUrlError)) throw error;
    return helpers.message({ custom: error.message.replaceAll('{', '(') });
  }
});

const variables = {
  NODE_ENV: Joi.string().valid('development', 'test', 'production').default('development'),
  HOST: Joi.string().hostname().default('127.0.0.1'),
  PORT: Joi.number().integer().min(0).max(65_535).default(3000),
  DATABASE_URL: databaseAddress,
  MIGRATION_DATABASE_URL: databaseAddress,
  DATA_DIR: Joi.string().default('./data'),
  DATABASE_CONNECTION_AGE: duration('30m', '1s', '1d'),
  DATABASE_POOL: Joi.number().integer().min(2).max(200).default(10),
  REDIS_URL: Joi.string().custom((value: string, helpers) => {
    try {
      return parseRedisUrl(value);
    } catch (error) {
      return helpers.message({ custom: `{{#label}} ${error instanceof Error ? error.message : ''}` });
    }
  }),
  // Nothing that has a meaning of its own in patterns, in the slots of a cluster or in an access control list.
  REDIS_PREFIX: Joi.string()
    .pattern(/^[A-Za-z0-9._:-]{1,64}$/)
    .messages({ 'string.pattern.base': '{{#label}} must be 1 to 64 letters, digits, and . _ : -' }),
  WORKERS: Joi.alternatives(Joi.number().integer().min(1).max(256), Joi.valid('auto')).default(1),
  JWT_SECRET: commaList(
    Joi.string().custom((value: string, helpers) =>
      Buffer.byteLength(value) >= 32
        ? value
        : helpers.message({ custom: '"secret" must be at least 32 bytes long' }),
    ),
  ),
  ACCESS_TOKEN_TTL: duration('15m', '1s', '1d'),
  REFRESH_TOKEN_TTL: duration('30d', '1s', '365d'),
  BCRYPT_COST: Joi.number().integer().min(4).max(16).default(12),
  CORS_ORIGINS: commaList(
    Joi.string().custom((value: string, helpers) => {
      if (value === '*') return value;
      return (
        originOf(value) ??
        helpers.message({
          custom:
            value.toLowerCase() === 'null'
              ? '"origin" must not be null, which any page can make itself: list * to let all pages in'
              : '"origin" must be an origin such as https://example.org or capacitor://localhost, or *',
        })
      );
    }),
  ),
  PUBLIC_URL: Joi.string().custom((value: string, helpers) =>
    isPublicUrl(value)
      ? new URL(value).href.replace(/\/$/, '')
      : helpers.message({
          custom: '{{#label}} must be the http or https address of the service, such as https://example.org',
        }),
  ),
  ALLOWED_HOSTS: commaList(
    Joi.string().custom(
      (value: string, helpers) =>
        allowedHost(value) ??
        helpers.message({
          custom:
            '"host" must be a name without a port such as example.org, .example.org for it and all names below it, or *',
        }),
    ),
  ),
  TRUST_PROXY: Joi.string()
    .custom((value: string, helpers) =>
      /^(true|false|\d{1,2})$/.test(value) || value.split(',').every((item) => isAddress(item.trim()))
        ? value
        : helpers.message({
            custom:
              '{{#label}} must be true, false, a number of proxies, or a list of addresses, subnets, loopback, linklocal and uniquelocal',
          }),
    )
    .default('false'),
  RATE_LIMITS: Joi.string().valid('on', 'off').default('on'),
  VOTES_PER_ADDRESS: Joi.number().integer().min(1).max(100_000).default(30),
  SIGN_UP: Joi.string().valid('open', 'invite', 'closed').default('open'),
  LOGIN_FAILURES: Joi.number().integer().min(3).max(1000).default(20),
  EVENT_RETENTION: duration('7d', '1m', '3650d'),
  TALLY_WINDOW: duration('100ms', '10ms', '10s'),
  WRITE_STRETCH: duration('10ms', '0ms', '1s'),
  MAX_CONNECTIONS: Joi.number().integer().min(1).default(18_000),
  ADDRESS_SHARE: Joi.number().integer().min(1).max(100).default(25),
  SHUTDOWN_DELAY: duration('0ms', '0ms', '5m'),
  FAST_PATHS: Joi.string()
    .custom(
      (value: string, helpers) =>
        fastPathsOf(value) ??
        helpers.message({ custom: `{{#label}} must be on, off, or some of ${FAST_PATHS.join(',')}` }),
    )
    .default(FAST_PATHS),
  LOG_LEVEL: Joi.string().valid('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent').default('info'),
};

export const variableNames: readonly string[] = Object.keys(variables);

interface Environment {
  NODE_ENV: Config['nodeEnv'];
  HOST: string;
  PORT: number;
  DATABASE_URL?: string;
  MIGRATION_DATABASE_URL?: string;
  DATA_DIR: string;
  DATABASE_CONNECTION_AGE: number;
  DATABASE_POOL: number;
  REDIS_URL?: RedisTarget;
  REDIS_PREFIX?: string;
  WORKERS: number | 'auto';
  JWT_SECRET: string[];
  ACCESS_TOKEN_TTL: number;
  REFRESH_TOKEN_TTL: number;
  BCRYPT_COST: number;
  CORS_ORIGINS: string[];
  PUBLIC_URL?: string;
  ALLOWED_HOSTS: string[];
  TRUST_PROXY: string;
  RATE_LIMITS: 'on' | 'off';
  VOTES_PER_ADDRESS: number;
  SIGN_UP: Config['signUp'];
  LOGIN_FAILURES: number;
  EVENT_RETENTION: number;
  TALLY_WINDOW: number;
  WRITE_STRETCH: number;
  MAX_CONNECTIONS: number;
  ADDRESS_SHARE: number;
  SHUTDOWN_DELAY: number;
  FAST_PATHS: readonly FastPath[];
  LOG_LEVEL: string;
}

/**
 * Reads and validates the configuration.
 * @throws {ConfigError} naming every variable at fault and what it may be. Values are never in the message: one may be a secret.
 */
export function readConfig(env: NodeJS.ProcessEnv): Readonly<Config> {
  // `VAR=` in a shell or a compose file means "not set".
  const given = Object.fromEntries(
    Object.entries(env).filter(([key, value]) => value !== '' && Object.hasOwn(variables, key)),
  );
  const result = Joi.object(variables).validate(given, {
    abortEarly: false,
    errors: { wrap: { label: false } },
  });
  if (result.error) throw new ConfigError(result.error.details.map((detail) => detail.message).join('\n'));
  const value = result.value as Environment;
  if (value.NODE_ENV === 'production' && value.JWT_SECRET.length === 0) {
    throw new ConfigError(
      'JWT_SECRET must be set in production: at least 32 bytes, for example from: openssl rand -base64 48',
    );
  }
  if (value.MIGRATION_DATABASE_URL !== undefined && value.DATABASE_URL === undefined) {
    throw new ConfigError(
      'MIGRATION_DATABASE_URL must come with DATABASE_URL: the embedded database has its own roles',
    );
  }
  const origins = value.CORS_ORIGINS;
  if (origins.includes('*') && origins.length > 1) {
    throw new ConfigError('CORS_ORIGINS must be a list of origins or * alone');
  }
  return Object.freeze({
    nodeEnv: value.NODE_ENV,
    host: value.HOST,
    port: value.PORT,
    databaseUrl: value.DATABASE_URL,
    migrationDatabaseUrl: value.MIGRATION_DATABASE_URL,
    dataDir: value.DATA_DIR,
    redis: value.REDIS_URL,
    redisPrefix: value.REDIS_PREFIX,
    workers: value.WORKERS,
    jwtSecrets: value.JWT_SECRET,
    accessTokenTtl: value.ACCESS_TOKEN_TTL,
    refreshTokenTtl: value.REFRESH_TOKEN_TTL,
    bcryptCost: value.BCRYPT_COST,
    corsOrigins: origins,
    publicUrl: value.PUBLIC_URL,
    allowedHosts: value.ALLOWED_HOSTS,
    trustProxy: parseTrustProxy(value.TRUST_PROXY),
    rateLimits: value.RATE_LIMITS === 'on',
    votesPerAddress: value.VOTES_PER_ADDRESS,
    signUp: value.SIGN_UP,
    loginFailures: value.LOGIN_FAILURES,
    eventRetention: value.EVENT_RETENTION,
    tallyWindow: value.TALLY_WINDOW,
    writeStretch: value.WRITE_STRETCH,
    maxConnections: value.MAX_CONNECTIONS,
    addressShare: value.ADDRESS_SHARE,
    shutdownDelay: value.SHUTDOWN_DELAY,
    databasePool: value.DATABASE_POOL,
    databaseConnectionAge: value.DATABASE_CONNECTION_AGE,
    connectionsPerProcess: value.DATABASE_POOL + FEED_CONNECTIONS,
    fastPaths: value.FAST_PATHS,
    logLevel: value.LOG_LEVEL,
  });
}

function fastPathsOf(value: string): readonly FastPath[] | undefined {
  if (value === 'on') return FAST_PATHS;
  if (value === 'off') return [];
  const names = value.split(',').map((name) => name.trim());
  const known = FAST_PATHS.filter((name) => names.includes(name));
  return known.length === names.length ? known : undefined;
}

function isPublicUrl(value: string): boolean {
  if (!/^https?:\/\/[^\s?#@\\*]+$/i.test(value) || !URL.canParse(value)) return false;
  return originOf(new URL(value).origin) !== undefined;
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

/** Express's own grammar: a flag, a number of hops, or a list of addresses and subnets. */
function parseTrustProxy(value: string): boolean | number | string {
  if (value === 'true' || value === 'false') return value === 'true';
  return /^\d{1,2}$/.test(value) ? Number(value) : value;
}
