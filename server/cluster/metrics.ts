import cluster, { type Worker } from 'node:cluster';
import { AggregatorRegistry, type Registry } from 'prom-client';
import { withTimeout } from '../async/timeout.ts';
import { unavailable } from '../errors.ts';
import { answerWorkers, askPrimary } from './ask-primary.ts';

/** How long the primary may take to answer, and before that each worker. Milliseconds. */
const LIMIT = 5000;
const WORKER_LIMIT = 4000;

/** The primary's question to a worker. */
interface Question {
  type: 'tidings:metrics-question';
  id: number;
}

/** A worker's answer. That to no question, 0, says that it can be asked from now on. */
interface Answer {
  type: 'tidings:metrics-answer';
  id: number;
  metrics: object[];
}

/**
 * In the primary: answers a worker that is asked for metrics with those of all workers together. One that is still starting
 * has none: it might not even hear the question.
 */
export function collectMetrics(): void {
  /** Workers that can be asked, and what waits for their answers. */
  const workers = new Map<Worker, Map<number, (metrics: object[]) => void>>();
  let last = 0;
  cluster.on('message', (worker, message: Partial<Answer> | null) => {
    if (message?.type !== 'tidings:metrics-answer') return;
    const { id = 0, metrics = [] } = message;
    if (id === 0) workers.set(worker, new Map());
    workers.get(worker)?.get(id)?.(metrics);
  });
  cluster.on('disconnect', (worker) => {
    for (const resolve of workers.get(worker)?.values() ?? []) resolve([]);
    workers.delete(worker);
  });
  answerWorkers('metrics', async () => {
    const id = (last += 1);
    const asked = [...workers].map(async ([worker, waiting]) => {
      const answer = new Promise<object[]>((resolve) => waiting.set(id, resolve));
      worker.send({ type: 'tidings:metrics-question', id } satisfies Question, () => undefined);
      try {
        return await withTimeout(WORKER_LIMIT, answer, () => new Error('A worker does not answer.'));
      } finally {
        waiting.delete(id);
      }
    });
    return AggregatorRegistry.aggregate(await Promise.all(asked)).metrics();
  });
}

function answer(id: number, metrics: object[]): void {
  process.send?.(
    { type: 'tidings:metrics-answer', id, metrics } satisfies Answer,
    undefined,
    undefined,
    () => undefined,
  );
}

/** In a worker that serves: it can be asked from now on. While it starts it may compute for seconds. */
export const offerMetrics = (): void => answer(0, []);

/** In a worker: the metrics of all workers, whichever of them a scrape has reached. */
export function clusterMetrics(registry: Registry): () => Promise<string> {
  process.on('message', (message: Partial<Question> | null) => {
    const { type, id } = message ?? {};
    if (type !== 'tidings:metrics-question' || id === undefined) return;
    // Unanswered, it is a fault of the scrape.
    void registry.getMetricsAsJSON().then(
      (metrics) => answer(id, metrics),
      () => undefined,
    );
  });
  return async () => {
    try {
      return (await askPrimary('metrics', undefined, LIMIT)) as string;
    } catch {
      throw unavailable('The other processes do not answer.', 5);
    }
  };
}
