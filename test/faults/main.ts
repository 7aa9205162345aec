import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readCommandLine, UsageError } from '../../server/command-line.ts';
import { rules } from './checker.ts';
import { crashTable, type Figure } from './crash-table.ts';
import { type Report, run } from './run.ts';
import { backlog } from './scenarios/backlog.ts';
import { floodsOf } from './scenarios/floods.ts';
import { fullDisk } from './scenarios/full-disk.ts';
import { redisLate } from './scenarios/redis-late.ts';
import { restored } from './scenarios/restored.ts';
import { slow } from './scenarios/slow.ts';
import { soak } from './scenarios/soak.ts';
import { storm } from './scenarios/storm.ts';
import { buildTree } from './tree.ts';
import { frameFaults } from '../support/held-frames.ts';

const usage = `Usage: npm run faults -- [what] [options]

What
  --seed N | --seeds A..B   random faults from these seeds (default: one that is drawn)
  --table                   the crash table, one fault after the other, each bound beside what was seen
  --scenario NAME           backlog, floods, full-disk, redis-late, restored, slow, soak or storm

Options
  --seconds S   how long a random run or the soak lasts (120)
  --clients C   clients of a random run (100) or of the storm (3000)
  --topical C   clients of a random run that take some topics alone, beside those (24)
  --writers W   writers of a random run (10)
  --rate R      writes a second of a random run (60)
  --times T     how often each row of the table is run (1)
  --only TEXT   only the rows of the table whose name holds this
  --quiet       no line for each fault`;

const options = {
  seed: { type: 'string' },
  seeds: { type: 'string' },
  table: { type: 'boolean', default: false },
  scenario: { type: 'string' },
  seconds: { type: 'string', default: '120' },
  clients: { type: 'string' },
  topical: { type: 'string', default: '24' },
  writers: { type: 'string', default: '10' },
  rate: { type: 'string', default: '60' },
  times: { type: 'string', default: '1' },
  only: { type: 'string', default: '' },
  quiet: { type: 'boolean', default: false },
} as const;

const say = (line: string) => process.stdout.write(`${line}\n`);

type Scenario = (cluster: { tree: string }, seed: number) => Promise<Figure[]>;

function readOptions(args: string[]) {
  const { values } = parseArgs({ args, options });
  const whole = (name: string, value: string) => {
    if (!/^\d{1,9}$/.test(value)) throw new UsageError(`--${name} must be a whole number`);
    return Number(value);
  };
  const clients = (otherwise: string) => whole('clients', values.clients ?? otherwise);
  const numbers = {
    seconds: whole('seconds', values.seconds),
    clients: clients('100'),
    topical: whole('topical', values.topical),
    writers: whole('writers', values.writers),
    rate: whole('rate', values.rate),
  };
  const scenarios: Record<string, Scenario> = {
    backlog,
    floods: floodsOf,
    'full-disk': fullDisk,
    'redis-late': redisLate,
    restored,
    slow,
    soak: (cluster, seed) => soak(cluster, seed, numbers.seconds, say),
    storm: (cluster, seed) => storm(cluster, seed, clients('3000')),
  };
  const { seed, seeds, scenario, table, quiet, only } = values;
  if (scenario !== undefined && !Object.hasOwn(scenarios, scenario))
    throw new UsageError(`There is no scenario '${scenario}'`);
  const [, from, to] = /^(\d{1,9})\.\.(\d{1,9})$/.exec(seeds ?? '') ?? [];
  if (seeds !== undefined && from === undefined) throw new UsageError('--seeds must look like 1..20');
  const first = Number(from ?? whole('seed', seed ?? String(Math.floor(Math.random() * 1_000_000))));
  return {
    ...{ numbers, table, quiet, only, times: whole('times', values.times) },
    scenario: scenario === undefined ? undefined : scenarios[scenario],
    seeds: Array.from({ length: Number(to ?? first) - first + 1 }, (_, at) => first + at),
  };
}

async function main(): Promise<boolean> {
  const { numbers, table, quiet, only, times, scenario, seeds } = readCommandLine(usage, readOptions);
  const { root } = await buildTree();
  process.once('exit', () => rmSync(root, { recursive: true, force: true }));
  const cluster = { tree: root };
  const [seed = 0] = seeds;
  if (table) {
    say(`seed ${seed}`);
    const faulty = await crashTable({ seed, times, only, cluster, say });
    say(faulty.length === 0 ? 'every bound was kept, and no violation found' : `\n${faulty.join('\n')}`);
    return faulty.length === 0;
  }
  if (scenario) {
    say(`seed ${seed}`);
    return tellFigures(await scenario(cluster, seed));
  }
  let good = true;
  for (const one of seeds) {
    say(`seed ${one}`);
    const report = await run({
      seed: one,
      cluster,
      ...numbers,
      ...(quiet ? {} : { say: (line: string) => say(`  ${line}`) }),
    });
    tell(report);
    good &&= report.violations.length === 0;
  }
  return good;
}

function tellFigures(figures: Figure[]): boolean {
  for (const { fault, what, seen, bound } of figures)
    say(
      `${seen <= bound ? 'ok  ' : 'OVER'} ${fault}: ${what}: ${Math.round(seen * 10) / 10} (bound ${bound})`,
    );
  return figures.every(({ seen, bound }) => seen <= bound);
}

function tell({ seed, violations, more, figures }: Report): void {
  const { faults, ...counts } = figures;
  const inflicted = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const told = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  say(`seed ${seed}: faults ${inflicted}, ${told.join(', ')}`);
  for (const { rule, what } of violations) say(`  rule ${rule} (${rules[rule]}): ${what}`);
  if (more > 0) say(`  and ${more} more violations`);
  say(
    violations.length === 0
      ? `seed ${seed}: no violation`
      : `seed ${seed}: ${violations.length + more} VIOLATIONS`,
  );
}

const good = await main();
const frames = frameFaults();
for (const fault of frames) say(`outside the AsyncAPI document: ${fault}`);
process.exitCode = good && frames.length === 0 ? 0 : 1;
