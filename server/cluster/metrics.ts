import cluster from 'node:cluster';
import { AppError } from '../errors.ts';
import { AggregatorRegistry, type Registry } from 'prom-client';

/** How long the primary may take to answer. Milliseconds. */
const LIMIT = 5000;

interface Asked {
  type: 'tidings:metrics';
  id: number;
}

interface Answered extends Asked {
  text?: string;
  error?: string;
}

/** In the primary: answers a worker that is asked for metrics with those of all workers together. */
export function gatherMetrics(): void {
  const aggregator = new AggregatorRegistry();
  cluster.on('message', (worker, message: Partial<Asked> | null) => {
    if (message?.type !== 'tidings:metrics' || message.id === undefined) return;
    const answer = { type: 'tidings:metrics', id: message.id } as const;
    const send = (rest: { text?: string; error?: string }) => {
      if (worker.isConnected()) worker.send({ ...answer, ...rest });
    };
    aggregator.clusterMetrics().then(
      (text) => send({ text }),
      (error: unknown) => send({ error: String(error) }),
    );
  });
}

/** In a worker: the metrics of all workers, whichever of them a scrape has reached. */
export function clusterMetrics(registry: Registry): () => Promise<string> {
  AggregatorRegistry.setRegistries([registry]);
  new AggregatorRegistry(); // only making one installs the listener that answers the primary
  let last = 0;
  return () =>
    new Promise((resolve, reject) => {
      const id = (last += 1);
      const done = (act: () => void) => {
        clearTimeout(timer);
        process.off('message', listen);
        act();
      };
      const listen = (message: Partial<Answered> | null) => {
        if (message?.type !== 'tidings:metrics' || message.id !== id) return;
        const { text, error } = message;
        done(() => (text === undefined ? reject(new Error(error ?? 'no metrics')) : resolve(text)));
      };
      const fail = () =>
        done(() => reject(new AppError('unavailable', 'The other processes do not answer.')));
      const timer = setTimeout(fail, LIMIT);
      process.on('message', listen);
      // Without a callback a channel that is gone would be an error that nobody catches.
      process.send?.({ type: 'tidings:metrics', id } satisfies Asked, undefined, undefined, (error) => {
        if (error) fail();
      });
    });
}
