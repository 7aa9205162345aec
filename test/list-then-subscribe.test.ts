import { expect } from 'chai';
import { kinds } from './fuzz/lists/fold.ts';
import { fuzzLists } from './fuzz/lists/run.ts';
import { endRawClients } from './support/raw-client.ts';
import { createWorld, type World } from './support/world.ts';

/** `npm run fuzz -- --lists 10000` does far more, on two nodes. */
const wanted = { seed: 20_261_129, count: 200, seconds: 60 };

describe('a list, and a subscription from its position', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  afterEach(endRawClients);
  after(() => world.close());

  it('lose nothing, for each kind of topic, while others write, edit, tag, reply, follow and delete', async () => {
    const report = await fuzzLists({ ...wanted, urls: [world.url] });
    expect(report.violations.join('\n')).to.equal('');
    for (const kind of kinds) {
      expect(report.checked[kind], `${kind}: lists`).to.be.at.least(10);
      expect(report.between[kind], `${kind}: lists behind which something came`).to.be.above(0);
    }
  });

  it('are seen to lose something where the position is forgotten', async () => {
    const isEnough = (found: readonly string[]) =>
      ['no event told it', 'no event told that it went'].every((words) =>
        found.some((violation) => violation.endsWith(words)),
      );
    const { violations } = await fuzzLists({
      ...wanted,
      urls: [world.url],
      forgetsPosition: true,
      isEnough,
    });
    expect(violations).to.satisfy(isEnough);
  });
});
