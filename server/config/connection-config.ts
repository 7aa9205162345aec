import { userInfo } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { DatabaseUrlError } from './database-url-error.ts';
import { type Setting, tlsOptions } from './tls.ts';

/** One server that may hold the database. */
export interface DatabaseHost {
  /** A name, an address, or the directory of a Unix socket. */
  host: string;
  port: number;
}

/** The address and credentials of the database. Everything that opens a connection uses it. */
export interface ConnectionConfig {
  /** At least one, in the order in which they are tried. */
  hosts: DatabaseHost[];
  /** Whether a server that only reads, such as a standby, is passed over. */
  readWrite: boolean;
  user: string;
  database: string;
  /** Undefined: `pg` looks into the password file. */
  password: string | undefined;
  ssl: false | ConnectionOptions;
  sslnegotiation: 'postgres' | 'direct';
  enableChannelBinding: boolean;
  /** Settings of the server by name, from `options`, such as `-c search_path=tidings`. */
  settings: Record<string, string>;
  /** The name in pg_stat_activity. Undefined: each part of the service has one of its own. */
  applicationName: string | undefined;
  /** How long one server may take to accept a connection. Milliseconds. */
  connectTimeout: number;
}

/** Milliseconds. */
const CONNECT_TIMEOUT = 3000;

/** The parameters of the URL that mean something here, and the variable that stands in for each. */
const VARIABLES: Record<string, string | undefined> = {
  user: 'PGUSER',
  password: 'PGPASSWORD',
  host: 'PGHOST',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  options: 'PGOPTIONS',
  application_name: 'PGAPPNAME',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  channel_binding: 'PGCHANNELBINDING',
  ssl: undefined,
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslnegotiation: 'PGSSLNEGOTIATION',
};

/** Parameters that services put into the addresses that they hand out, and that change nothing here. */
const IGNORED = new Set([
  'client_encoding',
  'fallback_application_name',
  'gssencmode',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'uselibpqcompat',
]);

/**
 * Reads DATABASE_URL, and PostgreSQL's own variables for what it leaves open. Both follow libpq's documentation, with
 * several hosts; a parameter that is not known is refused by name, since an address that is understood in part leads
 * somewhere else. Single-host addresses mean what they mean to `pg`.
 * @throws {DatabaseUrlError}
 */
export function connectionConfig(
  databaseUrl: string,
  env: NodeJS.ProcessEnv = process.env,
): ConnectionConfig {
  const [, authority, path, query] =
    /^postgres(?:ql)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(databaseUrl) ?? [];
  if (authority === undefined)
    throw new DatabaseUrlError(
      'DATABASE_URL must be an address such as postgres://user:password@host:5432/database; the characters / ? # in a ' +
        'password are written %2F %3F %23',
    );
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys())
    if (!Object.hasOwn(VARIABLES, name) && !IGNORED.has(name))
      throw new DatabaseUrlError(
        // With an @ it is the rest of a password: its name is not repeated.
        query?.includes('@') === true
          ? 'DATABASE_URL has a parameter that is not known. The characters / ? # in a password are written %2F %3F %23'
          : `DATABASE_URL has the parameter ${name}, which is not one of ${Object.keys(VARIABLES).join(', ')}`,
      );
  // An empty value is none, in the URL as in the environment.
  const setting = (name: string) => given(parameters.get(name), env[VARIABLES[name] ?? '']);

  const at = authority.lastIndexOf('@');
  const [, user = '', password = ''] = /^([^:]*)(?::(.*))?$/.exec(authority.slice(0, Math.max(0, at))) ?? [];
  const known = {
    user: given(parameters.get('user'), decoded(user), setting('user'), pg.defaults.user, accountName()),
    password: given(parameters.get('password'), decoded(password), setting('password')),
    database: given(parameters.get('dbname'), decoded(path ?? ''), setting('dbname')),
  };
  if (known.user === undefined)
    throw new DatabaseUrlError('DATABASE_URL names no user, and PGUSER is not set');
  const hosts = hostList(authority.slice(at + 1), parameters, setting);
  return {
    hosts,
    readWrite: oneOf('target_session_attrs', setting, ['any', 'read-write', 'primary']) !== 'any',
    user: known.user,
    password: known.password,
    database: known.database ?? known.user,
    ssl: encryption(hosts, setting),
    sslnegotiation: oneOf('sslnegotiation', setting, ['postgres', 'direct']),
    enableChannelBinding: oneOf('channel_binding', setting, ['prefer', 'require', 'disable']) === 'require',
    settings: settingsOf(setting('options') ?? ''),
    applicationName: setting('application_name'),
    connectTimeout: seconds('connect_timeout', setting) ?? CONNECT_TIMEOUT,
  };
}

/** What is wrong with an address, as a sentence that names its variable; undefined if nothing is. */
export function addressFault(databaseUrl: string, variable: string): string | undefined {
  try {
    connectionConfig(databaseUrl);
    return undefined;
  } catch (error) {
    if (!(error instanceof DatabaseUrlError)) throw error;
    const { message } = error;
    return message.includes('DATABASE_URL')
      ? message.replaceAll('DATABASE_URL', variable)
      : `${variable}: ${message}`;
  }
}

