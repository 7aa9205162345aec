import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where a process says what it keeps: `collect-garbage.ts` writes it. */
export const keptFile = (pid: number): string => join(tmpdir(), `tidings-bench-kept-${pid}`);

/** Bytes that a process had on its heap and beside it after the last garbage collection that was asked for. */
export async function keptBy(pid: number): Promise<number> {
  const text = await readFile(keptFile(pid), 'utf8');
  await rm(keptFile(pid));
  return Number(text);
}
