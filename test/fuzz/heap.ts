import { setTimeout as pause } from 'node:timers/promises';
import { withDeadline } from '../../client/src/deadline.ts';
import type { NodeProcess } from '../support/node-process.ts';

/** Preloaded into a node: a signal asks for a garbage collection. Node has no switch for that which NODE_OPTIONS may hold. */
const preload = `import v8 from 'node:v8';
import vm from 'node:vm';
v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');
process.on('SIGUSR2', () => collect());`;

/** The environment of a node whose heap is to be measured. */
export const collectable = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}` };

/** Between two collections: what the first one has let go of takes others along. Milliseconds. */
const PAUSE = 300;
const MIB = 1024 * 1024;

/** What nodes hold after a garbage collection, in MiB: the heaps and what hangs on them. Not the resident memory, which an allocator keeps. */
export async function heldBy(nodes: readonly NodeProcess[]): Promise<number> {
  for (let left = 2; left > 0; left -= 1) {
    for (const node of nodes) process.kill(node.pid, 'SIGUSR2');
    await pause(PAUSE);
  }
  const each = await Promise.all(
    nodes.map(async ({ url }) => {
      const text = await withDeadline(5000, undefined, async (signal) =>
        (await fetch(`${url}/metrics`, { signal })).text(),
      );
      const read = (name: string) => {
        const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
        if (value === undefined) throw new Error(`there is no ${name} among the metrics`);
        return Number(value);
      };
      return read('nodejs_heap_size_used_bytes') + read('nodejs_external_memory_bytes');
    }),
  );
  return Math.round((10 * each.reduce((sum, bytes) => sum + bytes, 0)) / MIB) / 10;
}
