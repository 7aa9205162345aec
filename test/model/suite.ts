import { expect } from 'chai';
import { buildTree, type Tree } from '../faults/tree.ts';
import { type ModelReport, runModel } from './run.ts';

/** Another one does other things: `MODEL_SEED=… npx mocha test/model/suite.ts`; `npm run model` runs many. */
const SEED = Number(process.env.MODEL_SEED ?? 20_261_129);

describe(`streams with topics by a model, seed ${SEED}`, function () {
  this.timeout(600_000);
  let tree: Tree;
  let report: ModelReport;

  before(async () => {
    tree = await buildTree();
    report = await runModel({ seed: SEED, seconds: 20, cluster: { tree: tree.root } });
  });
  after(() => tree.remove());

  it('are what an oracle computes from the log', () => {
    expect(report.violations.map(({ rule, what }) => `${rule}: ${what}`)).to.deep.equal([]);
  });

  it('were put to a test that means something', () => {
    const { acknowledged, told, segments } = report.figures;
    expect(acknowledged).to.be.at.least(30);
    expect(told).to.be.at.least(50);
    expect(segments).to.be.at.least(30);
  });
});
