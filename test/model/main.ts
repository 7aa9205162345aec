import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readCommandLine, UsageError } from '../../server/command-line.ts';
import { migrate } from '../../server/database/migrate.ts';
import { FaultyPostgres } from '../faults/postgres.ts';
import { buildTree } from '../faults/tree.ts';
import { rules } from './rules.ts';
import { modelFaults, runModel } from './run.ts';

const usage = `Usage: npm run model -- [--seed N] [--seeds COUNT] [--seconds S]

Lets twenty people write, read and listen at random on three nodes that are killed meanwhile, and compares what each was
told with what the log says they must be.

  --seed N       the first seed (default: one that is drawn)
  --seeds COUNT  how many, from there on (1)
  --seconds S    how long people write in each run (15)
  --keep FOLDER  where to put what a run with violations was judged by`;

const { first, count, seconds, keep } = readCommandLine(usage, (args) => {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000) + 1) },
      seeds: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '15' },
      keep: { type: 'string' },
    },
  });
  const whole = (name: 'seed' | 'seeds' | 'seconds') => {
    if (!/^[1-9]\d{0,8}$/.test(values[name]))
      throw new UsageError(`--${name} must be a whole number above 0`);
    return Number(values[name]);
  };
  return { first: whole('seed'), count: whole('seeds'), seconds: whole('seconds'), keep: values.keep };
});
const say = (line: string) => process.stdout.write(`${line}\n`);
/** Violations that are printed of one run. */
const LISTED = 20;

const { root } = await buildTree();
process.once('exit', () => rmSync(root, { recursive: true, force: true }));
// One server for all runs, and each has a copy of a database that was migrated once: half of a short run went into that.
const postgres = await FaultyPostgres.start();
const template = 'model';
try {
  await postgres.query('postgres', `create database ${template} template template0`);
  await migrate(postgres.url(template));
  for (let seed = first; seed < first + count; seed += 1) {
    const { violations, figures, evidence } = await runModel({
      seed,
      seconds,
      faults: modelFaults,
      cluster: { tree: root, postgres, template },
    });
    const told = Object.entries(figures).map(([name, figure]) => `${name} ${figure}`);
    say(
      `seed ${seed}: ${violations.length === 0 ? 'no violation' : `${violations.length} VIOLATIONS`}; ${told.join(', ')}`,
    );
    for (const { rule, what } of violations.slice(0, LISTED))
      say(`  ${rule} (${rules[rule]}): ${what.slice(0, 1000)}`);
    if (violations.length === 0) continue;
    process.exitCode = 1;
    if (keep !== undefined)
      writeFileSync(join(keep, `seed-${seed}.json`), JSON.stringify({ violations, ...evidence }));
  }
} finally {
  await postgres.stop();
}
