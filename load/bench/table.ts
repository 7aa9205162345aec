import { type Line, median, ratios, reaches } from './rounds.ts';

/** The bench as a table for a terminal, a line of notes under each row. */
export function tableOf(lines: readonly Line[]): string {
  const hasBefore = lines.some(({ before }) => before !== undefined);
  const head = ['', 'ours', 'limit', 'ratio', 'spread', 'reach', ''];
  const rows = [
    hasBefore ? [...head, 'before', 'ours / before'] : head,
    ...lines.map((line) => (hasBefore ? [...rowOf(line), ...comparisonOf(line)] : rowOf(line))),
  ];
  const widths =
    rows[0]?.map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .flatMap((row, at) => [
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
      ...(at === 0 ? [] : notesOf(lines[at - 1])),
    ])
    .join('\n');
}

function rowOf(line: Line): string[] {
  const all = ratios(line);
  const ratio = median(all);
  const spread = all.length > 1 ? `${short(Math.min(...all))}–${short(Math.max(...all))}` : '';
  const reach =
    line.reach &&
    ('atMost' in line.reach
      ? `≤ ${short(line.reach.atMost)}`
      : `≥ ${short(line.reach.atLeast)}${line.reach.orOurs === undefined ? '' : ` or ${short(line.reach.orOurs)}${line.unit}`}`);
  const verdict = reaches(line);
  return [
    line.what,
    `${short(median(line.ours))} ${line.unit}`,
    line.theirs.length > 0 ? `${short(median(line.theirs))} ${line.unit}` : '',
    line.theirs.length > 0 ? `${short(ratio)} ×` : '',
    spread,
    reach ?? 'told',
    verdict === undefined ? '' : verdict ? 'yes' : 'SHORT',
  ];
}

/** What the other build took, and ours by it. */
function comparisonOf({ ours, before = [], unit }: Line): string[] {
  if (before.length === 0) return ['not measured', ''];
  return [`${short(median(before))} ${unit}`, `${short(median(ours) / median(before))} ×`];
}

function notesOf(line: Line | undefined): string[] {
  if (!line) return [];
  return [...(line.limit === '' ? [] : [`limit: ${line.limit}`]), ...line.notes].map((note) => `    ${note}`);
}

function short(figure: number): string {
  if (!Number.isFinite(figure)) return '?';
  return figure >= 100 ? Math.round(figure).toLocaleString('en-US') : figure.toFixed(figure < 10 ? 2 : 1);
}
