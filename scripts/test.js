#!/usr/bin/env node
/**
 * What has to hold: the tests and the checks side by side, then the faults. Of the slow tests each day has a part, so that
 * a run is short and none is left out for long. Ends with one line that counts, `12 passed, 0 failed`.
 *
 *     npm test                     everything, of the slow tests the part of the day
 *     npm test -- --slow 2/16      of the slow tests this part; 1/1 is all of them
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
 * So many processes run side by side: tests wait as well as compute. There are no more in all: each computes for ten
 * seconds until it has loaded everything, has its database and is warm.
 */
const LANES = Math.max(3, availableParallelism() + 1);

/** Scripts of package.json that look at the sources and run nothing of them. The one that takes longest is first. */
const CHECKS = ['lint', 'format:check', 'deadcode'];

/** @param {string[]} names */
const testFiles = (names) => names.map((name) => `test/${name}.test.ts`);

/** What a test file costs that is named nowhere. Seconds of processor time, of its own and of all that it starts. */
const USUAL = 2;

/** What those cost that run each time and cost more. */
const DEAR = {
  model: 45,
  authorisation: 14,
  leaks: 13,
  resume: 12,
  audience: 9,
  openapi: 8,
  follower: 7,
  'client-feed': 6,
  'fan-out': 6,
  pagination: 6,
  posts: 6,
  security: 6,
};

/**
 * What those cost of which each day has a part: test files that start browsers, processes, databases or proxies, compute much
 * or wait for long, and whose subject others look at as well. A new one is put where it belongs by its cost.
 */
const SLOW = {
  'client-package': 55,
  'database-identity': 55,
  'list-then-subscribe': 53,
  commands: 50,
  page: 50,
  replicas: 46,
  'document-tools': 40,
  workers: 39,
  migrations: 35,
  'request-bodies': 32,
  stopping: 30,
  embedded: 29,
  load: 26,
  proxies: 25,
  'library-internals': 22,
  'rolling-upgrade-people': 22,
  'rolling-upgrade-threads': 22,
  'search-blocks': 21,
  documents: 20,
  'search-index': 19,
  'service-role': 17,
  'embedded-account': 16,
  floods: 16,
  'client-relations': 15,
  drift: 15,
  'migration-locks': 15,
  tokens: 15,
  'database-restore': 14,
  'page-writing': 14,
  relations: 14,
  'rolling-upgrade': 13,
  'unfolded-posts': 13,
  'crowded-replies': 12,
  'large-accounts': 12,
  'page-password': 12,
  pgbouncer: 12,
  'relations-nodes': 12,
  'slow-clients': 12,
  'socket-life': 12,
  'worker-limits': 12,
  'fair-logins': 11,
  revocation: 11,
  'client-text-blocks': 10,
  defences: 10,
  examples: 10,
  moderation: 10,
  'moderation-notices': 10,
  'page-access': 10,
  sequencer: 10,
  sessions: 10,
  'webhooks-nodes': 10,
  'database-settings': 9,
  'hostile-input': 9,
  'page-background': 9,
  'account-export': 8,
  'client-nodes': 8,
  'client-stores': 8,
  'deploy-files': 8,
  doctor: 8,
  'frozen-redis': 8,
  'full-disk': 8,
  'hidden-authors': 8,
  'mail-servers': 8,
  mails: 8,
  nginx: 8,
  'openapi-examples': 8,
  'page-cache': 8,
  'redis-support': 8,
  roles: 8,
  'second-factor-nodes': 8,
  'shared-limits': 8,
  'shutdown-delay': 8,
  'sql-functions': 8,
  users: 8,
  'client-session': 7,
  'email-verification': 7,
  'hostile-sockets': 7,
  'oidc-login': 7,
  operations: 7,
  'page-people': 7,
  'page-places': 7,
  'socket-requests': 7,
  'unconfirmed-writes': 7,
  webhooks: 7,
  'account-export-nodes': 6,
  'address-limits': 6,
  'page-oidc': 6,
  'redis-faults': 6,
  replies: 6,
  'topic-replays': 6,
  'account-text': 5,
  'client-list': 5,
  'client-topics': 5,
  'connection-limits': 5,
  'database-tls': 5,
  home: 5,
  'notification-reads': 5,
  notifications: 5,
  'page-moderation': 5,
  'page-threads': 5,
  prune: 5,
  publication: 5,
  'response-backpressure': 5,
  'search-words': 5,
  'sign-up': 5,
  'client-votes': 4,
  'cut-off-removals': 4,
  'mass-changes': 4,
  'oidc-nodes': 4,
  'page-lists': 4,
  'page-visitors': 4,
  'password-reset': 4,
  pipelining: 4,
  tags: 4,
  'client-threads': 3,
  'large-lists': 3,
  'page-languages': 3,
  'page-texts': 3,
  'request-hosts': 3,
  'request-origins': 3,
  usernames: 3,
  'vote-limit': 3,
  'client-frameworks': 2,
  'crowded-writes': 2,
  'page-shell': 2,
};

/** So many parts have the slow tests. */
const PARTS = 16;

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
 * One part of many, such as 2/16.
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
    'Usage: npm test [-- [--only checks|tests|faults] [--slow 2/16 | --all | --shard 1/3] [--list]]';
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
const groups = wants('tests')
  ? sharesOf(partIn(wanted, shard), LANES)
      .map(testFiles)
      .filter((group) => group.length > 0)
  : [];
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
