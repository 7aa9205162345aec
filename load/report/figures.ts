import type { DelaySummary } from '../delays.ts';
import type { LoadReport } from '../run.ts';

/** One line of the report: what it is, its value, and whether it is a fault. */
export interface Figure {
  label: string;
  value: string;
  bad?: boolean;
}

/** The figures in the order in which they are read, for the terminal and the page alike. */
export function figuresOf(report: LoadReport): { title: string; figures: Figure[] }[] {
  const { check, server, written } = report;
  return [
    {
      title: 'Connections',
      figures: [
        {
          label: 'connected',
          value: `${grouped(report.connected)} of ${grouped(report.sockets)} in ${report.rampSeconds.toFixed(1)} s`,
          bad: report.connected < report.sockets,
        },
        ...reasons('refused', report.refused),
        ...reasons('dropped', check.dropped),
        { label: 'came back', value: grouped(check.returned) },
        { label: 'handshake', value: delay(report.handshake) },
      ],
    },
    {
      title: 'Traffic',
      figures: [
        { label: 'posts written', value: grouped(written.posts) },
        { label: 'votes cast', value: grouped(written.votes) },
        ...reasons('writes failed', written.failed),
        { label: 'events delivered', value: grouped(report.deliveries) },
        { label: 'events per second', value: grouped(Math.round(report.deliveriesPerSecond)) },
        {
          label: 'tally messages per client and second',
          value: report.tallyFramesPerClientPerSecond.toFixed(2),
        },
        { label: 'received', value: megabytes(report.bytesReceived) },
      ],
    },
    {
      title: 'Delay',
      figures: [
        { label: 'commit → client', value: delay(report.sinceWritten) },
        { label: 'request → client', value: delay(report.sinceAsked) },
      ],
    },
    {
      title: 'Check, at every client',
      figures: [
        fault('lost', check.lost),
        fault('doubled', check.doubled),
        fault('out of order', check.outOfOrder),
        fault('stale tallies', check.stale),
        fault('acknowledged posts without their event', check.unannounced),
        fault('posts whose votes do not add up', check.miscounted),
        fault('positions that could not be served', check.resets),
        fault('contradictions between clients', check.contradictions.length),
        ...check.contradictions.slice(0, 5).map((what) => ({ label: '', value: what, bad: true })),
      ],
    },
    ...(server
      ? [
          {
            title: `Server, ${report.workers ?? 1} ${report.workers === 1 ? 'process' : 'processes'}`,
            figures: [
              {
                label: 'memory per connection',
                value: `${(server.memoryPerConnection / 1024).toFixed(1)} kB`,
              },
              { label: 'processor per handshake', value: `${server.cpuPerHandshake.toFixed(2)} ms` },
              {
                label: 'processor per delivered event, all work included',
                value:
                  server.cpuPerDelivery === undefined ? 'none' : `${server.cpuPerDelivery.toFixed(1)} µs`,
              },
              { label: 'processor while writing', value: `${(server.serverCpu / 1000).toFixed(1)} s` },
              { label: 'of the database', value: `${(server.databaseCpu / 1000).toFixed(1)} s` },
            ],
          },
        ]
      : []),
  ];
}

function fault(label: string, count: number): Figure {
  return { label, value: grouped(count), bad: count > 0 };
}

function reasons(label: string, counts: Record<string, number>): Figure[] {
  return Object.entries(counts).map(([reason, count]) => ({
    label,
    value: `${grouped(count)} × ${reason}`,
    bad: true,
  }));
}

function delay(summary: DelaySummary | undefined): string {
  if (!summary) return 'not measured';
  const { p50, p95, p99, max } = summary;
  return `p50 ${ms(p50)}   p95 ${ms(p95)}   p99 ${ms(p99)}   max ${ms(max)}`;
}

function ms(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${grouped(Math.round(value))} ms`;
}

function megabytes(bytes: number): string {
  return `${grouped(Math.round(bytes / 1_000_000))} MB`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
