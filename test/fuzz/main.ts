import { parseArgs } from 'node:util';
import { readCommandLine, UsageError } from '../../server/command-line.ts';
import { Cluster } from '../faults/cluster.ts';
import { buildTree } from '../faults/tree.ts';
import { frameFaults } from '../support/held-frames.ts';
import { kinds } from './lists/fold.ts';
import { fuzzLists } from './lists/run.ts';
import { fuzzReads } from './reads.ts';
import { fuzz } from './run.ts';
import { type StopBug, stopBugs } from './stops/bugs.ts';
import { fuzzStops, violationsWith } from './stops/run.ts';
import { Ground, type StageName, stageKinds } from './stops/stage.ts';

const usage = `Usage: npm run fuzz -- [options]

Sends odd input at two nodes, reads lists and subscribes from their positions, and ends sessions and nodes, all at random.

  --seed N       what is drawn (default: one that is drawn itself)
  --frames N     frames of sockets (200000)
  --streams N    event streams (5000)
  --bodies N     request bodies (20000)
  --lists N      lists that are read and subscribed from (10000)
  --reads N      notifications that are marked as read (10000)
  --stops N      lives of nodes and clusters that are ended (4)
  --bugs N       seeds with which each planted bug must be found (0)
  --stages A,B   what is ended (${Object.keys(stageKinds).join(', ')})
  --seconds S    how long each part may take (1200)
`;

const options = {
  seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
  frames: { type: 'string', default: '200000' },
  streams: { type: 'string', default: '5000' },
  bodies: { type: 'string', default: '20000' },
  lists: { type: 'string', default: '10000' },
  reads: { type: 'string', default: '10000' },
  stops: { type: 'string', default: '4' },
  bugs: { type: 'string', default: '0' },
  stages: { type: 'string', default: Object.keys(stageKinds).join() },
  seconds: { type: 'string', default: '1200' },
} as const;

const isStage = (name: string): name is StageName => name in stageKinds;

const { values, whole, stages } = readCommandLine(usage, (args) => {
  const { values } = parseArgs({ args, options });
  for (const [name, value] of Object.entries(values))
    if (name !== 'stages' && !/^\d{1,9}$/.test(value))
      throw new UsageError(`--${name} must be a whole number`);
  const stages = values.stages.split(',').map((name) => {
    if (!isStage(name)) throw new UsageError(`--stages are among ${Object.keys(stageKinds).join(', ')}`);
    return name;
  });
  return { values, stages, whole: (name: Exclude<keyof typeof values, 'stages'>) => Number(values[name]) };
});

/** Each node keeps pages and the newest events, of each so many that they come near to this when there are twenty thousand requests. MiB. */
const KEPT = 64;

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Sends what is odd at two nodes. */
async function throwOddInput(tree: string): Promise<string[]> {
  const wanted = { frames: whole('frames'), streams: whole('streams'), bodies: whole('bodies') };
  if (Object.values(wanted).every((count) => count === 0)) return [];
  const {
    sent,
    violations: found,
    ...seen
  } = await fuzz({ seed: whole('seed'), ...wanted, seconds: whole('seconds'), kept: KEPT, tree });
  for (const kind of ['frames', 'streams', 'bodies'] as const)
    say(`${kind.padEnd(10)} ${sent[kind]} of ${wanted[kind]}`);
  say(`time       ${Math.round(seen.seconds)} s`);
  say(
    `bystander  ${seen.written} events, ${seen.missed} missed, p99 ${seen.p99} ms, most ${seen.max} ms (${seen.maxOwn} ms without the waiting for processors)`,
  );
  say(
    `memory     ${seen.memory.before} MiB held before, ${seen.memory.after} MiB after, both nodes together`,
  );
  const short = (['frames', 'streams', 'bodies'] as const).some((kind) => sent[kind] < wanted[kind]);
  return [
    ...found,
    ...frameFaults().map((fault) => `outside the AsyncAPI document: ${fault}`),
    ...(short ? ['the time was over before everything was sent'] : []),
  ];
}

