import { passes, runLoadTest } from '../run.ts';
import { readOptions } from '../options.ts';
import type { Line } from './rounds.ts';
import type { Stage } from './stage.ts';

const SOCKETS = 60_000;

/** As many connections as a machine of two cores is to hold, all live: the load test itself. */
export async function manySockets(stage: Stage): Promise<Line[]> {
  const options = readOptions([
    ...['--sockets', String(Math.ceil(SOCKETS / stage.scale)), '--workers', '4', '--processes', '4'],
    ...['--posts', '10', '--votes', '50', '--seconds', '60', '--settle', '60'],
  ]);
  if (!options) throw new Error('no options');
  const progress = { begin: stage.say, update: () => undefined, end: () => undefined };
  const report = await runLoadTest(options, progress, stage.build);
  const { check, server, sinceWritten } = report;
  return [
    {
      what: `${options.sockets.toLocaleString('en-US')} connections on 4 workers, all live: p99 commit → client`,
      unit: 'ms',
      limit: '',
      ours: [sinceWritten?.p99 ?? NaN],
      theirs: [],
      reach: undefined,
      notes: [
        `${report.connected.toLocaleString('en-US')} connected in ${report.rampSeconds.toFixed(0)} s, ${passes(report) ? 'no fault' : 'FAULTS'}: ` +
          `${check.lost} lost, ${check.doubled} doubled, ${check.outOfOrder} out of order, ${check.stale} stale of ${report.deliveries.toLocaleString('en-US')} deliveries`,
        `p50 ${sinceWritten?.p50.toFixed(0) ?? '?'} ms, max ${sinceWritten?.max.toFixed(0) ?? '?'} ms; ` +
          `${((server?.memoryPerConnection ?? NaN) / 1024).toFixed(1)} kB per connection`,
      ],
    },
  ];
}
