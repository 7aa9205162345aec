import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

/** One server's address. */
export interface RedisAddress {
  host: string;
  port: number;
}

/** What `REDIS_URL` says. */
export interface RedisTarget {
  /** One server (or the endpoint of a cluster, which is found out), a cluster by several of its nodes, or Sentinels. */
  kind: 'single' | 'cluster' | 'sentinel';
  addresses: RedisAddress[];
  /** The name under which the Sentinels know the primary. */
  primaryName?: string;
  username?: string;
  password?: string;
  sentinelUsername?: string;
  sentinelPassword?: string;
  database: number;
  /** Undefined: no TLS. */
  tls?: Certificates;
  family: 0 | 4 | 6;
}

/** PEM texts. */
export interface Certificates {
  /** Authorities that are trusted in place of the system's. */
  ca?: string;
  cert?: string;
  key?: string;
}

const PARAMETERS = ['ca', 'cert', 'key', 'family', 'sentinel_username', 'sentinel_password'];
const FORMS =
  'redis://HOST:6379, rediss://HOST:6380, several of a cluster separated by commas, or redis+sentinel://HOST:26379,HOST:26379/NAME';

/**
 * Reads `REDIS_URL`: `redis[s]://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?ca=FILE…]`, several of these separated by commas (nodes of
 * a cluster; user, password and parameters are the first's), or `redis[s]+sentinel://[USER:PASSWORD@]HOST[:PORT],…/NAME[/DATABASE]`.
 * @throws {Error} with what is wrong; values are never in the message, since one may be a secret
 */
export function parseRedisUrl(text: string): RedisTarget {
  const scheme = /^(rediss?)(\+sentinel)?:\/\//i.exec(text);
  if (!scheme) throw new Error(`must be ${FORMS}`);
  return scheme[2] === undefined
    ? parseServers(text)
    : parseSentinels(text.slice(scheme[0].length), scheme[1] ?? '');
}

function parseServers(text: string): RedisTarget {
  const urls = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(readUrl);
  const [first] = urls;
  if (!first) throw new Error(`must be ${FORMS}`);
  if (urls.some(({ protocol }) => protocol !== first.protocol))
    throw new Error('must use redis:// or rediss:// for all nodes of a cluster alike');
  const path = first.pathname.replace(/^\//, '');
  return {
    kind: urls.length > 1 ? 'cluster' : 'single',
    addresses: urls.map((url) => addressOf(url, 6379)),
    ...commonOf(first, path),
  };
}

/** WHATWG URLs have one host: each Sentinel is read as a URL of its own. */
function parseSentinels(rest: string, scheme: string): RedisTarget {
  const [, credentials = '', hosts = '', tail = ''] = /^([^@/?]*@)?([^/?@]*)(.*)$/.exec(rest) ?? [];
  const urls = hosts.split(',').map((host) => readUrl(`${scheme}://${credentials}${host.trim()}${tail}`));
  const [first] = urls;
  const [primaryName = '', database = '', ...more] = (first?.pathname ?? '').slice(1).split('/');
  if (!first || primaryName === '' || more.length > 0)
    throw new Error('must name the primary: redis+sentinel://HOST:26379,HOST:26379/NAME');
  const parameters = first.searchParams;
  return {
    kind: 'sentinel',
    addresses: urls.map((url) => addressOf(url, 26_379)),
    primaryName: decode(primaryName),
    ...optional('sentinelUsername', parameters.get('sentinel_username') ?? ''),
    ...optional('sentinelPassword', parameters.get('sentinel_password') ?? ''),
    ...commonOf(first, database),
  };
}

function readUrl(text: string): URL {
  if (!/^rediss?:\/\//i.test(text) || !URL.canParse(text)) throw new Error(`must be ${FORMS}`);
  const url = new URL(text);
  if (url.hostname === '') throw new Error('must name a host');
  if (url.hash !== '') throw new Error('must not have a fragment: write # in a password as %23');
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) throw new Error(`must not have parameters other than ${PARAMETERS.join(', ')}`);
  return url;
}

function addressOf(url: URL, port: number): RedisAddress {
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? port : Number(url.port) };
}

function commonOf(
  url: URL,
  database: string,
): Pick<RedisTarget, 'username' | 'password' | 'database' | 'tls' | 'family'> {
  if (!/^\d{0,5}$/.test(database))
    throw new Error('must have a number for the database, such as redis://HOST:6379/0');
  const family = url.searchParams.get('family') ?? '0';
  if (!['0', '4', '6'].includes(family)) throw new Error('must have 0, 4 or 6 for the parameter family');
  const encrypted = /^rediss:$/i.test(url.protocol);
  const files = (['ca', 'cert', 'key'] as const).filter((name) => url.searchParams.has(name));
  if (!encrypted && files.length > 0) throw new Error('must be rediss:// if it names certificates');
  return {
    ...optional('username', decode(url.username)),
    ...optional('password', decode(url.password)),
    database: Number(database),
    ...(encrypted ? { tls: readCertificates(url.searchParams, files) } : {}),
    family: Number(family) as 0 | 4 | 6,
  };
}

function readCertificates(
  parameters: URLSearchParams,
  names: readonly ('ca' | 'cert' | 'key')[],
): Certificates {
  const files = names.map((name) => {
    try {
      return [name, readFileSync(parameters.get(name) ?? '', 'utf8')] as const;
    } catch {
      throw new Error(`must name a file that can be read in the parameter ${name}`);
    }
  });
  const certificates: Certificates = Object.fromEntries(files);
  try {
    createSecureContext(certificates);
  } catch {
    throw new Error('must name PEM files in the parameters ca, cert and key, and the key of the certificate');
  }
  return certificates;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('must have % in a user or password written as %25');
  }
}

function optional<K extends string>(key: K, value: string): Partial<Record<K, string>> {
  return value === '' ? {} : ({ [key]: value } as Record<K, string>);
}
