import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { HashThreads } from '../server/auth/hash-threads.ts';
import { until } from './support/waiting.ts';

/** The nice value of a thread of this process. Field 19 of `/proc/PID/stat`, of which the name may hold spaces. */
function niceOf(thread: number | string): number {
  const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
  return Number(stat.split(') ').at(-1)?.split(' ')[16]);
}

/** Those of all threads, in the order of their numbers as texts. */
function niceValues(): number[] {
  return readdirSync('/proc/self/task').flatMap((thread) => {
    try {
      return [niceOf(thread)];
    } catch {
      return []; // it has ended
    }
  });
}

async function errorOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => new Error('It was done.'),
    (error: unknown) => error as Error,
  );
}

describe('Threads for password hashes', () => {
  it('hash and compare', async () => {
    const threads = new HashThreads();
    const hash = await threads.hash('correct horse', 8, 'unknown');
    expect(await threads.compare('correct horse', hash, 'known')).to.equal(true);
    expect(await threads.compare('battery staple', hash, 'unknown')).to.equal(false);
  });

  it('leave the processor to others for what may be a guess, and the event loop its own priority', async function () {
    if (process.platform !== 'linux') this.skip();
    const threads = new HashThreads();
    const own = niceOf(process.pid);
    await threads.hash('correct horse', 10, 'unknown');
    // The thread waits for more to do. The kernel ends a list early where another thread of the process ends meanwhile.
    await until('a thread of low priority', () => niceValues().includes(Math.min(19, own + 5)));
    expect(niceOf(process.pid)).to.equal(own);
  });

  it('say what is wrong, also if there can be no thread, and never let a request wait', async () => {
    const threads = new HashThreads(new URL('nothing.js', import.meta.url));
    const [first, second] = await Promise.all([
      errorOf(threads.hash('correct horse', 4, 'known')),
      errorOf(threads.hash('battery staple', 4, 'known')),
    ]);
    expect(first.message).to.match(/^A thread for password hashes has failed: .*nothing\.js/s);
    expect(second.message).to.equal(first.message);
    await pause(0);
    expect((await errorOf(threads.hash('once more', 4, 'known'))).message).to.contain('has failed');
  });
});
