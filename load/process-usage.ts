import { readdir, readFile } from 'node:fs/promises';

/** What a set of processes has used. */
export interface Usage {
  /** Milliseconds of processor time since they began, in user and in kernel mode. */
  cpu: number;
  /** Resident bytes. */
  memory: number;
}

/** Linux counts processor time in hundredths of a second, whatever the kernel's own clock. */
const MILLISECONDS_PER_TICK = 10;

interface Entry {
  pid: number;
  parent: number;
  name: string;
  usage: Usage;
}

/** Whether this machine tells what its processes use. */
export const canMeasure = process.platform === 'linux';

/** What one process has used; nothing if it is gone. Linux only. */
export async function usageOf(pid: number): Promise<Usage> {
  return (await readEntry(pid))?.usage ?? { cpu: 0, memory: 0 };
}

/** Processor time of one process to the nanosecond, as milliseconds; 0 if it is gone or the kernel does not tell. Linux only. */
export async function exactTimeOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/schedstat`, 'utf8').catch(() => '');
  return Number(text.split(' ')[0]) / 1e6;
}

/** What a server and its workers have used, and apart from that what its database has. Linux only. */
export async function usageOfTree(root: number): Promise<{ server: Usage; database: Usage }> {
  const entries = new Map<number, Entry>();
  for (const name of await readdir('/proc')) {
    const entry = /^\d+$/.test(name) ? await readEntry(Number(name)) : undefined;
    if (entry) entries.set(entry.pid, entry);
  }
  const server: Usage = { cpu: 0, memory: 0 };
  const database: Usage = { cpu: 0, memory: 0 };
  for (const entry of entries.values()) {
    if (!descends(entry, root, entries)) continue;
    const to = entry.name === 'postgres' ? database : server;
    to.cpu += entry.usage.cpu;
    // PostgreSQL's processes share most of their memory: the sum would count it many times.
    to.memory = to === database ? Math.max(to.memory, entry.usage.memory) : to.memory + entry.usage.memory;
  }
  return { server, database };
}

function descends(entry: Entry, root: number, entries: ReadonlyMap<number, Entry>): boolean {
  for (let at: Entry | undefined = entry; at; at = entries.get(at.parent)) if (at.pid === root) return true;
  return false;
}

async function readEntry(pid: number): Promise<Entry | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name stands in parentheses and may hold anything: see proc_pid_stat(5).
  const found = stat === undefined ? null : /^\d+ \((.*)\) (.*)$/s.exec(stat.trim());
  if (!found) return undefined;
  const fields = (found[2] ?? '').split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  return {
    pid,
    parent: field(4),
    name: found[1] ?? '',
    usage: { cpu: (field(14) + field(15)) * MILLISECONDS_PER_TICK, memory: field(24) * 4096 },
  };
}
