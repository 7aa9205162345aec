import type { LoadReport } from '../run.ts';

/** A chart as the page's script draws it: the first row of `data` is the horizontal axis. */
export interface Chart {
  title: string;
  horizontal: string;
  /** What the values are: `ms`, `MB`. */
  unit: string;
  series: string[];
  data: (number | null)[][];
  /** Draws areas from zero, for what adds up. */
  filled?: boolean;
  /** A logarithmic vertical axis, for delays, whose tail is what matters. */
  logarithmic?: boolean;
}

/** The charts of a report. */
export function charts(report: LoadReport): Chart[] {
  const { timeline, distribution } = report;
  const seconds = timeline.map((point) => round(point.at));
  const row = (of: (point: LoadReport['timeline'][number]) => number | undefined) =>
    timeline.map((point) => round(of(point)));
  const overTime = { horizontal: 'seconds' };
  return [
    {
      ...overTime,
      title: 'Connections',
      unit: '',
      series: ['connected'],
      data: [seconds, row((point) => point.connected)],
      filled: true,
    },
    {
      ...overTime,
      title: 'Delivered per second',
      unit: '',
      series: ['events', 'tally messages'],
      data: [seconds, row((point) => point.events), row((point) => point.tallyFrames)],
    },
    {
      ...overTime,
      title: 'Delay from the request to the client',
      unit: 'ms',
      series: ['p50', 'p99'],
      data: [seconds, row((point) => point.p50), row((point) => point.p99)],
    },
    {
      title: 'Delay by percentage of deliveries',
      horizontal: '% of deliveries',
      unit: 'ms',
      series: ['within'],
      data: [distribution.percentages, distribution.sinceAsked.map(round)],
      logarithmic: true,
    },
    ...(report.server
      ? [
          {
            ...overTime,
            title: 'Memory of the server',
            unit: 'MB',
            series: ['resident'],
            data: [seconds, row((point) => point.memory && point.memory / 1_000_000)],
            filled: true,
          },
          {
            ...overTime,
            title: 'Processor, in cores',
            unit: '',
            series: ['server', 'database'],
            data: [seconds, row((point) => point.cores), row((point) => point.databaseCores)],
          },
        ]
      : []),
  ];
}

function round(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value * 100) / 100;
}
