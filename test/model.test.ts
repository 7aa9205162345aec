import { expect } from 'chai';
import { migrate } from '../server/database/migrate.ts';
import type { ClusterOptions } from './faults/cluster.ts';
import { FaultyPostgres } from './faults/postgres.ts';
import { buildTree, type Patch } from './faults/tree.ts';
import { type ModelBug, modelBugs } from './model/bugs.ts';
import type { Violation } from './model/rules.ts';
import { modelFaults, type ModelOptions, type ModelReport, runModel } from './model/run.ts';
import { slowPart } from './support/slow-part.ts';

/**
 * Another one does other things: `MODEL_SEED=… npx mocha test/model.test.ts`; `npm run model` runs many. Of the planted
 * bugs `npm test` looks for a part: each takes some ten seconds.
 */
const SEED = Number(process.env.MODEL_SEED ?? 20_261_129);

/** A small world, in which people meet each other more often. A bug is looked for until it is found, or so long. */
const small = { seed: SEED, seconds: 60, round: 1500, rate: 60, users: 8 } satisfies ModelOptions;
/** All of those that bugs are found by. */
const smallFaults = Object.values<ModelBug>(modelBugs).flatMap(({ faults = [] }) => faults);
/** How long nothing may be found where there is no bug. Seconds. */
const IN_VAIN = 3;

/** One node needs no Redis. */
const alone = { nodes: 1, redis: false } satisfies ClusterOptions;

const planted = slowPart(Object.entries<ModelBug>(modelBugs));

const TEMPLATE = 'migrated';

const told = ({ violations }: ModelReport) => violations.map(({ rule, what }) => `${rule}: ${what}`);

describe(`streams with topics by a model, seed ${SEED}`, function () {
  this.timeout(300_000);
  let postgres: FaultyPostgres;
  before(async () => {
    postgres = await FaultyPostgres.start();
    await postgres.query('postgres', `create database ${TEMPLATE} template template0`);
    await migrate(postgres.url(TEMPLATE));
  });
  after(() => postgres.stop());

  it('are what an oracle computes from the log, while nodes are killed', async () => {
    const report = await run(postgres, [], { seed: SEED, seconds: 4, users: 14, faults: modelFaults });
    expect(told(report)).to.deep.equal([]);
    const { faults, acknowledged, acts, told: events, segments, pages } = report.figures;
    expect(faults, 'faults').to.be.at.least(2);
    expect(acknowledged, 'writes').to.be.at.least(30);
    expect(acts, 'acts of moderators').to.be.at.least(1);
    expect(events, 'events').to.be.at.least(50);
    expect(segments, 'subscriptions').to.be.at.least(30);
    expect(pages, 'pages').to.be.at.least(50);
  });

  it('are so in a small world', async () => {
    const report = await run(postgres, [], { ...small, seconds: IN_VAIN, faults: smallFaults }, alone);
    expect(told(report)).to.deep.equal([]);
  });

  for (const [name, { patches, rules, faults, habits = {} }] of planted) {
    it(`are seen not to be so where ${name}`, async () => {
      const isFound = (violations: readonly Violation[]) =>
        violations.some(({ rule }) => rules.includes(rule));
      const options = { ...small, habits, ...(faults && { faults }), isEnough: isFound };
      const { violations } = await run(postgres, patches, options, alone);
      expect(violations).to.satisfy(isFound);
    });
  }
});

async function run(
  postgres: FaultyPostgres,
  patches: readonly Patch[],
  options: ModelOptions,
  cluster: ClusterOptions = {},
): Promise<ModelReport> {
  const tree = patches.length > 0 ? await buildTree(patches) : undefined;
  try {
    return await runModel({
      ...options,
      cluster: { ...cluster, ...(tree && { tree: tree.root }), postgres, template: TEMPLATE },
    });
  } finally {
    await tree?.remove();
  }
}
