import { answerWorkers, askPrimary } from '../cluster/ask-primary.ts';
import { MemoryStore } from './memory-store.ts';
import type { Count, LimitStore } from './store.ts';

const TOPIC = 'limits';
/** How long a request waits for the primary, which usually answers in less than one. Milliseconds. */
const TIMEOUT = 1000;
/** How long the primary is not asked after it has failed to answer in time. Milliseconds. */
const RECOVERY = 1000;

type Method = keyof LimitStore;
/** One call of the store in the primary: the method and its arguments. */
type Call = readonly [method: Method, ...args: unknown[]];

/** In the primary: keeps what the workers of this machine count together. */
export function serveLimits(): void {
  const store = new MemoryStore();
  const methods: Record<Method, (...args: never[]) => Promise<unknown>> = {
    take: store.take.bind(store),
    taken: store.taken.bind(store),
    giveBack: store.giveBack.bind(store),
    remember: store.remember.bind(store),
    knows: store.knows.bind(store),
    forget: store.forget.bind(store),
  };
  answerWorkers(TOPIC, (calls) =>
    Promise.all((calls as Call[]).map(([method, ...args]) => methods[method](...(args as never[])))),
  );
}

/**
 * In a worker: the store of the primary process. Calls of one turn of the event loop go in one message, so that a busy worker
 * sends few.
 */
export class PrimaryStore implements LimitStore {
  #calls: Call[] = [];
  #answers: Promise<unknown[] | undefined> | undefined;
  #againAt = 0;

  take(key: string, seconds: number): Promise<Count | undefined> {
    return this.#call<Count>('take', key, seconds);
  }

  taken(key: string): Promise<number | undefined> {
    return this.#call<number>('taken', key);
  }

  async giveBack(key: string, seconds: number): Promise<void> {
    await this.#call('giveBack', key, seconds);
  }

  async remember(set: string, member: string, until: number): Promise<void> {
    await this.#call('remember', set, member, until);
  }

  knows(set: string, members: readonly string[]): Promise<boolean | undefined> {
    return this.#call<boolean>('knows', set, members);
  }

  async forget(set: string): Promise<void> {
    await this.#call('forget', set);
  }

  async #call<T>(...call: Call): Promise<T | undefined> {
    if (Date.now() < this.#againAt) return undefined;
    const at = this.#calls.push(call) - 1;
    const answers = await (this.#answers ??= new Promise((resolve) =>
      setImmediate(() => resolve(this.#send())),
    ));
    return answers?.[at] as T | undefined;
  }

  async #send(): Promise<unknown[] | undefined> {
    const calls = this.#calls;
    this.#calls = [];
    this.#answers = undefined;
    try {
      return (await askPrimary(TOPIC, calls, TIMEOUT)) as unknown[];
    } catch {
      this.#againAt = Date.now() + RECOVERY;
      return undefined;
    }
  }
}