/** The same address with another database. */
export function onDatabase(databaseUrl: string, database: string): string {
  const [, start = '', query = ''] = /^([^/]*\/\/[^/?#]*)[^?#]*(.*)$/.exec(databaseUrl) ?? [];
  const rest = query.replace(/([?&])dbname=[^&]*&?/, '$1').replace(/[?&]$/, '');
  return `${start}/${encodeURIComponent(database)}${rest}`;
}

/** The database for people to read: no user and no password. */
export function describeDatabase(databaseUrl: string): string {
  const { database, hosts } = connectionConfig(databaseUrl);
  return `The database ${database} at ${hosts.map(describeHost).join(', ')}`;
}

export function describeHost({ host, port }: DatabaseHost): string {
  if (host.startsWith('/')) return `${host}/.s.PGSQL.${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The first of these that is not empty. */
function given(...values: (string | null | undefined)[]): string | undefined {
  return values.find((value) => value !== undefined && value !== null && value !== '') ?? undefined;
}

/** The account of this process. One without an entry among the users, as in some containers, has no name. */
function accountName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/** Parameters win over what stands between `@` and `/`, as they do for `pg`; libpq has them replace it as well. */
function hostList(authority: string, parameters: URLSearchParams, setting: Setting): DatabaseHost[] {
  const inline = authority.split(',').map((item) => {
    const [, host = '', port = ''] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(item) ?? [];
    if (!item.startsWith('[') && item.split(':').length > 2)
      throw new DatabaseUrlError('DATABASE_URL: an IPv6 address is written in brackets, [::1]:5432');
    return { host: decoded(host.replace(/^\[(.*)\]$/, '$1')), port };
  });
  const names = parameters.get('host')?.split(',') ?? inline.map(({ host }) => host);
  const fallback = (names.length === 1 && !names[0] ? setting('host') : undefined)?.split(',');
  const hosts = (fallback ?? names).map((host) => given(host) ?? 'localhost');
  const inlinePorts = inline.map(({ port }) => port);
  const listed = parameters.get('port')?.split(',') ?? (inlinePorts.some(Boolean) ? inlinePorts : undefined);
  const ports = listed ?? setting('port')?.split(',') ?? [];
  if (ports.length > 1 && ports.length !== hosts.length)
    throw new DatabaseUrlError(`DATABASE_URL has ${hosts.length} hosts and ${ports.length} ports`);
  return hosts.map((host, index) => ({
    host,
    port: portOf(given(ports.length === 1 ? ports[0] : ports[index]) ?? '5432'),
  }));
}

/** As libpq does it, a Unix socket is never encrypted, whatever sslmode says. */
function encryption(hosts: readonly DatabaseHost[], setting: Setting): false | ConnectionOptions {
  const sockets = hosts.filter(({ host }) => host.startsWith('/')).length;
  const tls = tlsOptions(setting);
  if (tls === false || sockets === hosts.length) return false;
  if (sockets > 0)
    throw new DatabaseUrlError(
      'DATABASE_URL: TLS applies to all hosts or to none, and a Unix socket cannot use it',
    );
  return tls;
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535)
    throw new DatabaseUrlError(
      'DATABASE_URL: a port must be a number from 1 to 65535. The characters / ? # in a password are written %2F %3F %23',
    );
  return port;
}

function oneOf<T extends string>(name: string, setting: Setting, values: readonly [T, ...T[]]): T {
  const value = setting(name) ?? values[0];
  const found = values.find((one) => one === value);
  if (found === undefined) throw new DatabaseUrlError(`${name} must be one of ${values.join(', ')}`);
  return found;
}

function seconds(name: string, setting: Setting): number | undefined {
  const value = setting(name);
  if (value === undefined || value === '0') return undefined;
  if (!/^\d{1,3}$/.test(value)) throw new DatabaseUrlError(`${name} must be a number of seconds, 0 to 999`);
  return Number(value) * 1000;
}

/**
 * Reads settings from options of the server's command line: `-c name=value`, `-cname=value` and `--name=value`, separated
 * by spaces; a space in a value is written with a backslash before it. They are set by statements, since poolers refuse
 * `options` in a startup packet, or drop it.
 */
function settingsOf(options: string): Record<string, string> {
  const words = [...options.matchAll(/(?:\\[^]|[^\s\\])+/g)].map(([word]) =>
    word.replaceAll(/\\([^])/g, '$1'),
  );
  const settings: [string, string][] = [];
  while (words.length > 0) {
    const word = words.shift() ?? '';
    const text = word === '-c' ? words.shift() : /^(?:-c|--)([^]+)$/.exec(word)?.[1];
    const [, name, value = ''] = /^([a-z_][\w.-]*)=([^]*)$/i.exec(text ?? '') ?? [];
    if (name === undefined)
      throw new DatabaseUrlError(
        `options may only contain -c NAME=VALUE and --NAME=VALUE, not ${text ?? word}`,
      );
    settings.push([name.replaceAll('-', '_').toLowerCase(), value]);
  }
  return Object.fromEntries(settings);
}

/** A percent sign that begins no escape stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll(/%(?![0-9a-f]{2})/gi, '%25'));
  } catch {
    throw new DatabaseUrlError('DATABASE_URL has a percent escape that is not UTF-8');
  }
}
