import { expect } from 'chai';
import express from 'express';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PendingResponses } from '../server/http/pending-responses.ts';
import { mountHealth } from '../server/ops/health.ts';
import { createMetrics } from '../server/ops/metrics.ts';
import { serveMetrics } from '../server/ops/observe.ts';
import { until } from './support/waiting.ts';

/** Work that ends when it is told to. */
class Held {
  begun = 0;
  #release: (() => void)[] = [];

  run<T>(outcome: () => T): Promise<T> {
    this.begun += 1;
    return new Promise<void>((resolve) => this.#release.push(resolve)).then(outcome);
  }

  release(): void {
    for (const resolve of this.#release.splice(0)) resolve();
  }
}

describe('probes and scrapes that come at once', () => {
  const probe = new Held();
  const scrape = new Held();
  let well = true;
  let url: string;
  const app = express();
  const server = createServer(app);
  before(async () => {
    const check = () =>
      probe.run(() => {
        if (!well) throw new Error('not well');
        return {};
      });
    mountHealth(app, [{ name: 'database', required: true, check }], () => false);
    const answers = new PendingResponses({ onAbandoned: () => undefined });
    let scrapes = 0;
    app.get(
      '/metrics',
      serveMetrics(createMetrics(), answers, () => scrape.run(() => `n ${(scrapes += 1)}\n`)),
    );
    app.use(((error: { status: number }, _req, res, _next) => {
      res.status(error.status).end();
    }) as express.ErrorRequestHandler);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  /** Asks twenty times, and lets what was begun continue when all have come. */
  async function together(path: string, held: Held): Promise<Response[]> {
    let come = 0;
    const count = () => (come += 1);
    server.on('request', count);
    const asked = Array.from({ length: 20 }, () => fetch(url + path));
    await until('all to have come', () => come === 20);
    server.off('request', count);
    held.release();
    return Promise.all(asked);
  }

  it('are answered by one look at the database, and the next by another', async () => {
    for (const [round, status] of [200, 503, 200].entries()) {
      well = status === 200;
      for (const answer of await together('/readyz', probe)) expect(answer.status).to.equal(status);
      expect(probe.begun).to.equal(round + 1);
    }
  });

  it('are answered by one question to all processes', async () => {
    for (const round of [1, 2]) {
      for (const answer of await together('/metrics', scrape))
        expect(await answer.text()).to.equal(`n ${round}\n`);
      expect(scrape.begun).to.equal(round);
    }
  });
});
