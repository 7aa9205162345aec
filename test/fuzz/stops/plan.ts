import type { Random } from '../../faults/random.ts';
import type { Asking } from './raw-connection.ts';

/** What ends an account's sessions: its own requests, or time. `renewal`: a refresh token that is used twice. */
export type Ending = 'logout' | 'logout of all' | 'password' | 'deletion' | 'reuse' | 'expiry' | 'nothing';
const ENDINGS: readonly Ending[] = ['logout', 'logout of all', 'password', 'deletion', 'reuse', 'expiry'];

/** What a test connection has to itself meanwhile, so that anyone who opens a stream waits at that step. */
export type Hold = 'sessions' | 'feed_head' | 'event_log' | 'posts' | undefined;
const HOLDS: readonly Hold[] = [undefined, 'sessions', 'feed_head', 'event_log', 'posts'];

/** Where a request stands in the log: now, ahead of it, a few events back, or before what the node has in memory. */
export type Start = 'now' | 'ahead' | 'near' | 'log';

export interface RequestPlan {
  kind: Asking;
  account: number;
  session: number;
  short: boolean;
  start: Start;
  /** Seconds. */
  wait: number;
  method: 'GET' | 'HEAD';
}

/** How far a connection has come when the end comes. */
export type Moment = 'connected' | 'half sent' | 'sent' | 'begun';

export interface ConnectionPlan {
  node: number;
  /** Opened so long after the endings have begun; before them if undefined. Milliseconds. */
  lateBy: number | undefined;
  /** It has been used before. */
  used: boolean;
  /** Sent in one piece. */
  requests: RequestPlan[];
  moment: Moment;
  /** Of the last request, when it is half sent. */
  share: number;
  /** What its client does so long after the endings have begun; `again`: it asks again as soon as it has an answer. */
  then: 'stay' | 'abort' | 'reset' | 'end' | 'pause' | 'again';
  thenAt: number;
  /** What it asks again. */
  again: RequestPlan;
}

export interface SocketPlan {
  node: number;
  account: number;
  session: number;
  short: boolean;
  start: Start;
  moment: 'connected' | 'sent' | 'begun';
  then: 'stay' | 'abort' | 'pause' | 'renew';
  thenAt: number;
}

export interface AccountPlan {
  sessions: number;
  ending: Ending;
  node: number;
  /** When, after everyone has come to their moment. Milliseconds. */
  at: number;
}

export interface StopPlan {
  node: number;
  at: number;
  /** How long after it the signal comes again. */
  again: number | undefined;
}

/** Some accounts with their connections, and what ends them. */
export interface Wave {
  hold: Hold;
  /** For how long after the last ending. Milliseconds. */
  holdFor: number;
  /** Nobody writes until the endings have come, or the node has begun to stop. */
  quiet: boolean;
  redisGone: boolean;
  accounts: AccountPlan[];
  connections: ConnectionPlan[];
  sockets: SocketPlan[];
  stop: StopPlan | undefined;
}

export interface Shape {
  nodes: number;
  redis: boolean;
}

/** What is held while a node stops: what keeps a stream from being opened. */
const HOLDS_OF_STOPS: readonly Hold[] = [undefined, 'sessions', 'feed_head', 'event_log'];

/** The holds of waves and of stops, each in a random order. */
export function shuffledHolds(random: Random): { ofWaves: Hold[]; ofStops: Hold[] } {
  return { ofWaves: shuffled(HOLDS, random), ofStops: shuffled(HOLDS_OF_STOPS, random) };
}

const WAITS = { kind: 'poll', start: 'now', wait: 20, method: 'GET', short: false } as const;
const ACCOUNTS = 4;
const CONNECTIONS = 16;
const SOCKETS = 5;
/** The endings begin within so many milliseconds. */
const SPREAD = 150;

