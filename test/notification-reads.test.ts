import { expect } from 'chai';
import { fuzzReads } from './fuzz/reads.ts';
import { endRawClients } from './support/raw-client.ts';
import { createWorld, type World } from './support/world.ts';

/** `npm run fuzz -- --reads 10000` does far more, on two nodes. */
const wanted = { seed: 20_261_129, count: 60, seconds: 60 };

describe('notifications that are marked as read while new ones come', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  afterEach(endRawClients);
  after(() => world.close());

  const run = () => fuzzReads({ ...wanted, urls: [world.url, world.url] });

  it('are read exactly up to what was seen, the same in the list and on each device', async () => {
    const { violations, reads, later, states } = await run();
    expect(violations.join('\n')).to.equal('');
    expect(reads).to.equal(wanted.count);
    expect(later).to.be.above(0);
    expect(states).to.be.above(wanted.count);
  });

  it('are seen to be read too soon where the service does not ask what was seen', async () => {
    await world.pool.query(`do $$ begin
      execute replace(pg_get_functiondef('read_notifications'::regproc), 'least(s.rev, up_to)', 's.rev');
    end $$`);
    const { violations } = await run();
    expect(violations.some((what) => what.includes(' is read after up_to '))).to.be.true;
  });
});
