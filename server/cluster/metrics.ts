import { AggregatorRegistry, type Registry } from 'prom-client';
import { AppError } from '../errors.ts';
import { answerWorkers, askPrimary } from './ask-primary.ts';

/** How long the primary may take to answer. Milliseconds. */
const LIMIT = 5000;

/** In the primary: answers a worker that is asked for metrics with those of all workers together. */
export function collectMetrics(): void {
  const aggregator = new AggregatorRegistry();
  answerWorkers('metrics', () => aggregator.clusterMetrics());
}

/** In a worker: the metrics of all workers, whichever of them a scrape has reached. */
export function clusterMetrics(registry: Registry): () => Promise<string> {
  AggregatorRegistry.setRegistries([registry]);
  new AggregatorRegistry(); // creating one installs the listener that answers the primary
  return async () => {
    try {
      return (await askPrimary('metrics', undefined, LIMIT)) as string;
    } catch {
      throw new AppError('unavailable', 'The other processes do not answer.');
    }
  };
}