/** Reads lists and subscribes from their positions on two nodes, while others write. */
async function listThenSubscribe(tree: string): Promise<string[]> {
  const count = whole('lists');
  if (count === 0) return [];
  const cluster = await Cluster.start({ nodes: 2, direct: true, tree });
  try {
    const urls = cluster.nodes.map((node) => node.process.url);
    const began = Date.now();
    const report = await fuzzLists({ urls, seed: whole('seed'), count, seconds: whole('seconds') });
    const seconds = Math.round((Date.now() - began) / 1000);
    for (const kind of kinds)
      say(`${kind.padEnd(10)} ${report.checked[kind]} lists, behind ${report.between[kind]} something came`);
    say(
      `lists      ${report.events} events behind them, ${report.written} writes meanwhile, in ${seconds} s`,
    );
    const checked = kinds.reduce((sum, kind) => sum + report.checked[kind], 0);
    return [
      ...report.violations,
      ...cluster.nodes.flatMap(({ process: { misconduct } }) => misconduct.map(({ what }) => what)),
      ...frameFaults().map((fault) => `outside the AsyncAPI document: ${fault}`),
      ...(checked < count * 0.9 ? [`only ${checked} lists were held against later ones`] : []),
    ];
  } finally {
    await cluster.stop();
  }
}

/** Marks notifications as read on two nodes, while others make new ones. */
async function readNotifications(tree: string): Promise<string[]> {
  const count = whole('reads');
  if (count === 0) return [];
  const cluster = await Cluster.start({ nodes: 2, direct: true, tree });
  try {
    const urls = cluster.nodes.map((node) => node.process.url);
    const began = Date.now();
    const report = await fuzzReads({ urls, seed: whole('seed'), count, seconds: whole('seconds') });
    say(
      `reads      ${report.reads}, behind ${report.later} something came; ${report.states} states, in ${Math.round((Date.now() - began) / 1000)} s`,
    );
    return [
      ...report.violations,
      ...cluster.nodes.flatMap(({ process: { misconduct } }) => misconduct.map(({ what }) => what)),
      ...(report.reads < count * 0.9 ? [`only ${report.reads} times notifications were marked as read`] : []),
    ];
  } finally {
    await cluster.stop();
  }
}

/** Ends sessions and nodes while connections begin and end. */
async function endEverything(tree: string): Promise<string[]> {
  const lives = whole('stops');
  if (lives === 0) return [];
  const ground = await Ground.prepare();
  try {
    const began = Date.now();
    const report = await fuzzStops({
      seed: whole('seed'),
      ground,
      stages,
      lives,
      waves: 4,
      seconds: whole('seconds'),
      tree,
      onwards: true,
    });
    const met = Object.entries(report.met).map(([what, times]) => `${times} × ${what}`);
    say(`stops      ${report.lives} of nodes and clusters, in ${Math.round((Date.now() - began) / 1000)} s`);
    say(`answers    ${met.join(', ')}`);
    return report.violations;
  } finally {
    await ground.stop();
  }
}

/** Whether planted bugs are found, each with so many seeds. */
async function findBugs(): Promise<string[]> {
  const seeds = whole('bugs');
  if (seeds === 0) return [];
  const missed: string[] = [];
  const ground = await Ground.prepare();
  try {
    for (const [name, bug] of Object.entries<StopBug>(stopBugs)) {
      const began = Date.now();
      const others: string[] = [];
      let found = 0;
      for (let seed = whole('seed'); seed < whole('seed') + seeds; seed += 1) {
        const violations = await violationsWith(bug, seed, ground);
        if (violations.some((violation) => bug.shows.test(violation))) found += 1;
        else others.push(`seed ${seed}: not found that ${name}; ${violations[0] ?? 'nothing was found'}`);
      }
      say(`${found} of ${seeds}     ${name}, ${Math.round((Date.now() - began) / 1000)} s`);
      missed.push(...others);
    }
    return missed;
  } finally {
    await ground.stop();
  }
}

say(`seed ${values.seed}`);
const tree = await buildTree();
try {
  const violations = [
    ...(await throwOddInput(tree.root)),
    ...(await listThenSubscribe(tree.root)),
    ...(await readNotifications(tree.root)),
    ...(await endEverything(tree.root)),
    ...(await findBugs()),
  ];
  say(violations.length === 0 ? 'no violation' : `${violations.length} VIOLATIONS\n${violations.join('\n')}`);
  process.exitCode = violations.length === 0 ? 0 : 1;
} finally {
  await tree.remove();
}
