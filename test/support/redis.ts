import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../../server/database/embedded/postmaster.ts';
import { type Binary, systemBinary } from './system-binary.ts';

/** A Redis server of the test's own, to be stopped, killed or frozen at will. */
export interface TestRedis {
  /** `redis://127.0.0.1:PORT`, with the password if one was asked for. Stays the same through `restart`. */
  readonly url: string;
  readonly port: number;
  /** Of the server that runs now; a restart changes it. */
  readonly pid: number;
  /** Ends it, even when it is frozen, and removes its folder. Twice is no error. */
  stop(): Promise<void>;
  /** Sends a signal. Resolves when the server is gone, or at once for SIGSTOP and SIGCONT. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** A new, empty server on the same port; the old one is killed if it still runs. */
  restart(): Promise<void>;
}

export interface RedisOptions {
  /** Default: a free one. */
  port?: number;
  password?: string;
  /** More of redis-server's command line, such as `['--maxmemory', '10mb']`. */
  args?: string[];
  /** A file that makes it a Sentinel, which writes to it. */
  sentinelConfig?: string;
  /** Where to look for the server, and what it runs with. Default: our own environment. */
  env?: NodeJS.ProcessEnv;
}

const READY_WITHIN_MS = 60_000;

/** Starts a private Redis without persistence on 127.0.0.1. Throws with the line to type if there is none to be had. */
export async function startRedis(options: RedisOptions = {}): Promise<TestRedis> {
  const binary = await redisBinary(options.env);
  if (options.port !== undefined) return PrivateRedis.start(binary, options.port, options);
  for (let attempt = 1; ; attempt++) {
    try {
      return await PrivateRedis.start(binary, await freePort(), options);
    } catch (error) {
      if (attempt === 3) throw error; // between finding a port and taking it another process may have been faster
    }
  }
}

/**
 * A Redis for a test that only talks to it: `TEST_REDIS_URL` if set, which must answer, else a private one. It may
 * be shared with other tests: name keys and channels accordingly, flush nothing.
 */
export async function sharedRedis(): Promise<Pick<TestRedis, 'url' | 'stop'>> {
  const url = process.env.TEST_REDIS_URL;
  if (url === undefined || url === '') return startRedis();
  const { hostname, port } = new URL(url);
  const answer = await ask(hostname, Number(port || 6379));
  if (answer === undefined)
    throw new Error(`TEST_REDIS_URL names ${hostname}:${port}, where no Redis answers`);
  return { url, stop: () => Promise.resolve() };
}

function redisBinary(env: NodeJS.ProcessEnv = process.env): Promise<Binary> {
  return systemBinary(
    {
      names: ['redis-server', 'valkey-server'],
      packages: ['redis-server', 'redis-tools'],
      hint: 'Install it with: apt-get install -y redis-server   (macOS: brew install redis)',
    },
    env,
  );
}

class PrivateRedis implements TestRedis {
  readonly url: string;
  readonly port: number;
  readonly #binary: Binary;
  #args: string[];
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(binary: Binary, port: number, folder: string, options: RedisOptions) {
    this.#binary = binary;
    this.#folder = folder;
    this.port = port;
    const { password, args = [] } = options;
    this.url =
      password === undefined ? `redis://127.0.0.1:${port}` : `redis://:${password}@127.0.0.1:${port}`;
    this.#args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
    if (password !== undefined) this.#args.push('--requirepass', password);
    this.#args.push('--appendonly', 'no', '--daemonize', 'no', ...args);
    if (options.sentinelConfig !== undefined)
      this.#args = [
        options.sentinelConfig,
        '--sentinel',
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        folder,
      ];
  }

  static async start(binary: Binary, port: number, options: RedisOptions): Promise<PrivateRedis> {
    const folder = await mkdtemp(join(tmpdir(), 'tidings-redis-'));
    const redis = new PrivateRedis(binary, port, folder, options);
    try {
      await redis.#launch();
    } catch (error) {
      await redis.stop();
      throw error;
    }
    return redis;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('This Redis does not run');
    return pid;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (!child) throw new Error('This Redis does not run');
    child.kill(signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
    await exited(child);
    this.#child = undefined;
  }

  async restart(): Promise<void> {
    if (this.#child) await this.kill();
    await this.#launch();
  }

  async stop(): Promise<void> {
    if (this.#child) await this.kill(); // nothing to save, and a frozen one obeys nothing milder
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #launch(): Promise<void> {
    const child = spawn(this.#binary.path, this.#args, {
      cwd: this.#folder,
      env: this.#binary.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    // Its own word, and not an answer on the port: that might come from another server that holds it.
    const ready = new Promise<undefined>((resolve) => {
      const keep = (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-4_000);
        if (/Ready to accept connections|Sentinel ID is/.test(output)) resolve(undefined);
      };
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
    });
    const failure = once(child, 'exit').then(
      ([code]) => new Error(`redis-server ended with ${String(code)} before it was ready:\n${output}`),
      (error: unknown) => new Error('redis-server could not be started', { cause: error }),
    );
    this.#child = child;
    // If the test run ends without stop(), the server must not outlive it.
    const killWithUs = () => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    void failure.then(() => process.removeListener('exit', killWithUs));

    const outcome = await Promise.race([failure, ready, tooLate()]);
    if (outcome instanceof Error) {
      if (hasExited(child) || child.pid === undefined) this.#child = undefined;
      throw outcome;
    }
  }
}

async function tooLate(): Promise<Error> {
  await pause(READY_WITHIN_MS, undefined, { ref: false });
  return new Error(`redis-server was not ready within ${READY_WITHIN_MS} ms`);
}

/** What the server says to PING: a pong or its wish for a password. Undefined: nobody there, or not ready. */
async function ask(host: string, port: number): Promise<string | undefined> {
  const socket = connect({ host, port });
  socket.setTimeout(10_000, () => socket.destroy(new Error('timeout')));
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    const answer = chunk.toString();
    return answer.startsWith('+PONG') || answer.startsWith('-NOAUTH') ? answer : undefined;
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function exited(child: ChildProcess): Promise<void> {
  if (!hasExited(child)) await once(child, 'exit');
}
