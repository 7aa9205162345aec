import { readFile, rm } from 'node:fs/promises';
import type { NodeProcess } from '../../support/node-process.ts';
import { until } from '../../support/waiting.ts';

/**
 * Lets us ask the node what it holds, in V8's heap and outside: it tells right after a garbage collection, for what it makes in the
 * second after one, some MiB under load, would drown a slope of one in ten minutes. After the second one, since what the
 * first finds to be free outside of V8's heap is freed a little later.
 */
const WEIGHABLE =
  '--expose-gc --import=data:text/javascript,' +
  "import{writeFileSync}from'node:fs';process.on('SIGUSR2',()=>{gc();setTimeout(()=>{" +
  'gc();const{heapUsed,external}=process.memoryUsage();writeFileSync(process.env.HELD_IN,String(heapUsed+external))},200)})';

/** The environment of a node that can be weighed, by a file of its own. */
export function weighable(heldIn: string): Record<string, string> {
  return { NODE_OPTIONS: WEIGHABLE, HELD_IN: heldIn };
}

/** What the node holds after a garbage collection. Without one V8 lets hundreds of MiB lie. Bytes. */
export async function heldMemory(node: NodeProcess, heldIn: string): Promise<number> {
  await rm(heldIn, { force: true });
  process.kill(node.pid, 'SIGUSR2');
  let held = NaN;
  await until(
    'the node tells what it holds',
    async () => {
      held = Number(await readFile(heldIn, 'utf8').catch(() => ''));
      return held > 0;
    },
    10_000,
  );
  return held;
}
