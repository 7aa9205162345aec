import { parseArgs } from 'node:util';
import { buildTree } from '../faults/tree.ts';
import { frameFaults } from '../support/held-frames.ts';
import { fuzz } from './run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    frames: { type: 'string', default: '200000' },
    streams: { type: 'string', default: '5000' },
    bodies: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '1200' },
  },
});

/** Each node keeps pages and the newest events, of each so many that they come near to this when there are twenty thousand requests. MiB. */
const KEPT = 64;

const say = (line: string) => process.stdout.write(`${line}\n`);
const whole = (name: 'seed' | 'frames' | 'streams' | 'bodies' | 'seconds') => {
  if (!/^\d{1,9}$/.test(values[name])) throw new Error(`--${name} must be a whole number`);
  return Number(values[name]);
};

const wanted = { frames: whole('frames'), streams: whole('streams'), bodies: whole('bodies') };
say(`seed ${values.seed}`);
const tree = await buildTree();
try {
  const {
    sent,
    violations: found,
    ...seen
  } = await fuzz({
    seed: whole('seed'),
    ...wanted,
    seconds: whole('seconds'),
    kept: KEPT,
    tree: tree.root,
  });
  for (const kind of ['frames', 'streams', 'bodies'] as const)
    say(`${kind.padEnd(10)} ${sent[kind]} of ${wanted[kind]}`);
  say(`time       ${Math.round(seen.seconds)} s`);
  say(
    `bystander  ${seen.written} events, ${seen.missed} missed, p99 ${seen.p99} ms, most ${seen.max} ms (${seen.maxOwn} ms without the waiting for processors)`,
  );
  say(
    `memory     ${seen.memory.before} MiB held before, ${seen.memory.after} MiB after, both nodes together`,
  );
  const violations = [...found, ...frameFaults().map((fault) => `outside the AsyncAPI document: ${fault}`)];
  say(violations.length === 0 ? 'no violation' : `${violations.length} VIOLATIONS\n${violations.join('\n')}`);
  const short = (['frames', 'streams', 'bodies'] as const).some((kind) => sent[kind] < wanted[kind]);
  if (short) say('the time was over before everything was sent');
  process.exitCode = violations.length === 0 && !short ? 0 : 1;
} finally {
  await tree.remove();
}
