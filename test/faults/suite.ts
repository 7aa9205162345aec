import { expect } from 'chai';
import { type Bug, bugs } from './bugs.ts';
import { check } from './checker.ts';
import type { ClientKind, History } from './history.ts';
import { plantedFaults, type PlantedFault } from './planted.ts';
import { FaultyPostgres } from './postgres.ts';
import { type Report, run } from './run.ts';
import { buildTree } from './tree.ts';
import { slowPart } from '../support/slow-part.ts';

/** Another one finds other things: `FAULT_SEED=… npm run test:faults`. */
const SEED = Number(process.env.FAULT_SEED ?? 20_261_124);

describe(`the feed under faults, seed ${SEED}`, function () {
  // No promise is judged by it: on a machine of a tenth of the speed it takes minutes to start and restart nodes.
  this.timeout(600_000);
  let report: Report;

  before(async () => {
    report = await run({ seed: SEED, seconds: 40, topical: 9 });
  });

  it('keeps every promise', () => {
    expect(report.violations.map(({ rule, what }) => `rule ${rule}: ${what}`)).to.deep.equal([]);
  });

  it('was put to a test that means something', () => {
    const { faults, acknowledged, deliveries, reconnects } = report.figures;
    expect(Object.keys(faults).length).to.be.at.least(5);
    expect(acknowledged).to.be.at.least(100);
    expect(deliveries).to.be.at.least(2000);
    expect(reconnects).to.be.at.least(20);
    const heard = (kind: ClientKind) =>
      report.history.clients
        .filter((client) => client.kind === kind)
        .reduce((sum, client) => sum + client.deliveries.length, 0);
    for (const kind of ['stock', 'stream', 'poll', 'package'] as const) {
      expect(heard(kind), kind).to.be.at.least(500);
      const topical = report.history.clients.filter((client) => client.kind === kind && client.view);
      expect(Math.max(...topical.map(({ deliveries }) => deliveries.length)), kind).to.be.at.least(10);
    }
  });

  describe('and its checker, shown the same history with a fault planted in it', () => {
    for (const [name, { rules, plant }] of Object.entries<PlantedFault>(plantedFaults)) {
      it(`finds ${name}`, () => {
        const history: History = structuredClone(report.history);
        plant(history);
        const broken = check(history).map(({ rule }) => rule);
        expect(broken).to.satisfy((found: number[]) => rules.some((rule) => found.includes(rule)));
      });
    }
  });
});

const NONE = 'no bug';
const planted = slowPart(Object.entries<Bug>(bugs));
const none: Bug = { patches: [], rules: [], faults: ['slow roads', 'all client connections cut'] };

describe('the fault harness, let loose on a service with a bug', function () {
  this.timeout(300_000);
  let postgres: FaultyPostgres;
  /** Mostly they wait, so a few go side by side; each test waits for its own. */
  const found = new Map<string, Promise<number[]>>();

  before(async () => {
    postgres = await FaultyPostgres.start();
    const harmless = violationsWith(postgres, none);
    found.set(NONE, harmless);
    // Where a bug is to be found, a busy machine may be blamed as well; where there is none, it may not.
    const alone = harmless.catch(() => undefined);
    const turns: Promise<unknown>[] = [alone, alone, alone];
    for (const [at, [name, bug]] of planted.entries()) {
      const run = turns[at % turns.length]?.then(() => violationsWith(postgres, bug));
      if (!run) continue;
      found.set(name, run);
      turns[at % turns.length] = run.catch(() => undefined);
    }
  });
  after(async () => {
    await Promise.allSettled(found.values());
    await postgres.stop();
  });

  it('finds nothing where no bug is planted', async () => {
    expect(await found.get(NONE)).to.be.empty;
  });

  for (const [name, bug] of planted) {
    it(`finds that ${name}`, async () => {
      const broken = await found.get(name);
      expect(broken).to.satisfy((found: number[]) => bug.rules.some((rule) => found.includes(rule)));
    });
  }
});

/** The rules that one small run of a patched service breaks. */
async function violationsWith(postgres: FaultyPostgres, { patches, faults }: Bug): Promise<number[]> {
  const tree = patches.length > 0 ? await buildTree(patches) : undefined;
  try {
    const { violations } = await run({
      seed: SEED,
      seconds: 4,
      writers: 8,
      clients: 8,
      rate: 60,
      nervous: 0.3,
      only: faults,
      grace: 0,
      cluster: { ...(tree && { tree: tree.root }), postgres, nodes: 1, redis: false },
    });
    return violations.map(({ rule }) => rule);
  } finally {
    await tree?.remove();
  }
}
