import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isLoopback } from './consent.ts';
import type {
  FromLoader,
  LoaderProgress,
  LoaderRamped,
  LoaderVerdict,
  Position,
  SettleLoader,
  ToLoader,
} from './messages.ts';

export interface LoadersOptions {
  url: string;
  processes: number;
  sockets: number;
  tokens: string[];
  topics?: readonly string[] | undefined;
  from?: Position | undefined;
  posts: number;
  /** Of all processes together. */
  rate: number;
  together: number;
  /** Called with each process's report, about once a second. */
  onProgress: (report: LoaderProgress, loader: number) => void;
}

/** The processes that hold the connections. */
export class Loaders {
  readonly #children: ChildProcess[] = [];
  readonly #options: LoadersOptions;

  constructor(options: LoadersOptions) {
    this.#options = options;
  }

  /** Opens all connections. Resolves when each of them stands or has been refused. */
  async ramp(): Promise<LoaderRamped[]> {
    const { url, processes, sockets, tokens, topics, from, posts, rate, together } = this.#options;
    const file = fileURLToPath(new URL(`./loader${extname(import.meta.filename)}`, import.meta.url));
    return Promise.all(
      Array.from({ length: processes }, (_, at) => {
        const child = fork(file, { serialization: 'advanced' });
        this.#children.push(child);
        child.on('message', (message: FromLoader) => {
          if (message.type === 'progress') this.#options.onProgress(message, at);
        });
        // What is asked of it fails then.
        child.on('error', () => undefined);
        const share = (of: number) => Math.floor(of / processes) + (at < of % processes ? 1 : 0);
        return this.#ask<LoaderRamped>(child, 'ramped', {
          type: 'begin',
          url,
          // One address has some 28,000 ports to leave from, and all of 127.0.0.0/8 is this machine.
          localAddress: isLoopback(url) && !url.includes('[') ? ownAddress() : undefined,
          tokens: tokens.map((_token, number) => tokens[(number + at) % tokens.length] ?? ''),
          topics,
          from,
          sockets: share(sockets),
          posts,
          rate: rate / processes,
          together: Math.max(1, share(together)),
        });
      }),
    );
  }

  /** Waits until every client has what was written, or for as long as that may take; then each process judges. */
  settle(task: SettleLoader): Promise<LoaderVerdict[]> {
    return Promise.all(this.#children.map((child) => this.#ask<LoaderVerdict>(child, 'verdict', task)));
  }

  async end(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || !child.connected) return;
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.send({ type: 'end' } satisfies ToLoader);
        await gone;
      }),
    );
  }

  /** @throws if the process has ended, or ends before it has answered */
  #ask<T extends FromLoader>(child: ChildProcess, answer: T['type'], message: ToLoader): Promise<T> {
    return new Promise((resolve, reject) => {
      const listen = (received: FromLoader) => {
        if (received.type !== answer) return;
        child.off('message', listen).off('exit', end).off('error', reject);
        resolve(received as T);
      };
      const end = () =>
        reject(new Error(`a loader process ended with ${child.exitCode ?? child.signalCode ?? 'no code'}`));
      child.on('message', listen).once('exit', end).once('error', reject);
      // It may have ended while nothing was asked of it.
      if (child.connected) child.send(message);
      else end();
    });
  }
}

let addresses = 0;

/**
 * A loopback address to leave from. Each loader has another one, also after the one before has ended: its ports are kept from
 * use for a minute, and an address has 28,000.
 */
function ownAddress(): string {
  addresses = (addresses % 250) + 1;
  return `127.0.0.${addresses}`;
}
