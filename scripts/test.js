#!/usr/bin/env node
/**
 * What has to hold: the tests and the checks side by side, then the faults. Of the slow tests each day has a part, so that
 * a run is short and none is left out for long. Ends with one line that counts, `12 passed, 0 failed`.
 *
 *     npm test                     everything, of the slow tests the part of the day
 *     npm test -- --slow 2/20      of the slow tests this part; 1/1 is all of them
 *     npm test -- --all            everything
 *     npm test -- --only checks    formatting, lint, types, dead code; also: tests, faults
 *     npm test -- --shard 1/3      a third of all test files
 *     npm test -- --list           says what would be run, and runs nothing; with the others, of that part
 */
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { clearTimeout, setTimeout } from 'node:timers';
import { parseArgs } from 'node:util';
import mocharc from '../.mocharc.cjs';

/** How long a process may take. Milliseconds. */
const LIMIT = 30 * 60_000;

/** How long it may go on after its last test: one that leaves a server behind keeps its process alive. Milliseconds. */
const LAST_WORDS = 20_000;

/** The last line of a process whose tests have ended. */
const COUNT = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/m;

/** How much of a process's output is kept to look for its failures. Characters. */
const KEPT = 200_000;

/**
 * So many processes run side by side: tests wait as well as compute. In all there are few more: each computes for ten seconds
 * until it has loaded everything, has its database and is warm.
 */
const LANES = Math.max(3, availableParallelism() + 1);

/** Scripts of package.json that look at the sources and run nothing of them. The one that takes longest is first. */
const CHECKS = ['lint', 'format:check', 'deadcode'];

/** @param {string[]} names */
const testFiles = (names) => names.map((name) => `test/${name}.test.ts`);

/**
 * What a test file costs that is named nowhere. Seconds of processor time, of its own and of all that it starts; of one that waits
 * for long, two thirds of its time, since three share two processors.
 */
const USUAL = 3;

/** What those cost that run each time and cost more. */
const DEAR = {
  model: 55,
  leaks: 16,
  'client-feed': 14,
  authorisation: 12,
  'events-rest': 11,
  audience: 10,
  'database-hosts': 10,
  'fair-connections': 10,
  handshake: 10,
  resume: 9,
  'api-keys': 8,
  posts: 8,
  blocks: 7,
  'client-store': 7,
  deletion: 7,
  follower: 7,
  'guess-limit': 7,
  'public-read': 7,
  'second-factor': 7,
  topics: 7,
  security: 7,
  asyncapi: 6,
  'client-notifications': 6,
  'fan-out': 6,
  polling: 6,
  preconditions: 6,
  refusals: 6,
};

/**
 * What those cost of which each day has a part: test files that start browsers, processes, databases or proxies, compute much
 * or wait for long, and whose subject others look at as well. A new one is put where it belongs by its cost.
 */
const SLOW = {
  page: 50,
  replicas: 47,
  commands: 45,
  'database-identity': 45,
  proxies: 37,
  embedded: 35,
  examples: 35,
  load: 34,
  migrations: 33,
  stopping: 30,
  'client-package': 29,
  'document-tools': 29,
  'page-writing': 29,
  'unconfirmed-writes': 28,
  'redis-faults': 26,
  workers: 26,
  'client-relations': 24,
  documents: 23,
  'library-internals': 21,
  'request-bodies': 20,
  defences: 19,
  'rolling-upgrade-threads': 19,
  'search-index': 19,
  'shutdown-delay': 19,
  'hidden-authors': 18,
  sessions: 18,
  'shared-limits': 18,
  relations: 17,
  'socket-life': 17,
  'crowded-replies': 15,
  floods: 15,
  'slow-clients': 15,
  'webhooks-nodes': 15,
  'large-accounts': 14,
  'migration-locks': 14,
  'service-role': 14,
  tokens: 14,
  'connection-limits': 13,
  'search-blocks': 13,
  webhooks: 13,
  'account-export-nodes': 12,
  'client-votes': 12,
  'database-restore': 12,
  'email-verification': 12,
  'embedded-account': 12,
  notifications: 12,
  'page-password': 12,
  'page-places': 12,
  'page-threads': 12,
  'rolling-upgrade-people': 12,
  'client-session': 11,
  'client-topics': 11,
  'database-settings': 11,
  doctor: 11,
  'list-then-subscribe': 11,
  'mail-servers': 11,
  'page-lists': 11,
  revocation: 11,
  'sql-functions': 11,
  'client-list': 10,
  'hostile-sockets': 10,
  moderation: 10,
  'page-access': 10,
  'page-people': 10,
  'page-shell': 10,
  'password-reset': 10,
  'second-factor-nodes': 10,
  sequencer: 10,
  'topic-replays': 10,
  'account-export': 9,
  drift: 9,
  mails: 9,
  'oidc-login': 9,
  openapi: 9,
  'page-background': 9,
  'page-moderation': 9,
  pagination: 9,
  pgbouncer: 9,
  publication: 9,
  'relations-nodes': 9,
  replies: 9,
  'response-backpressure': 9,
  roles: 9,
  'sign-up': 9,
  'socket-requests': 9,
  'unfolded-posts': 9,
  'worker-limits': 9,
  'client-frameworks': 8,
  'client-stores': 8,
  'database-tls': 8,
  'deploy-files': 8,
  'fair-logins': 8,
  'moderation-notices': 8,
  operations: 8,
  'request-hosts': 8,
  'rolling-upgrade': 8,
  users: 8,
  'client-nodes': 7,
  'cut-off-removals': 7,
  home: 7,
  'hostile-input': 7,
  'mass-changes': 7,
  'notification-reads': 7,
  'page-languages': 7,
  'page-visitors': 7,
  'redis-support': 7,
  'client-text-blocks': 6,
  'oidc-nodes': 6,
  'page-texts': 6,
  pipelining: 6,
  prune: 6,
  'search-words': 6,
  tags: 6,
  usernames: 6,
  'vote-limit': 6,
  'client-threads': 5,
  'crowded-writes': 5,
  'full-disk': 5,
  'openapi-examples': 5,
  'request-origins': 5,
  'account-text': 4,
  'address-limits': 4,
  'frozen-redis': 4,
  'large-lists': 4,
  'page-cache': 2,
  nginx: 1,
};

