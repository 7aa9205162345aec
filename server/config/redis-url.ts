import { readFileSync } from 'node:fs';
import { belongTogether, holdsCertificates } from './certificates.ts';

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

const PARAMETERS = ['ca', 'cert', 'key', 'family'];
const FORMS =
  'redis://HOST:6379, rediss://HOST:6380, several of a cluster separated by commas, or redis+sentinel://HOST:26379,HOST:26379/NAME; ' +
  'the characters , / ? # @ in a password are written %2C %2F %3F %23 %40';
/** Only for Sentinels. */
const SENTINEL_PARAMETERS = ['sentinel_username', 'sentinel_password'];
const HOST = /^([A-Za-z0-9_](?:[A-Za-z0-9_.-]*)|\[[0-9A-Fa-f:.]+\])$/;

/**
 * Reads `REDIS_URL`: `redis[s]://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?ca=FILE…]`, several of these separated by commas
 * (nodes of a cluster; user, password and parameters are those of the first, and the others repeat them or have none), or
 * `redis[s]+sentinel://[USER:PASSWORD@]HOST[:PORT],…/NAME[/DATABASE]`.
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
    .map((part) => readUrl(part, PARAMETERS));
  const [first] = urls;
  if (!first) throw new Error(`must be ${FORMS}`);
  if (urls.some(({ protocol }) => protocol !== first.protocol))
    throw new Error('must use redis:// or rediss:// for all nodes of a cluster alike');
  const path = first.pathname.replace(/^\//, '');
  if (urls.length > 1 && !['', '0'].includes(path))
    throw new Error('must not name a database: a cluster has only 0');
  if (urls.some((url) => !['', sayingOf(first)].includes(sayingOf(url))))
    throw new Error('must have the same user, password and parameters for every node of a cluster');
  return {
    kind: urls.length > 1 ? 'cluster' : 'single',
    addresses: urls.map((url) => addressOf(url, 6379)),
    ...commonOf(first, path),
  };
}

/** All that a URL says beside the address. */
function sayingOf({ username, password, pathname, search }: URL): string {
  const path = pathname.replace(/^\/0?$/, '');
  return [username, password, path, search].some((part) => part !== '')
    ? [username, password, path, search].join(' ')
    : '';
}

/** WHATWG URLs have one host: each Sentinel is read as a URL of its own. */
function parseSentinels(rest: string, scheme: string): RedisTarget {
  const [, credentials = '', hosts = '', tail = ''] = /^([^@/?]*@)?([^/?@]*)(.*)$/.exec(rest) ?? [];
  const urls = hosts
    .split(',')
    .map((host) =>
      readUrl(`${scheme}://${credentials}${host.trim()}${tail}`, [...PARAMETERS, ...SENTINEL_PARAMETERS]),
    );
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

function readUrl(text: string, parameters: readonly string[]): URL {
  if (!/^rediss?:\/\//i.test(text) || !URL.canParse(text)) throw new Error(`must be ${FORMS}`);
  const url = new URL(text);
  if (url.hostname === '') throw new Error('must name a host');
  if (!HOST.test(url.hostname))
    throw new Error(`must name a host by its name in ASCII or its address: ${FORMS}`);
  if (url.port === '0') throw new Error('must have a port from 1 to 65535');
  if (url.hash !== '') throw new Error('must not have a fragment: write # in a password as %23');
  const names = [...url.searchParams.keys()];
  if (names.some((name) => SENTINEL_PARAMETERS.includes(name) && !parameters.includes(name)))
    throw new Error('must be redis+sentinel:// if it has a user or password for Sentinels');
  if (names.some((name) => !parameters.includes(name)))
    throw new Error(`must not have parameters other than ${parameters.join(', ')}`);
  if (new Set(names).size < names.length) throw new Error('must have each parameter once');
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
      throw new Error(`must name a readable file in the parameter ${name}`);
    }
  });
  const certificates: Certificates = Object.fromEntries(files);
  const { ca, cert, key } = certificates;
  if (ca !== undefined && !holdsCertificates(ca))
    throw new Error('must name a PEM file with certificates in the parameter ca');
  if ((cert === undefined) !== (key === undefined))
    throw new Error('must have both or none of the parameters cert and key');
  if (cert !== undefined && key !== undefined && !belongTogether(cert, key))
    throw new Error('must name PEM files in the parameters cert and key, the second without a passphrase');
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
