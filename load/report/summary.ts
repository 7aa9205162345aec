import { type LoadReport, passes } from '../run.ts';
import { figuresOf } from './figures.ts';

/** The report for a terminal. */
export function summaryOf(report: LoadReport): string {
  const lines = [''];
  for (const { title, figures } of figuresOf(report)) {
    lines.push(title);
    for (const { label, value, bad } of figures)
      lines.push(`${bad ? ' !' : '  '} ${label.padEnd(48)} ${value}`);
    lines.push('');
  }
  lines.push(
    passes(report)
      ? 'Every client was handed every event once, in order, and holds the tallies of the database.'
      : 'The check found faults: see the lines marked with an exclamation mark.',
  );
  return lines.join('\n');
}