export function planWave(hold: Hold, isStop: boolean, { nodes, redis }: Shape, random: Random): Wave {
  const node = () => random.below(nodes);
  // One of them continues: it stands in front of the others, and is left to be drained.
  const accounts = [...shuffled(ENDINGS, random).slice(0, ACCOUNTS - 1), 'nothing' as const].map(
    (ending) => ({ sessions: 2, ending, node: node(), at: random.below(SPREAD) }),
  );
  const request = (): RequestPlan => planRequest(hold, accounts, random);
  const others = Array.from({ length: isStop ? 2 * CONNECTIONS : CONNECTIONS }, (): ConnectionPlan => {
    const late = random.chance(isStop ? 0.3 : 0.1);
    const requests = Array.from({ length: random.pick([1, 1, 1, 1, 2, 3, 5]) }, request);
    // In front of the others stands what has no answer for long: its table is held, or it waits.
    if (hold === 'posts' && random.chance(0.5)) requests.unshift({ ...request(), kind: 'list' });
    else if (requests.length > 1 && random.chance(0.5)) requests.unshift({ ...request(), ...WAITS });
    return {
      node: node(),
      lateBy: late ? random.below(isStop ? 4500 : 400) : undefined,
      used: random.chance(0.3),
      requests,
      moment: random.pick<Moment>(['connected', 'half sent', 'sent', 'begun', 'begun', 'begun']),
      share: random.next(),
      then: random.pick<ConnectionPlan['then']>([
        ...(['stay', 'stay', 'stay', 'again', 'again'] as const),
        ...(['abort', 'reset', 'end', 'pause'] as const),
      ]),
      thenAt: random.below(hold === undefined ? SPREAD : 2 * SPREAD),
      again: request(),
    };
  });
  const aimed = aimedConnections(hold, isStop, accounts, random).map((plan) => ({ ...plan, node: node() }));
  const sockets = Array.from({ length: SOCKETS }, (_, at): SocketPlan => {
    if (at === 0) return { ...renewing(accounts, random), node: node() };
    const then = random.pick(['stay', 'stay', 'renew', 'renew', 'abort', 'pause'] as const);
    const expiring = accounts.findIndex(({ ending }) => ending === 'expiry');
    return {
      node: node(),
      // A renewal means most to one whose time runs out.
      ...aimedAt(then === 'renew' && expiring >= 0 ? [expiring] : [...accounts.keys()], accounts, random),
      start: planStart(hold, false, random),
      moment: then === 'renew' ? 'begun' : random.pick(['connected', 'sent', 'begun', 'begun'] as const),
      then,
      thenAt: random.below(SPREAD),
    };
  });
  return {
    hold,
    holdFor: hold === undefined ? 0 : random.pick([100, 900, 900, isStop ? 1200 : 900, isStop ? 1200 : 2300]),
    quiet: random.chance(0.7),
    redisGone: redis && random.chance(0.5),
    accounts,
    connections: [...aimed, ...others],
    sockets,
    stop: isStop
      ? {
          node: 0,
          at: random.below(2 * SPREAD),
          again: random.chance(0.5) ? random.below(1500) : undefined,
        }
      : undefined,
  };
}

/** Where a stream or a long-poll has to begin to come upon what is held. */
const COMES_UPON: Readonly<Record<NonNullable<Hold>, Start>> = {
  sessions: 'now',
  feed_head: 'ahead',
  event_log: 'log',
  posts: 'now',
};

/**
 * Those that each wave has: streams and long-polls, alone on their connection, which come upon what is held, several of
 * a session, which is then ended or drained; some behind a stream that continues; some whose client leaves meanwhile;
 * and, as a node stops, long-polls behind whose answer a stream follows. The others are left to chance.
 */