/** So many parts have the slow tests. */
const PARTS = 20;

const DAY = 24 * 3_600_000;

/** They are judged by the clock, so they have the machine to themselves, one after the other. */
const FAULTS = ['test/faults/suite.ts', 'test/fuzz/suite.ts'];

/** @typedef {{ title: string, command: string, args: string[], counts: boolean }} Task */

const counted = { passed: 0, failed: 0, skipped: 0 };

/** The failures, repeated at the end: the processes print thousands of lines, and a log may be cut. */
const failures = [];

/**
 * Mocha's list of failures, or the last lines of what has no such list, as the linter.
 *
 * @param {string} printed
 */
function failuresIn(printed) {
  const list = printed.search(/^.*\b\d+ failing\b.*$/m);
  return list === -1 ? printed.trimEnd().split('\n').slice(-40).join('\n') : printed.slice(list).trimEnd();
}

/** The processes that run, each with what it has started. */
const running = new Set();

/**
 * Ends a process and what it has started.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
function end(child, signal) {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

/**
 * Runs a task. What it prints is shown when it has ended, or the lines of several would be mixed.
 *
 * @param {Task} task
 */
function run({ title, command, args, counts }) {
  return new Promise((resolve) => {
    const began = Date.now();
    // A group of its own: what it has started ends with it.
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    running.add(child);
    const output = [];
    const flush = () => process.stdout.write(Buffer.concat(output.splice(0)));
    let printed = '';
    const keep = (chunk) => {
      printed = (printed + chunk).slice(-KEPT);
      output.push(Buffer.from(chunk));
    };
    const endWithin = (limit, since) =>
      setTimeout(() => {
        keep(`\n${title} did not end within ${limit / 1000} s ${since} and was killed.\n`);
        end(child, 'SIGKILL');
      }, limit);
    const longest = endWithin(LIMIT, 'of its start');
    let last;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        keep(chunk);
        if (counts && COUNT.test(printed.slice(-100))) last ??= endWithin(LAST_WORDS, 'of its last test');
      });
    // A run that is cut short tells what it knows.
    process.on('exit', flush);
    child.on('error', (error) => keep(`${command}: ${error.message}\n`));
    child.on('close', (code) => {
      running.delete(child);
      flush();
      console.log(
        `\n${title}: ${code === 0 ? 'done' : 'FAILED'} in ${Math.round((Date.now() - began) / 1000)} s`,
      );
      clearTimeout(longest);
      clearTimeout(last);
      process.off('exit', flush);
      const [, passed, failed, skipped] = COUNT.exec(printed) ?? [];
      // A check is one thing that holds or does not.
      counted.passed += counts ? Number(passed ?? 0) : code === 0 ? 1 : 0;
      // What ended badly without a count, as the linter or a hook does, has failed once.
      counted.failed += Number(failed ?? 0) || (code === 0 ? 0 : 1);
      counted.skipped += Number(skipped ?? 0);
      if (code !== 0) failures.push(failuresIn(printed));
      resolve(undefined);
    });
  });
}

/**
 * Runs tasks in their order, so many at a time.
 *
 * @param {Task[]} tasks
 * @param {number} lanes
 */
