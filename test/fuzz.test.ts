import { expect } from 'chai';
import { buildTree, type Tree } from './faults/tree.ts';
import { fuzz } from './fuzz/run.ts';

/** Another one finds other things: `FUZZ_SEED=… npx mocha test/fuzz.test.ts`; `npm run fuzz` sends far more. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_124);

describe(`two nodes under hostile input, seed ${SEED}`, function () {
  this.timeout(90_000);
  let tree: Tree;
  before(async () => {
    tree = await buildTree();
  });
  after(() => tree.remove());

  it('neither end nor fail, and a bystander is handed every event within a second', async () => {
    const report = await fuzz({
      seed: SEED,
      frames: 3000,
      streams: 200,
      bodies: 1500,
      seconds: 60,
      tree: tree.root,
    });
    expect(report.violations).to.deep.equal([]);
    expect(report.missed).to.equal(0);
    expect(report.sent.frames).to.be.at.least(3000);
    expect(report.sent.streams).to.be.at.least(200);
    expect(report.sent.bodies).to.be.at.least(1500);
  });
});
