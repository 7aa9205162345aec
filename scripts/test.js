#!/usr/bin/env node
/**
 * Everything that has to hold: the checks and the tests side by side, then the faults. Ends with one line that counts,
 * `12 passed, 0 failed`.
 *
 *     npm test                     everything
 *     npm test -- --only checks    formatting, lint, types, dead code; also: tests, faults
 *     npm test -- --shard 1/3      a third of the test files
 *     npm test -- --list           says what would be run, and runs nothing; with the others, of that part
 */
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { clearTimeout, setTimeout } from 'node:timers';
import { parseArgs } from 'node:util';

/** How long a process may take: a test that leaves a server behind keeps its process alive. Milliseconds. */
const LIMIT = 30 * 60_000;

/** How much of a process's output is kept to look for its failures. Characters. */
const KEPT = 200_000;

/** So many processes run side by side: most tests wait rather than compute. */
const LANES = Math.max(3, availableParallelism() + 1);

/** Scripts of package.json that look at the sources and run nothing of them. The one that takes longest is first. */
const CHECKS = ['lint', 'typecheck', 'format:check', 'deadcode'];

/** @param {string[]} names */
const testFiles = (names) => names.map((name) => `test/${name}.test.ts`);

/** The test files that take longest, a process each group; all other files are one more. The longest group is first. */
const GROUPS = [
  // They wait for most of their time: for limits, for proxies and for other servers that fail, move or fill up.
  testFiles([
    'audience',
    'client-list',
    'client-session',
    'config',
    'crowded-writes',
    'database-identity',
    'database-restore',
    'database-tls',
    'event-log',
    'fair-logins',
    'floods',
    'frozen-redis',
    'full-disk',
    'hostile-input',
    'hostile-sockets',
    'large-accounts',
    'library-internals',
    'migration-locks',
    'model',
    'pgbouncer',
    'redis-faults',
    'search-blocks',
    'searches',
    'slow-clients',
    'socket-life',
    'unconfirmed-writes',
    'users',
  ]),
  // They start a browser, processes or databases of their own.
  testFiles(['page', 'drift', 'deploy-files']),
  testFiles([
    'page-lists',
    'page-people',
    'page-places',
    'page-threads',
    'page-writing',
    'client-threads',
    'documents',
    'load',
  ]),
  testFiles(['embedded', 'embedded-account', 'defences', 'doctor', 'operations', 'service-role', 'workers']),
  // They do both.
  testFiles([
    'nginx',
    'proxies',
    'connection-limits',
    'stopping',
    'shutdown-delay',
    'rolling-upgrade',
    'rolling-upgrade-threads',
    'crowded-replies',
    'migrations',
  ]),
];

/** They are judged by the clock, so they have the machine to themselves. */
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
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        printed = (printed + chunk).slice(-KEPT);
        output.push(chunk);
      });
    const timer = setTimeout(() => {
      output.push(Buffer.from(`\n${title} did not end within ${LIMIT / 60_000} minutes and was killed.\n`));
      end(child, 'SIGKILL');
    }, LIMIT);
    // A run that is cut short tells what it knows.
    process.on('exit', flush);
    child.on('error', (error) => output.push(Buffer.from(`${command}: ${error.message}\n`)));
    child.on('close', (code) => {
      running.delete(child);
      flush();
      console.log(
        `\n${title}: ${code === 0 ? 'done' : 'FAILED'} in ${Math.round((Date.now() - began) / 1000)} s`,
      );
      clearTimeout(timer);
      process.off('exit', flush);
      const [, passed, failed, skipped] =
        /(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/.exec(printed) ?? [];
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
  args: ['node_modules/mocha/bin/mocha.js', ...files],
  counts: true,
});

/** @returns what to run: its part, and which shard of how many of the test files */
function readArguments() {
  const usage = 'Usage: npm test [-- [--only checks|tests|faults] [--shard 1/3] [--list]]';
  try {
    const { values } = parseArgs({
      options: { only: { type: 'string' }, shard: { type: 'string' }, list: { type: 'boolean' } },
    });
    const { only = values.shard === undefined ? 'all' : 'tests', shard = '1/1' } = values;
    const [, number, total] = (/^(\d+)\/(\d+)$/.exec(shard) ?? []).map(Number);
    const isPart = ['all', 'checks', 'tests', 'faults'].includes(only);
    const isShard = number >= 1 && number <= total && (total === 1 || only === 'tests');
    if (isPart && isShard) return { only, number, total, list: values.list === true };
  } catch {
    // An option that there is not.
  }
  console.error(usage);
  process.exit(2);
}

const { only, number, total, list } = readArguments();
const wants = (part) => only === 'all' || only === part;

const files = readdirSync('test', { recursive: true })
  .map((file) => `test/${file}`)
  .filter((file) => file.endsWith('.test.ts'))
  .sort();
const grouped = GROUPS.flat();
for (const file of grouped) if (!files.includes(file)) throw new Error(`there is no ${file}`);
const others = files.filter((file) => !grouped.includes(file));

const groups = wants('tests')
  ? [others, ...GROUPS]
      .map((group) => group.filter((_, at) => at % total === number - 1))
      .filter((group) => group.length > 0)
  : [];
const checks = wants('checks') ? CHECKS : [];
const faults = wants('faults') ? FAULTS : [];
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
const skipped = counted.skipped > 0 ? `, ${counted.skipped} skipped` : '';
console.log(`\n${counted.passed} passed, ${counted.failed} failed${skipped}`);
process.exitCode = counted.failed === 0 ? 0 : 1;
