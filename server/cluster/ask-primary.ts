import cluster from 'node:cluster';

/** A worker's request to the primary process, over Node's IPC channel. */
interface Question {
  type: 'tidings:question';
  topic: string;
  id: number;
  /** The deadline of the request, in milliseconds since 1970 (both processes share the clock). */
  deadline: number;
  body: unknown;
}

interface Reply {
  type: 'tidings:reply';
  id: number;
  body?: unknown;
  error?: string;
}

interface Waiting {
  resolve: (body: unknown) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
}

/**
 * In the primary: answers the workers' questions about a topic. A request that is read after its deadline is dropped:
 * the worker no longer waits, so nothing may be done for it.
 */
export function answerWorkers(topic: string, answer: (body: unknown) => unknown): void {
  cluster.on('message', (worker, message: Partial<Question> | null) => {
    if (message?.type !== 'tidings:question' || message.topic !== topic) return;
    const { id = 0, deadline = 0, body } = message;
    if (Date.now() > deadline) return;
    const reply = (rest: Pick<Reply, 'body' | 'error'>) => {
      if (worker.isConnected())
        worker.send({ type: 'tidings:reply', id, ...rest } satisfies Reply, () => undefined);
    };
    Promise.resolve(body)
      .then(answer)
      .then(
        (given) => reply({ body: given }),
        (error: unknown) => reply({ error: String(error) }),
      );
  });
}

const waiting = new Map<number, Waiting>();
let last = 0;

/**
 * In a worker: asks the primary.
 * @param limit how long the answer is waited for, in milliseconds
 * @throws {Error} if the primary does not answer in time, or cannot
 */
export function askPrimary(topic: string, body: unknown, limit: number): Promise<unknown> {
  if (last === 0) process.on('message', settle);
  const id = (last += 1);
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      clearTimeout(timer);
      waiting.delete(id);
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error('The primary process does not answer.')), limit);
    waiting.set(id, { resolve, reject: fail, timer });
    const question: Question = { type: 'tidings:question', topic, id, deadline: Date.now() + limit, body };
    // Without a callback a closed channel would be an error that nobody catches.
    if (!process.connected) fail(new Error('The primary process has exited.'));
    else
      process.send?.(question, undefined, undefined, (error) => {
        if (error) fail(error);
      });
  });
}

function settle(message: Partial<Reply> | null): void {
  if (message?.type !== 'tidings:reply' || message.id === undefined) return;
  const requester = waiting.get(message.id);
  if (!requester) return;
  if (message.error !== undefined) {
    requester.reject(new Error(message.error));
    return;
  }
  clearTimeout(requester.timer);
  waiting.delete(message.id);
  requester.resolve(message.body);
}
