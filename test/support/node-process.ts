import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { packageRoot } from '../../server/paths.ts';
import { compiledProgram } from './compiled-service.ts';
import { heldLog } from './held-log.ts';
import { Stopwatch } from './waiting.ts';

export interface NodeProcessOptions {
  /** What it is called in reports. */
  name: string;
  /** The environment beside PATH and HOME. PORT is taken from here, so the address outlives a restart. */
  env: Record<string, string>;
  /** A compiled tree, whose `dist/server/main.js` runs. Default: this one, compiled. */
  tree?: string;
}

/** Something a node must never do, and when. Milliseconds since 1970. */
export interface Misconduct {
  node: string;
  at: number;
  what: string;
}

const READY = /Tidings is ready at (\S+)/;
const READY_WITHIN = 120_000;
/** The server's own limit is 10 s (docs/operating.md); a little for the exit itself. */
const STOP_WITHIN = 10_500;
/** Output that is kept. Characters. */
const KEPT = 200_000;
/** pino's. */
const LEVEL_FATAL = 60;

/**
 * One node of the service as a process of its own, to be killed, frozen and restarted at will. It watches the process: an
 * exit that nobody ordered, an unhandled rejection, an uncaught exception, a warning of Node's and whatever the server itself
 * logs as a bug are misconduct. An exit during the start, as when the database cannot be found, is told by `start` instead.
 */
export class NodeProcess {
  readonly name: string;
  readonly misconduct: Misconduct[] = [];
  readonly #options: NodeProcessOptions;
  #child: ChildProcess | undefined;
  #exit: Promise<number | NodeJS.Signals | null> | undefined;
  #ordered = false;
  #wasReady = false;
  #output = '';
  #ready: Promise<string> | undefined;

  constructor(options: NodeProcessOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#options.env.PORT ?? ''}`;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} does not run`);
    return pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** The newest output, both streams. */
  get output(): string {
    return this.#output;
  }

  /** Starts it and waits for its ready line. Throws with its output if it ends before. */
  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  /** Starts it without waiting. */
  launch(): void {
    if (this.#child) throw new Error(`${this.name} runs already`);
    const { tree } = this.#options;
    const program = tree === undefined ? compiledProgram('server/main.ts') : 'dist/server/main.js';
    const child = spawn(process.execPath, [program], {
      cwd: tree ?? packageRoot,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...this.#options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#ordered = false;
    this.#wasReady = false;
    const killWithUs = () => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.#exit = once(child, 'exit').then(([code, signal]) => {
      process.removeListener('exit', killWithUs);
      if (this.#child === child) this.#child = undefined;
      if (!this.#ordered && this.#wasReady) this.#blame(`exited by itself with ${String(code ?? signal)}`);
      return (code ?? signal) as number | NodeJS.Signals | null;
    });
    this.#ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.name} was not ready in time`)), READY_WITHIN);
      const lines = lineReader((line) => {
        heldLog.read(line);
        this.#output = (this.#output + line + '\n').slice(-KEPT);
        const url = READY.exec(line)?.[1];
        if (url !== undefined) {
          clearTimeout(timer);
          this.#wasReady = true;
          resolve(url);
        } else this.#judge(line);
      });
      child.stdout.on('data', lines);
      child.stderr.on('data', lines);
      child.once('exit', () => {
        clearTimeout(timer);
        reject(new Error(`${this.name} ended before it was ready:\n${this.#output.slice(-2000)}`));
      });
    });
    // Who kills it during its start does not wait for it.
    this.#ready.catch(() => undefined);
  }

  /** Resolves with its address when it is ready. */
  ready(): Promise<string> {
    if (!this.#ready) throw new Error(`${this.name} was never started`);
    return this.#ready;
  }

  /** `kill -9`. Resolves when it is gone; no harm if it does not run. */
  async kill(): Promise<void> {
    if (!this.#child) return;
    this.#ordered = true;
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  /** SIGTERM. Resolves with the milliseconds that it took; another exit code than 0, or none in time, is misconduct. */
  async stop(): Promise<number> {
    if (!this.#child) return 0;
    this.#ordered = true;
    // Without the time in which either process was ready to run and did not.
    const watch = new Stopwatch([this.pid]);
    this.#child.kill('SIGTERM');
    this.#child.kill('SIGCONT');
    let ended = false;
    const late = async () => {
      while (!ended && watch.ran < STOP_WITHIN) await pause(50, undefined, { ref: false });
      return 'late' as const;
    };
    const code = await Promise.race([this.#exit, late()]);
    const { ran } = watch;
    ended = true;
    if (code !== 0)
      this.#blame(
        code === 'late' ? 'did not end within 10 s of SIGTERM' : `ended on SIGTERM with ${String(code)}`,
      );
    if (code === 'late') await this.kill();
    return ran;
  }

  /** SIGSTOP: it runs no further, but its connections stand. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Resident memory in bytes. Linux only. */
  async memory(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }

  #judge(line: string): void {
    if (
      /unhandled ?rejection|uncaught ?exception|UnhandledPromiseRejection|Unhandled '\w+' event|^(\w*Error):|^\(node:\d+\).*Warning: /i.test(
        line,
      )
    ) {
      this.#blame(line);
      return;
    }
    if (!line.startsWith('{')) return;
    const {
      level = 0,
      msg = '',
      err,
    } = JSON.parse(line) as {
      level?: number;
      msg?: string;
      err?: { stack?: string };
    };
    if (level >= LEVEL_FATAL || /\bbug\b/.test(msg)) this.#blame(`${msg} ${err?.stack ?? ''}`);
  }

  #blame(what: string): void {
    this.misconduct.push({ node: this.name, at: Date.now(), what: what.slice(0, 2000) });
  }
}

/** Tells each whole line, of either stream on its own. */
export function lineReader(onLine: (line: string) => void): (chunk: Buffer) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  };
}