function aimedConnections(
  hold: Hold,
  isStop: boolean,
  accounts: readonly AccountPlan[],
  random: Random,
): Omit<ConnectionPlan, 'node'>[] {
  const start = hold === undefined ? 'now' : COMES_UPON[hold];
  const asked = (kind: 'stream' | 'poll', account: number): RequestPlan => ({
    kind,
    account,
    session: revokedSession(accounts[account]?.ending),
    short: false,
    // A long replay keeps this process too busy if there are many.
    start: kind === 'stream' && start === 'log' && random.chance(0.7) ? 'now' : start,
    wait: kind === 'poll' ? 20 : 0,
    method: 'GET',
  });
  const plan = (
    requests: RequestPlan[],
    then: ConnectionPlan['then'] = 'stay',
  ): Omit<ConnectionPlan, 'node'> => ({
    lateBy: undefined,
    used: false,
    requests,
    moment: 'begun',
    share: 1,
    then,
    thenAt: random.below(SPREAD),
    again: { ...asked('stream', accounts.length - 1), start: 'now' },
  });
  const lasting = { account: accounts.length - 1, session: 0, short: false, start: 'now' } as const;
  const wait = (seconds: number): RequestPlan => ({ ...WAITS, ...lasting, wait: seconds });
  const stream: RequestPlan = { ...lasting, kind: 'stream', wait: 0, method: 'GET' };
  const ending = isStop ? [lasting.account] : revokedAccounts(accounts).slice(0, 2);
  return [
    ...ending.flatMap((account) => [
      plan([asked('stream', account)]),
      plan([asked('poll', account)]),
      plan([asked('poll', account)]),
      plan([stream, asked('stream', account), asked('poll', account)]),
      plan([wait(1), asked('stream', account), asked('poll', account)]),
    ]),
    plan([asked('stream', random.below(accounts.length))], 'abort'),
    plan([asked('poll', random.below(accounts.length))], 'reset'),
    ...(isStop ? [1, 2, 3].map(() => plan([wait(20)], 'again')) : []),
  ];
}

/** A socket that is given another token of its session, which is then ended. */
function renewing(accounts: readonly AccountPlan[], random: Random): Omit<SocketPlan, 'node'> {
  const account = random.pick(revokedAccounts(accounts));
  return {
    account,
    session: revokedSession(accounts[account]?.ending),
    short: false,
    start: 'now',
    moment: 'begun',
    then: 'renew',
    thenAt: 0,
  };
}

function revokedAccounts(accounts: readonly AccountPlan[]): number[] {
  return accounts.flatMap(({ ending }, at) => (ending === 'nothing' || ending === 'expiry' ? [] : [at]));
}

/** Which of two sessions of an account its ending ends in any case: a new password leaves the one that asks. */
function revokedSession(ending: Ending | undefined): number {
  return ending === 'password' ? 1 : 0;
}

function planRequest(hold: Hold, accounts: readonly AccountPlan[], random: Random): RequestPlan {
  const kind = random.pick<Asking>(['stream', 'stream', 'stream', 'poll', 'poll', 'poll', 'read', 'list']);
  return {
    kind,
    ...aimedAt([...accounts.keys()], accounts, random),
    start: planStart(hold, kind !== 'stream', random),
    wait: kind === 'poll' ? random.pick([1, 20, 20]) : 0,
    method: random.chance(0.05) ? 'HEAD' : 'GET',
  };
}

/** Whose token it is; one that ends soon where time is what ends them. */
function aimedAt(
  among: readonly number[],
  accounts: readonly AccountPlan[],
  random: Random,
): Pick<RequestPlan, 'account' | 'session' | 'short'> {
  const account = random.pick(among);
  const { sessions, ending } = accounts[account] ?? { sessions: 1, ending: 'nothing' };
  return {
    account,
    session: random.below(sessions),
    short: ending === 'expiry' ? random.chance(0.8) : random.chance(0.05),
  };
}

/**
 * Such that it mostly comes upon what is held.
 * @param isShort whether it takes only the beginning of a long replay
 */
function planStart(hold: Hold, isShort: boolean, random: Random): Start {
  if (hold === 'event_log' && random.chance(isShort ? 0.7 : 0.1)) return 'log';
  if (hold === 'feed_head' && random.chance(0.6)) return 'ahead';
  return random.pick(['now', 'now', 'now', 'near', 'near', 'ahead']);
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return Array.from({ length: items.length }, () => left.splice(random.below(left.length), 1)).flat();
}