async function runAll(tasks, lanes) {
  const waiting = [...tasks];
  const lane = async () => {
    for (let task = waiting.shift(); task; task = waiting.shift()) await run(task);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** @param {string} name */
const check = (name) => ({ title: name, command: 'npm', args: ['run', '--silent', name], counts: false });

/** @param {string[]} files */
const mocha = (files) => ({
  title: files.length > 1 ? `${files[0]} and ${files.length - 1} more` : (files[0] ?? ''),
  command: process.execPath,
  // The program that `mocha` starts with these options, which takes as long as the tests of a small file.
  args: [
    ...mocharc['node-option'].map((option) => `--${option}`),
    'node_modules/mocha/lib/cli/cli.js',
    ...files,
  ],
  counts: true,
});

/**
 * One part of many, such as 2/20.
 *
 * @param {string} text
 * @returns {{ number: number, total: number } | undefined}
 */
function partOf(text) {
  const [, number, total] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  return number >= 1 && number <= total ? { number, total } : undefined;
}

/** @returns what to run, and which part of the test files and of the slow ones among them */
function readArguments() {
  const usage =
    'Usage: npm test [-- [--only checks|tests|faults] [--slow 2/20 | --all | --shard 1/3] [--list]]';
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string' },
        slow: { type: 'string' },
        all: { type: 'boolean' },
        shard: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const { only = values.shard === undefined ? 'all' : 'tests' } = values;
    // A shard is one of all files.
    const isWhole = values.all === true || values.shard !== undefined;
    const slow = partOf(
      values.slow ?? (isWhole ? '1/1' : `${(Math.floor(Date.now() / DAY) % PARTS) + 1}/${PARTS}`),
    );
    const shard = partOf(values.shard ?? '1/1');
    const isPart = ['all', 'checks', 'tests', 'faults'].includes(only);
    const isOne =
      !(isWhole && values.slow !== undefined) && !(values.all === true && values.shard !== undefined);
    if (isPart && isOne && slow && shard && (shard.total === 1 || only === 'tests'))
      return { only, slow, shard, list: values.list === true };
  } catch (error) {
    console.error(`${error.message}\n`);
  }
  console.error(usage);
  process.exit(2);
}

const { only, slow, shard, list } = readArguments();
const wants = (part) => only === 'all' || only === part;

const names = readdirSync('test', { recursive: true })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => file.slice(0, -'.test.ts'.length))
  .sort();
const costs = { ...DEAR, ...SLOW };
for (const name of Object.keys(costs)) if (!names.includes(name)) throw new Error(`there is no ${name}`);

/**
 * Divides test files into shares that cost about as much. A share is in the order of the alphabet.
 *
 * @param {string[]} items
 * @param {number} total
 */
function sharesOf(items, total) {
  const costOf = (name) => costs[name] ?? USUAL;
  const shares = Array.from({ length: total }, () => ({ cost: 0, items: [] }));
  for (const item of items.toSorted((one, other) => costOf(other) - costOf(one))) {
    const least = shares.reduce((one, other) => (other.cost < one.cost ? other : one));
    least.cost += costOf(item);
    least.items.push(item);
  }
  return shares.map((share) => share.items.sort());
}

/**
 * @param {string[]} items
 * @param {{ number: number, total: number }} part
 */
const partIn = (items, { number, total }) => sharesOf(items, total)[number - 1];

const wanted = [...names.filter((name) => !(name in SLOW)), ...partIn(Object.keys(SLOW), slow)];
const shares = wants('tests') ? sharesOf(partIn(wanted, shard), 4 * LANES) : [];
// Three quarters in one process for each lane; then a process for each other share, in whichever lane is done.
const groups = [
  ...Array.from({ length: LANES }, (_, lane) =>
    shares
      .slice(3 * lane, 3 * lane + 3)
      .flat()
      .sort(),
  ),
  ...shares.slice(3 * LANES),
]
  .map(testFiles)
  .filter((group) => group.length > 0);
const checks = wants('checks') ? CHECKS : [];
const faults = wants('faults') ? FAULTS : [];
// Planted faults and bugs are looked for in parts as well: test/support/slow-part.ts.
process.env.SLOW_PART = `${slow.number}/${slow.total}`;
if (list) {
  console.log([...groups.flat(), ...checks, ...faults].join('\n'));
  process.exit();
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
process.on('exit', () => {
  for (const child of running) end(child, 'SIGINT');
});

await runAll([...groups.map(mocha), ...checks.map(check)], LANES);
if (faults.length > 0) await run(mocha(faults));

if (failures.length > 0) console.log(`\nWhat failed:\n\n${failures.join('\n\n')}`);
if (slow.total > 1)
  console.log(`\nOf the slow tests, part ${slow.number} of ${slow.total}. With --all: npm test -- --all`);
const skipped = counted.skipped > 0 ? `, ${counted.skipped} skipped` : '';
console.log(`\n${counted.passed} passed, ${counted.failed} failed${skipped}`);
process.exitCode = counted.failed === 0 ? 0 : 1;
