import { parseArgs } from 'node:util';
import { UsageError } from '../server/command-line.ts';

/** What a load test is to do. */
export interface LoadOptions {
  /** The server to aim at; undefined: one is started on this machine for the test and stopped after it. */
  url: string | undefined;
  sockets: number;
  /** Posts written while the sockets listen, and votes cast on them, spread evenly over `seconds`. */
  posts: number;
  votes: number;
  seconds: number;
  /** Accounts that the sockets and the writers share. */
  users: number;
  /** Processes that hold the sockets. */
  processes: number;
  /** Handshakes begun per second at most; Infinity: as fast as the server answers. */
  rate: number;
  /** Handshakes in progress at once at most, in all processes together. */
  together: number;
  /** Processes of the server, if it is ours. */
  workers: number;
  /** How long the last event may take to reach everyone before it counts as lost. Seconds. */
  settle: number;
  json: string;
  html: string;
  /** Consent to aim at another machine, given beforehand. */
  yes: boolean;
}

/** A process may open 20,000 files on a usual machine, and one source address has some 28,000 ports: well below both. */
const SOCKETS_PER_PROCESS = 15_000;

export const usage = `Usage: npm run loadtest -- [options]

Opens many live connections to a Tidings server, writes posts and votes while they listen, and checks at every one of
them that nothing is lost, doubled, out of order or stale.

  --sockets N     connections (1000)
  --posts N       posts to write while they listen (20)
  --votes N       votes to cast on them (2000)
  --seconds N     over how long (30)
  --users N       accounts to use (votes / posts, at least 20)
  --processes N   processes that hold the connections (one for each ${SOCKETS_PER_PROCESS})
  --rate N        handshakes begun per second at most (no limit but --together)
  --together N    handshakes under way at once at most (200)
  --settle N      seconds after which what has not arrived is lost (15)
  --url URL       a running server; without it one is started on this machine and stopped afterwards
  --workers N     processes of the server that is started (1)
  --json FILE     the figures (load-report.json)
  --html FILE     the report (load-report.html)
  --yes           do not ask before aiming at another machine
  --help
`;

/** Reads the arguments. @throws {UsageError} naming the option at fault and what it may be; what `parseArgs` throws */
export function readOptions(argv: readonly string[]): LoadOptions {
  const values = parse(argv);
  const sockets = whole('sockets', values.sockets, 1, 1_000_000);
  const posts = whole('posts', values.posts, 0, 1_000_000);
  const votes = whole('votes', values.votes, 0, 10_000_000);
  if (votes > 0 && posts === 0) throw new UsageError('--votes needs --posts to vote on');
  const least = Math.ceil(sockets / SOCKETS_PER_PROCESS);
  const url = values.url === undefined ? undefined : origin(values.url);
  if (url !== undefined && values.workers !== undefined)
    throw new UsageError('--workers is for a server that is started here, not for --url');
  return {
    url,
    sockets,
    posts,
    votes,
    seconds: whole('seconds', values.seconds, 1, 86_400),
    users: whole(
      'users',
      values.users ?? String(Math.max(20, Math.ceil(votes / Math.max(1, posts)))),
      1,
      100_000,
    ),
    processes: whole('processes', values.processes ?? String(least), 1, 256),
    rate: values.rate === undefined ? Infinity : whole('rate', values.rate, 1, 1_000_000),
    together: whole('together', values.together, 1, 10_000),
    workers: whole('workers', values.workers ?? '1', 1, 256),
    settle: whole('settle', values.settle, 1, 600),
    json: values.json,
    html: values.html,
    yes: values.yes,
  };
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    options: {
      url: { type: 'string' },
      sockets: { type: 'string', default: '1000' },
      posts: { type: 'string', default: '20' },
      votes: { type: 'string', default: '2000' },
      seconds: { type: 'string', default: '30' },
      users: { type: 'string' },
      processes: { type: 'string' },
      rate: { type: 'string' },
      together: { type: 'string', default: '200' },
      workers: { type: 'string' },
      settle: { type: 'string', default: '15' },
      json: { type: 'string', default: 'load-report.json' },
      html: { type: 'string', default: 'load-report.html' },
      yes: { type: 'boolean', default: false },
    },
  }).values;
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most))
    throw new UsageError(`--${name} must be a whole number from ${least} to ${most}`);
  return value;
}

function origin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.pathname !== '/' ||
    url.search !== '' ||
    url.username !== ''
  )
    throw new UsageError('--url must be the address of a server, such as http://127.0.0.1:3000');
  return url.origin;
}
