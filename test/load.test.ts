import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { readOptions } from '../load/options.ts';
import { UsageError } from '../server/command-line.ts';
import { pageOf } from '../load/report/page.ts';
import { summaryOf } from '../load/report/summary.ts';
import { type LoadReport, passes, type Progress, runLoadTest } from '../load/run.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { createWorld, type World } from './support/world.ts';

const silent: Progress = { begin: () => undefined, update: () => undefined, end: () => undefined };
const SHORT = ['--posts', '2', '--votes', '4', '--seconds', '1', '--settle', '60'];

/** Kills one of the processes that a load test in this one has started. */
function killLoader(): void {
  const all = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' });
  const loader = new RegExp(`^ *(\\d+) +${process.pid} .*\\bloader\\.ts$`, 'm').exec(all);
  process.kill(Number(loader?.[1]), 'SIGKILL');
}

describe('A load test', () => {
  let world: World;
  let proxy: FrameProxy;

  beforeEach(async () => {
    world = await createWorld();
    proxy = await createFrameProxy(world.url);
  });

  afterEach(async () => {
    await proxy.close();
    await world.close();
  });

  function run(...more: string[]): Promise<LoadReport> {
    const options = readOptions([
      ...['--url', proxy.url, '--sockets', '12', '--processes', '2', '--posts', '6', '--votes', '60'],
      // A slow machine settles later: all but the test of a planted loss end as soon as everything has arrived.
      ...['--seconds', '2', '--settle', '60', '--users', '5'],
      ...more,
    ]);
    return runLoadTest(options, silent);
  }

  it('finds nothing at a server that keeps its promises, and tells what it saw', async () => {
    const report = await run();
    expect(report.connected).to.equal(12);
    expect(report.written).to.deep.equal({ posts: 6, votes: 60, failed: {} });
    expect(report.deliveries).to.equal(72);
    expect(report.sinceWritten).to.include({ count: 72 });
    // In milliseconds of the run, however busy the machine is.
    expect(report.sinceAsked!.p50).to.be.greaterThan(0).and.lessThan(60_000);
    expect(report.check).to.include({
      lost: 0,
      doubled: 0,
      outOfOrder: 0,
      stale: 0,
      unannounced: 0,
      miscounted: 0,
    });
    expect(passes(report)).to.be.true;
    expect(summaryOf(report)).to.match(/connected +12 of 12/);
    const page = await pageOf(report);
    expect(page).to.include('12 live connections').and.to.include('uPlot');
    expect(page).not.to.match(/(src|href)=/);
  });

  it('finds a planted loss, a planted double and planted silence about tallies', async () => {
    let events = 0;
    let tallies = 0;
    proxy.drops = (frame) => {
      if (frame.startsWith('42["votes"')) return (tallies += 1) > 12;
      return frame.startsWith('42["post:created"') && (events += 1) === 20;
    };
    proxy.repeats = (frame) => frame.startsWith('42["post:created"') && events === 30;
    const report = await run('--settle', '5');
    expect(report.check).to.include({ lost: 1, doubled: 1, outOfOrder: 0 });
    expect(report.check.stale).to.be.greaterThan(0);
    expect(passes(report)).to.be.false;
    expect(summaryOf(report)).to.match(/! lost +1\n/);
  });

  it('brings a client whose connection was cut back to its position, and says so', async () => {
    let cut = false;
    proxy.drops = (frame) => {
      // The first post is written when everybody is connected.
      if (cut || !frame.startsWith('42["post:created"')) return false;
      cut = true;
      proxy.cut();
      return true;
    };
    const report = await run();
    expect(report.check).to.include({ lost: 0, doubled: 0, outOfOrder: 0, stale: 0, returned: 12 });
    expect(Object.values(report.check.dropped)).to.deep.equal([12]);
  });

  it('counts those who are not let in by what they were told', async () => {
    const strict = await createWorld({ MAX_CONNECTIONS: '7' });
    try {
      proxy.target = strict.url;
      const report = await run('--processes', '1', '--together', '1');
      expect(report.connected).to.equal(7);
      expect(Object.values(report.refused)).to.deep.equal([5]);
      expect(passes(report)).to.be.false;
    } finally {
      await strict.close();
    }
  });

  it('ends with the reason when a process that holds connections ends while posts are written', async () => {
    const killed = { ...silent, begin: (part: string) => part === 'writing' && killLoader() };
    const options = readOptions(['--url', proxy.url, '--sockets', '4', '--processes', '2', ...SHORT]);
    const error = await runLoadTest(options, killed).catch((reason: unknown) => reason);
    expect(error).to.be.an('error').with.property('message', 'a loader process ended with SIGKILL');
  });

  it('refuses a server whose tokens would end during it', async () => {
    const brief = await createWorld({ ACCESS_TOKEN_TTL: '30s' });
    try {
      proxy.target = brief.url;
      expect(await run().catch((error: unknown) => error)).to.be.instanceOf(UsageError);
    } finally {
      await brief.close();
    }
  });

  it('is refused nothing by the server that it starts itself', async () => {
    const report = await runLoadTest(readOptions(['--sockets', '200', ...SHORT]), silent);
    expect(report.refused).to.deep.equal({});
    expect(passes(report)).to.be.true;
  });
});
