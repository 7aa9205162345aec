import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readCommandLine, UsageError } from '../../server/command-line.ts';
import { connections, homeMemory } from './connections.ts';
import { delay } from './delay.ts';
import { fanOut } from './fan-out.ts';
import { herd } from './herd.ts';
import { home } from './home.ts';
import { homeReturn } from './home-return.ts';
import { logins } from './logins.ts';
import { manySockets } from './many-sockets.ts';
import { nodes } from './nodes.ts';
import { numbering, numberingTopics } from './numbering.ts';
import { readPosts, writePosts, writeTags } from './posts.ts';
import { replicas } from './replicas.ts';
import { type Line, median, ratios, reaches } from './rounds.ts';
import { searches } from './searches.ts';
import { size } from './size.ts';
import { type Stage, withStage } from './stage.ts';
import { start } from './start.ts';
import { tableOf } from './table.ts';
import { views } from './views.ts';
import { votes } from './votes.ts';
import { workers } from './workers.ts';

type Part = (stage: Stage) => Promise<Line[]>;

const parts: Record<string, Part> = {
  'fan-out': fanOut,
  connections,
  votes,
  'write-posts': writePosts,
  'write-tags': writeTags,
  'read-posts': readPosts,
  searches,
  size,
  views,
  replicas,
  logins,
  numbering,
  'numbering-topics': numberingTopics,
  home,
  'home-memory': homeMemory,
  'home-return': homeReturn,
  herd,
  delay,
  start,
  workers,
  nodes,
  'many-sockets': manySockets,
};

/** What is measured unless it is said what. */
const everyday = Object.keys(parts).filter((name) => name !== 'size');

const usage = `Usage: npm run bench -- [options]

Holds the server against its limits, each measured beside it in the same run.

  --only A,B    parts to measure (all but size, which fills two million posts: ${Object.keys(parts).join(', ')})
  --rounds N    rounds of each, of which the median counts (5)
  --scale N     divides sizes, to try the bench itself out (1)
  --communities SMALL,LARGE
                for size: addresses of two databases that npm run fill has filled; it writes to them
  --beside DIR  another build of Tidings, as an older commit in which npm run build was run: both are measured in turns
  --json FILE   the figures (bench.json)
`;

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string', default: everyday.join(',') },
      rounds: { type: 'string', default: '5' },
      scale: { type: 'string', default: '1' },
      communities: { type: 'string' },
      beside: { type: 'string' },
      json: { type: 'string', default: 'bench.json' },
    },
  });
  const chosen = values.only.split(',');
  const unknown = chosen.find((name) => !Object.hasOwn(parts, name));
  if (unknown !== undefined) throw new UsageError(`There is no part '${unknown}'`);
  const [small, large, ...more] = values.communities?.split(',') ?? [];
  const communities: [string, string] | undefined =
    small && large && more.length === 0 ? [small, large] : undefined;
  if (values.communities !== undefined && !communities)
    throw new UsageError('--communities must be two addresses with a comma between them');
  const atLeastOne = (name: 'rounds' | 'scale') => {
    const number = Number(values[name]);
    if (!(number >= 1)) throw new UsageError(`--${name} must be a number of at least 1`);
    return number;
  };
  const beside = values.beside === undefined ? undefined : resolve(values.beside);
  if (beside !== undefined && !existsSync(join(beside, 'dist/server/main.js')))
    throw new UsageError(`--beside: there is no build in ${beside}`);
  return {
    chosen,
    communities,
    beside,
    rounds: atLeastOne('rounds'),
    scale: atLeastOne('scale'),
    json: values.json,
  };
}

async function main(): Promise<void> {
  const { chosen, communities, beside, rounds, scale, json } = readCommandLine(usage, readOptions);
  const lines: Line[] = [];
  const failed: string[] = [];
  const say = (what: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
  await withStage(
    { rounds, scale, say, ...(communities ? { communities } : {}) },
    async (_stage, endPart, stageOf) => {
      /** @returns undefined if it could not be measured; the other parts can be all the same */
      const measure = async (name: string, stage: Stage): Promise<Line[] | undefined> => {
        say(stage.build === undefined ? name : `${name}, of ${stage.build}`);
        try {
          return await parts[name]?.(stage);
        } catch (error) {
          failed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
          return undefined;
        } finally {
          await endPart();
        }
      };
      for (const name of chosen) {
        const measured =
          beside === undefined
            ? ((await measure(name, stageOf())) ?? [])
            : await inTurns(rounds, (build) => measure(name, { ...stageOf(build), rounds: 1 }), beside);
        lines.push(...measured);
        process.stderr.write(`${tableOf(measured)}\n`);
      }
    },
  );
  const figures = lines.map((line) => ({ ...line, ratio: median(ratios(line)), reached: reaches(line) }));
  await writeFile(
    json,
    JSON.stringify({ at: new Date().toISOString(), rounds, lines: figures, failed }, undefined, 2),
  );
  process.stdout.write(
    `\n${tableOf(lines)}\n\n${failed.map((what) => `FAILED ${what}\n`).join('')}${json}\n`,
  );
  if (failed.length > 0) process.exitCode = 1;
}

/** Measures a part in so many rounds of one, each with ours and with the other build. */
async function inTurns(
  rounds: number,
  measure: (build?: string) => Promise<Line[] | undefined>,
  other: string,
): Promise<Line[]> {
  const lines = new Map<string, Line>();
  for (let round = 0; round < rounds; round += 1) {
    for (const measured of (await measure()) ?? []) {
      const line = lines.get(measured.what);
      if (line) {
        line.ours.push(...measured.ours);
        line.theirs.push(...measured.theirs);
        line.notes.push(...measured.notes);
      } else lines.set(measured.what, { ...measured, before: [] });
    }
    for (const { what, ours } of (await measure(other)) ?? []) lines.get(what)?.before?.push(...ours);
  }
  return [...lines.values()];
}

// What was started here goes with us, also when somebody has seen enough.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

await main();
