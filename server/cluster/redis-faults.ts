/** Why Redis does not work, for operators. Without address, user or password: anyone may read `/readyz`. */
export interface RedisFault {
  /** One word, for metrics. */
  reason: string;
  /** A sentence. */
  detail: string;
}

/** What a message of Redis, of ioredis or of Node says, and what it means. The first that fits. */
const known: readonly (readonly [pattern: RegExp, reason: string, detail: string])[] = [
  [
    /\bNOPERM\b.*\bchannel/is,
    'channels_forbidden',
    'The Redis user may not use the channels of this installation',
  ],
  [/\bNOPERM\b.*\bkey/is, 'keys_forbidden', 'The Redis user may not use the keys of this installation'],
  [/\bNOPERM\b/i, 'commands_forbidden', 'The Redis user may not use a command that is needed'],
  [
    /\bWRONGPASS\b|\binvalid password\b/i,
    'wrong_password',
    'Redis refuses the user or the password of REDIS_URL',
  ],
  [/\bNOAUTH\b/i, 'no_password', 'Redis requires a password, but REDIS_URL has none'],
  [
    /\bDENIED\b/i,
    'protected_mode',
    'Redis runs in protected mode: give it a password, or let it bind to this network',
  ],
  [
    /only HELLO messages|unknown command.*\beval(sha)?\b/i,
    'no_data_server',
    'REDIS_URL names a server that keeps no data. A Sentinel is written as redis+sentinel://HOST:26379/NAME',
  ],
  [/DB index|SELECT is not allowed/i, 'wrong_database', 'Redis has no database with the number in REDIS_URL'],
  [/\bREADONLY\b/i, 'read_only', 'REDIS_URL names a read-only replica: name the primary, or the Sentinels'],
  [/\bMASTERDOWN\b/i, 'primary_down', 'REDIS_URL names a replica that has lost its primary'],
  [/\bOOM\b/i, 'out_of_memory', 'Redis has reached maxmemory and evicts nothing'],
  [/\bMISCONF\b/i, 'cannot_save', 'Redis refuses writes, since it cannot save to its disk'],
  [/\bNOREPLICAS\b/i, 'no_replicas', 'Redis refuses writes, since too few replicas are connected'],
  [/\bLOADING\b/i, 'loading', 'Redis is loading its data'],
  [/\bCLUSTERDOWN\b|slot not served/i, 'cluster_down', 'The Redis Cluster is down (cluster_state:fail)'],
  [
    /cluster support disabled|refresh slots cache/i,
    'no_cluster',
    'The servers of REDIS_URL do not answer as a cluster',
  ],
  [/max number of clients/i, 'too_many_clients', 'Redis accepts no more connections (maxclients)'],
  [
    /sentinels are unreachable/i,
    'no_sentinel',
    'No Sentinel answers, or none knows a primary with that name',
  ],
  [
    /certificate|\bCERT_|\bSSL\b|\bTLS\b|ssl3|wrong version number/i,
    'tls',
    'The TLS connection to Redis fails: see the parameters ca, cert and key of REDIS_URL',
  ],
  [/timed out|timeout|ETIMEDOUT|too slow/i, 'silent', 'Redis does not answer in time'],
  [
    /ECONN|ENOTFOUND|EAI_AGAIN|EHOST|ENET|EPIPE|Connection is closed|isn't writeable|isn't ready|startup nodes|ended/i,
    'unreachable',
    'Redis cannot be reached',
  ],
];

/** Whether Redis itself has answered with an error. */
export function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/** Whether a node of a cluster says that another one has the key. */
export function isRedirection(error: unknown): boolean {
  return error instanceof Error && /^(MOVED|ASK) /.test(error.message);
}

/** Unspecific faults, the least specific first: a more specific fault that is already known stays. */
const VAGUE = ['unproven', 'silent', 'unreachable'];

export const unproven: RedisFault = {
  reason: 'unproven',
  detail: 'No message has come back through Redis yet.',
};
export const silent: RedisFault = {
  reason: 'silent',
  detail: 'Messages published to Redis do not come back.',
};

/** How much a fault says of its cause. */
export function saysMore(fault: RedisFault, than: RedisFault): boolean {
  const rank = ({ reason }: RedisFault) => (VAGUE.includes(reason) ? VAGUE.indexOf(reason) : VAGUE.length);
  return rank(fault) > rank(than);
}

/** @param prefix of keys and channels, to be told where rights are missing */
export function describeRedisError(error: unknown, prefix: string): RedisFault {
  const message = messageOf(error);
  const [
    ,
    reason = 'error',
    detail = `Redis answers with an error (${/^[A-Z]{2,20}\b/.exec(message)?.[0] ?? 'unknown'})`,
  ] = known.find(([pattern]) => pattern.test(message)) ?? [];
  const rights = reason.endsWith('_forbidden')
    ? `: it needs ~${prefix}:* &${prefix}* and the commands that docs/operating.md lists`
    : '';
  return { reason, detail: `${detail}${rights}.` };
}

/** With the code of Node's own errors, and the causes that ioredis keeps beside. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, lastNodeError } = error as Error & { code?: unknown; lastNodeError?: unknown };
  const parts = error instanceof AggregateError ? error.errors.map(messageOf) : [];
  return [
    ...(lastNodeError === undefined || lastNodeError === null ? [] : [messageOf(lastNodeError)]),
    error.message,
    ...(typeof code === 'string' ? [code] : []),
    ...parts,
  ].join(' ');
}
