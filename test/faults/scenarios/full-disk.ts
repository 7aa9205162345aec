import { setTimeout as pause } from 'node:timers/promises';
import { check } from '../checker.ts';
import { Cluster, type ClusterOptions } from '../cluster.ts';
import { collect, converge } from '../collect.ts';
import type { Figure } from '../crash-table.ts';
import { CONVERGED_WITHIN } from '../faults.ts';
import { Population } from '../population.ts';
import { FaultyPostgres } from '../postgres.ts';
import { Random } from '../random.ts';
import { isSocket, Window } from '../window.ts';

/** Of PostgreSQL's disk. A new cluster takes some fifty, its log up to `max_wal_size`. */
const DISK_MIB = 320;
const FULL_FOR = 8000;

/**
 * PostgreSQL's disk is full for some seconds: a file of ours takes all that is left. Writes are refused until there is room
 * again; a PostgreSQL that gave up because it could not write its log is started again, as a supervisor does.
 *
 * @throws where a file system cannot be mounted (it needs root on Linux)
 */
export async function fullDisk(options: ClusterOptions, seed: number): Promise<Figure[]> {
  const postgres = await FaultyPostgres.start({ diskMiB: DISK_MIB });
  const cluster = await Cluster.start({ ...options, postgres });
  const people = new Population(cluster, new Random(seed));
  const fault = 'disk full';
  try {
    await people.settle({ writers: 8, clients: 24, topical: 12, rate: 60, nervous: 0.05 });
    people.write();
    await pause(3000);
    const began = Date.now();
    await postgres.fillDisk();
    await pause(FULL_FOR);
    const refused = new Window(people, began, Date.now()).writes.filter(
      ({ outcome }) => outcome === 'unknown',
    );
    await postgres.clearDisk();
    const back = Date.now();
    await postgres.up();
    while (!people.recorder.writes.some(({ outcome, begin }) => outcome === 'ok' && begin >= back)) {
      if (Date.now() - back > 30_000) break;
      await pause(10);
    }
    const firstWrite = Date.now() - back;
    await pause(3000);
    const during = new Window(people, began, Date.now());
    const rest = Date.now();
    await people.hush();
    const took = await converge(cluster, people, rest, 30_000);
    people.recorder.convergences.push({ after: fault, took, bound: CONVERGED_WITHIN });
    const violations = check(await collect(cluster, people));
    for (const { rule, what } of violations.slice(0, 10)) process.stderr.write(`rule ${rule}: ${what}\n`);
    return [
      {
        fault,
        what: 'no write was refused (else it was not full)',
        seen: refused.length > 0 ? 0 : 1,
        bound: 0,
      },
      { fault, what: 'first write after there is room, ms', seen: firstWrite, bound: 3000 },
      { fault, what: 'sockets disconnected', seen: during.disturbed.filter(isSocket).length, bound: 0 },
      { fault, what: 'answers 503 without Retry-After', seen: people.recorder.hintless, bound: 0 },
      {
        fault,
        what: 'answers 500',
        seen: during.writes.filter(({ status }) => status === 500).length,
        bound: 0,
      },
      { fault, what: 'violations of the rules', seen: violations.length, bound: 0 },
    ];
  } finally {
    people.leave();
    await people.hush();
    await cluster.stop();
    await postgres.stop();
  }
}
