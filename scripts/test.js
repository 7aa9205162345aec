#!/usr/bin/env node
/**
 * Everything that has to hold, in three lanes side by side and then the faults: most tests wait rather than compute, and the
 * faults are judged by the clock, so they have the machine to themselves. Ends with one line that counts, `12 passed, 0 failed`.
 */
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { clearTimeout, setTimeout } from 'node:timers';

/** How long a lane may take: a test that leaves a server behind keeps its process alive. Milliseconds. */
const LIMIT = 15 * 60_000;

/** How much of a lane's output is kept to look for its failures. Characters. */
const KEPT = 200_000;

/** @param {string[]} names */
const testFiles = (names) => names.map((name) => `test/${name}.test.ts`);

/** Tests that start processes, databases or a browser of their own, after the linter and the compiler. */
const APART = testFiles([
  'client-list',
  'config',
  'database-tls',
  'defences',
  'deploy-files',
  'doctor',
  'documents',
  'drift',
  'embedded',
  'load',
  'nginx',
  'operations',
  'page',
  'places',
  'proxies',
  'service-role',
  'workers',
]);

/** Tests of other servers that fail, move or fill up, and of connections that last: they wait for most of their time. */
const OUTAGES = testFiles([
  'audience',
  'client-session',
  'crowded-writes',
  'database-identity',
  'database-restore',
  'embedded-account',
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
  'migrations',
  'pgbouncer',
  'redis-faults',
  'rolling-upgrade',
  'search-blocks',
  'searches',
  'shutdown-delay',
  'slow-clients',
  'socket-life',
  'stopping',
  'unconfirmed-writes',
  'users',
]);

const files = readdirSync('test', { recursive: true })
  .map((file) => `test/${file}`)
  .filter((file) => file.endsWith('.test.ts'))
  .sort();
for (const file of [...APART, ...OUTAGES]) if (!files.includes(file)) throw new Error(`there is no ${file}`);

const counted = { passed: 0, failed: 0, skipped: 0 };

/** What failed, told once more at the end: three lanes print thousands of lines, and a log may be cut. */
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

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ live: boolean }} how live: told as it comes; otherwise all at its end, or two lanes would be told line by line
 */
function run(command, args, { live }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env } });
    const output = [];
    const flush = () => process.stdout.write(Buffer.concat(output.splice(0)));
    let printed = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        printed = (printed + chunk).slice(-KEPT);
        output.push(chunk);
        if (live) flush();
      });
    const timer = setTimeout(() => {
      output.push(Buffer.from(`\n${command} did not end within ${LIMIT / 60_000} minutes and was killed.\n`));
      child.kill('SIGKILL');
    }, LIMIT);
    // A run that is cut short tells what it knows.
    process.on('exit', flush);
    child.on('error', (error) => output.push(Buffer.from(`${command}: ${error.message}\n`)));
    child.on('close', (code) => {
      flush();
      clearTimeout(timer);
      process.off('exit', flush);
      const [, passed, failed, skipped] =
        /(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/.exec(printed) ?? [];
      counted.passed += Number(passed ?? 0);
      // What ended badly without a count, as the linter or a hook does, has failed once.
      counted.failed += Number(failed ?? 0) || (code === 0 ? 0 : 1);
      counted.skipped += Number(skipped ?? 0);
      if (code !== 0) failures.push(failuresIn(printed));
      resolve(undefined);
    });
  });
}

const mocha = (specs, how) => run(process.execPath, ['node_modules/mocha/bin/mocha.js', ...specs], how);

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

await Promise.all([
  mocha(
    files.filter((file) => ![...APART, ...OUTAGES].includes(file)),
    { live: true },
  ),
  (async () => {
    await run('npm', ['run', '--silent', 'check'], { live: false });
    await mocha(APART, { live: false });
  })(),
  mocha(OUTAGES, { live: false }),
]);
await mocha(['test/faults/suite.ts', 'test/fuzz/suite.ts'], { live: true });

if (failures.length > 0) console.log(`\nWhat failed:\n\n${failures.join('\n\n')}`);
const skipped = counted.skipped > 0 ? `, ${counted.skipped} skipped` : '';
console.log(`\n${counted.passed} passed, ${counted.failed} failed${skipped}`);
process.exitCode = counted.failed === 0 ? 0 : 1;
