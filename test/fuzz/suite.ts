import { expect } from 'chai';
import { fuzz } from './run.ts';
import { stopBugs } from './stops/bugs.ts';
import { fuzzStops, violationsWith } from './stops/run.ts';
import { Ground } from './stops/stage.ts';

/** Another one finds other things: `FUZZ_SEED=… npx mocha test/fuzz/suite.ts`; `npm run fuzz` sends far more. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_124);
const wanted = { frames: 2000, streams: 200, bodies: 1200 };
/**
 * What both nodes may hold more at the end. MiB. Each keeps pages of lists, up to 16 million characters of them, and the newest
 * events: after this many inputs 8 to 27 were seen, in steps of the large pages that happen to be read last.
 */
const KEPT = 40;

describe(`two nodes under hostile input, seed ${SEED}`, function () {
  this.timeout(120_000);
  it('neither end nor fail, hold no more than before, and hand a bystander every event within a second', async () => {
    const report = await fuzz({ seed: SEED, ...wanted, seconds: 90, kept: KEPT });
    expect(report.violations).to.deep.equal([]);
    expect(report.written, 'events that the bystander was to see').to.be.above(0);
    for (const kind of ['frames', 'streams', 'bodies'] as const)
      expect(report.sent[kind], kind).to.be.at.least(wanted[kind]);
  });
});

describe(`sessions and a node that end while connections are being opened, seed ${SEED}`, function () {
  this.timeout(120_000);
  let ground: Ground;
  before(async () => {
    ground = await Ground.prepare();
  });
  after(() => ground.stop());

  it('tell every connection why, answer every request, and leave nothing behind', async () => {
    const { violations, met } = await fuzzStops({
      seed: SEED,
      ground,
      stages: ['alone'],
      lives: 1,
      waves: 1,
      seconds: 60,
    });
    expect(violations).to.deep.equal([]);
    expect(met).to.include.keys(
      'stream revoked',
      'stream draining',
      'poll 200',
      'poll 401',
      'socket revoked',
    );
  });

  it('do so with a checker that sees when the last words of a stream are cut', async () => {
    const bug = stopBugs['the last words of a stream are cut'];
    const violations = await violationsWith(bug, SEED, ground);
    expect(violations.some((violation) => bug.shows.test(violation))).to.be.true;
  });
});
