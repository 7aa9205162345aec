import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Report, run } from './run.ts';
import { rules } from './checker.ts';
import { buildTree } from './tree.ts';

const usage = `npm run faults -- [--seed N | --seeds A..B] [--seconds S] [--clients C] [--writers W] [--rate R] [--quiet]`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    seconds: { type: 'string', default: '120' },
    clients: { type: 'string', default: '100' },
    writers: { type: 'string', default: '10' },
    rate: { type: 'string', default: '60' },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const say = (line: string) => process.stdout.write(`${line}\n`);

function wholeNumber(name: string, value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new Error(`--${name} must be a whole number\n${usage}`);
  return Number(value);
}

function seedsOf({ seed, seeds }: { seed?: string; seeds?: string }): number[] {
  if (seeds !== undefined) {
    const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(seeds) ?? [];
    if (from === undefined || to === undefined) throw new Error(`--seeds must look like 1..20\n${usage}`);
    return Array.from({ length: Number(to) - Number(from) + 1 }, (_, at) => Number(from) + at);
  }
  return [seed === undefined ? Math.floor(Math.random() * 1_000_000) : wholeNumber('seed', seed)];
}

async function main(): Promise<boolean> {
  if (values.help) {
    say(usage);
    return true;
  }
  const tree = await buildTree();
  process.once('exit', () => rmSync(tree.root, { recursive: true, force: true }));
  let good = true;
  for (const seed of seedsOf(values)) {
    say(`seed ${seed}`);
    const report = await run({
      seed,
      cluster: { tree: tree.root },
      seconds: wholeNumber('seconds', values.seconds),
      clients: wholeNumber('clients', values.clients),
      writers: wholeNumber('writers', values.writers),
      rate: wholeNumber('rate', values.rate),
      ...(values.quiet ? {} : { say: (line: string) => say(`  ${line}`) }),
    });
    tell(report);
    good &&= report.violations.length === 0;
  }
  return good;
}

function tell({ seed, violations, more, figures }: Report): void {
  const { faults, ...counts } = figures;
  const inflicted = Object.values(faults).reduce((sum, count) => sum + count, 0);
  say(
    `seed ${seed}: ${inflicted} faults, ${Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
  );
  for (const { rule, what } of violations) say(`  rule ${rule} (${rules[rule]}): ${what}`);
  if (more > 0) say(`  and ${more} more violations`);
  say(
    violations.length === 0
      ? `seed ${seed}: no violation`
      : `seed ${seed}: ${violations.length + more} VIOLATIONS`,
  );
}

process.exitCode = (await main()) ? 0 : 1;
