#!/usr/bin/env node
/**
 * What has to hold: the tests and the checks side by side, then the faults. Of the slow tests each day has a part, so that
 * a run is short and none is left out for long. Ends with one line that counts, `12 passed, 0 failed`.
 *
 *     npm test                     everything, of the slow tests the part of the day
 *     npm test -- --slow 2/8       of the slow tests this part; 1/1 is all of them
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

/**
 * They wait for most of their time, for limits and for servers that fail. They are a process of their own, the other
 * ones have the files that are named nowhere; each has its share of the slow files.
 */
const WAITING = testFiles([
  'audience',
  'client-list',
  'client-session',
  'client-votes',
  'config',
  'event-log',
  'fair-logins',
  'model',
  'searches',
  'users',
]);

/**
 * Test files that start browsers, processes, databases or proxies, compute much or wait for long. The one that takes longest is first,
 * so that each part, of every eighth file, takes equally long.
 */
const SLOW = testFiles([
  'page',
  'database-identity',
  'stopping',
  'embedded',
  'client-package',
  'drift',
  'documents',
  'examples',
  'library-internals',
  'workers',
  'migrations',
  'migration-locks',
  'nginx',
  'load',
  'proxies',
  'service-role',
  'embedded-account',
  'page-places',
  'page-password',
  'page-moderation',
  'doctor',
  'account-export-nodes',
  'second-factor-nodes',
  'oidc-login',
  'oidc-nodes',
  'page-oidc',
  'mail-servers',
  'cut-off-removals',
  'webhooks',
  'webhooks-nodes',
  'defences',
  'sql-functions',
  'redis-faults',
  'sign-up',
  'shared-limits',
  'operations',
  'search-index',
  'rolling-upgrade',
  'redis-support',
  'page-people',
  'page-visitors',
  'rolling-upgrade-threads',
  'rolling-upgrade-people',
  'connection-limits',
  'page-lists',
  'search-blocks',
  'shutdown-delay',
  'database-settings',
  'list-then-subscribe',
  'client-nodes',
  'slow-clients',
  'deploy-files',
  'floods',
  'large-accounts',
  'hostile-input',
  'hostile-sockets',
  'email-verification',
  'socket-life',
  'sessions',
  'sequencer',
  'relations',
  'tokens',
  'hidden-authors',
  'request-bodies',
  'search-words',
  'crowded-replies',
  'relations-nodes',
  'unconfirmed-writes',
  'page-writing',
  'page-threads',
  'pgbouncer',
  'database-tls',
  'database-restore',
  'crowded-writes',
  'full-disk',
  'frozen-redis',
  'client-threads',
  'client-frameworks',
  'page-cache',
  'page-texts',
  'page-languages',
  'page-shell',
  'page-background',
  'page-access',
  'client-text-blocks',
  'topic-replays',
  'mails',
  'account-export',
  'roles',
  'publication',
  'moderation-notices',
  'password-reset',
  'notification-reads',
  'response-backpressure',
  'openapi-examples',
  'document-tools',
  'large-lists',
  'replicas',
]);

/** So many parts have the slow tests. */
const PARTS = 8;

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
 * One part of many, such as 2/8.
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
    'Usage: npm test [-- [--only checks|tests|faults] [--slow 2/8 | --all | --shard 1/3] [--list]]';
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string' },
        slow: { type: 'string' },
        all: { type: 'boolean' },
        shard: { type: 'string' },
        list: { type: 'boolean' },
      },
    });
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
  } catch {
    // An option that there is not.
  }
  console.error(usage);
  process.exit(2);
}

const { only, slow, shard, list } = readArguments();
const wants = (part) => only === 'all' || only === part;

const files = readdirSync('test', { recursive: true })
  .map((file) => `test/${file}`)
  .filter((file) => file.endsWith('.test.ts'))
  .sort();
const named = [...WAITING, ...SLOW];
for (const file of named) if (!files.includes(file)) throw new Error(`there is no ${file}`);
const others = files.filter((file) => !named.includes(file));

/**
 * @template T
 * @param {T[]} items
 * @param {{ number: number, total: number }} part
 */
const partIn = (items, { number, total }) => items.filter((_, at) => at % total === number - 1);

/**
 * @param {string[]} items
 * @param {number} total
 */
const partsOf = (items, total) =>
  Array.from({ length: total }, (_, at) => partIn(items, { number: at + 1, total }));

const slowShares = partsOf(partIn(SLOW, slow), LANES);
const groups = wants('tests')
  ? [WAITING, ...partsOf(others, LANES - 1)]
      .map((group, at) => partIn([...group, ...slowShares[at]], shard))
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
