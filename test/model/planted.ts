import { expect } from 'chai';
import { FaultyPostgres } from '../faults/postgres.ts';
import { buildTree, type Tree } from '../faults/tree.ts';
import { type ModelBug, modelBugs } from './bugs.ts';
import type { Rule } from './rules.ts';
import { modelFaults, type ModelReport, runModel } from './run.ts';

/** Another one does other things: `MODEL_SEED=… npx mocha test/model/planted.ts`; `npm run model` runs many. */
const SEED = Number(process.env.MODEL_SEED ?? 20_261_129);
/** Of a bug: so many runs at most, and no more than it takes to find it. */
const TRIES = 3;

describe(`streams with topics by a model, seed ${SEED}`, function () {
  this.timeout(600_000);
  let tree: Tree;
  let report: ModelReport;

  before(async () => {
    tree = await buildTree();
    report = await runModel({ seed: SEED, seconds: 20, faults: modelFaults, cluster: { tree: tree.root } });
  });
  after(() => tree.remove());

  it('are what an oracle computes from the log', () => {
    expect(report.violations.map(({ rule, what }) => `${rule}: ${what}`)).to.deep.equal([]);
  });

  it('were put to a test that means something', () => {
    const { faults, acknowledged, told, segments, pages } = report.figures;
    expect(faults).to.be.at.least(3);
    expect(acknowledged).to.be.at.least(30);
    expect(told).to.be.at.least(50);
    expect(segments).to.be.at.least(30);
    expect(pages).to.be.at.least(50);
  });
});

describe('the model, let loose on a service with a bug', function () {
  this.timeout(600_000);
  let postgres: FaultyPostgres;

  before(async () => {
    postgres = await FaultyPostgres.start();
  });
  after(() => postgres.stop());

  it('finds nothing where no bug is planted', async () => {
    expect(await brokenRules(postgres, { patches: [], rules: [] }, SEED)).to.deep.equal([]);
  });

  for (const [name, bug] of Object.entries<ModelBug>(modelBugs)) {
    it(`finds that ${name}`, async () => {
      let broken: readonly Rule[] = [];
      for (let at = 0; at < TRIES && !bug.rules.some((rule) => broken.includes(rule)); at += 1)
        broken = await brokenRules(postgres, bug, SEED + at);
      expect(broken).to.satisfy((found: readonly Rule[]) => bug.rules.some((rule) => found.includes(rule)));
    });
  }
});

/** The rules that one small run of a patched service breaks. */
async function brokenRules(
  postgres: FaultyPostgres,
  { patches, faults }: ModelBug,
  seed: number,
): Promise<Rule[]> {
  const tree = await buildTree(patches);
  try {
    const { violations } = await runModel({
      seed,
      seconds: 8,
      rate: 60,
      ...(faults && { faults }),
      cluster: { tree: tree.root, postgres, nodes: 1, redis: false },
    });
    return [...new Set(violations.map(({ rule }) => rule))];
  } finally {
    await tree.remove();
  }
}
